package main

import (
	"os"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/freshet-io/freshet/services/ctl/dev"
)

func devCommand() *cobra.Command {
	var o dev.Options
	cmd := &cobra.Command{
		Use: "dev", Args: cobra.NoArgs,
		Short: "Run all of Freshet on this machine, with a catalogue that keeps changing",
		Long: "Runs a Kafka broker inside the process, a real Weaviate, the three services and the built-in\n" +
			"embedder; sends a catalogue as Debezium events, then keeps changing it, and serves the console, at\n" +
			"which a product can be changed, too. State is kept in the data folder: a second start goes on where\n" +
			"the first one stopped.",
		Example: `  freshet dev
  freshet dev --once
  freshet dev --events changes.ndjson --pipeline pipeline.yaml`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o.Out = cmd.OutOrStdout()
			o.TTY = term.IsTerminal(int(os.Stdout.Fd()))
			return dev.Run(cmd.Context(), o)
		},
	}
	f := cmd.Flags()
	f.BoolVar(&o.Once, "once", false, "show everything once, check it, print a summary and end; in a temporary folder unless --data names one")
	f.StringVar(&o.Data, "data", "", "folder of all state; default: dev in Freshet's cache")
	f.StringVar(&o.Brokers, "brokers", "", "a Kafka of your own, host:port; passwords and TLS by FRESHET_KAFKA_ variables")
	f.StringVar(&o.Weaviate, "weaviate", "", "URL of a Weaviate of your own; its key by FRESHET_WEAVIATE_API_KEY")
	f.StringVar(&o.WeaviateGRPC, "weaviate-grpc", "", "its gRPC port, host:port")
	f.StringVar(&o.Provider, "provider", "builtin", "builtin, hash, or the base URL of an OpenAI-compatible server; its key by FRESHET_OPENAI_KEY")
	f.StringVar(&o.Model, "model", "text-embedding-3-large", "model of that server, with a URL as --provider")
	f.IntVar(&o.Dimensions, "dimensions", 3072, "length of the vectors; the built-in model has 512 whatever is said here")
	f.StringVar(&o.Events, "events", "", "file of change events, one a line, to send instead of the catalogue")
	f.StringVar(&o.Pipeline, "pipeline", "", "pipeline file that maps those events")
	f.Uint16Var(&o.ConsolePort, "console-port", 0, "port of the console at 127.0.0.1; a free one if 0")
	f.Float64Var(&o.Rate, "rate", 5, "changes a second after the catalogue is in")
	return cmd
}
