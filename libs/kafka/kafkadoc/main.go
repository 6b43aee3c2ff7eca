// Command kafkadoc prints the tables of docs/kafka.md from what the code says.
package main

import (
	"fmt"

	"github.com/freshet-io/freshet/libs/kafka"
	"github.com/freshet-io/freshet/libs/service"
)

func main() {
	var cfg struct{ Kafka kafka.Config }
	fmt.Printf("## Settings\n\n%s", service.Markdown(service.Settings(&cfg)))
	producer, consumer, both := kafka.FixedOptions()
	fmt.Println("\n## Fixed options\n\nThese are no settings: with another value a guarantee would not hold, or nobody could know which one to choose.")
	table("Producers", producer)
	table("Consumers", consumer)
	table("Every client", both)
}

func table(title string, options []kafka.Option) {
	fmt.Printf("\n%s:\n\n| option | value | why |\n|---|---|---|\n", title)
	for _, o := range options {
		fmt.Printf("| %s | %s | %s |\n", o.Name, o.Value, o.Why)
	}
}
