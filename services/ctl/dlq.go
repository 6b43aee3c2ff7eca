package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/freshet-io/freshet/services/ctl/inspect"
)

func dlqCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "dlq", Args: cobra.NoArgs, RunE: help, Short: "Look into the dead letters"}
	var output, reason string
	var limit int
	list := &cobra.Command{
		Use: "list", Short: "List dead letters, oldest first", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkOutput(output); err != nil {
				return err
			}
			var cfg cluster
			if err := load(&cfg, cmd.ErrOrStderr()); err != nil {
				return err
			}
			client, err := connect(cmd.Context(), cfg.Kafka)
			if err != nil {
				return err
			}
			defer client.Close()
			letters, err := inspect.ReadLetters(cmd.Context(), cfg.Kafka, client, cfg.Topics, reason, limit)
			if err != nil {
				return err
			}
			return printLetters(cmd.OutOrStdout(), letters, output)
		},
	}
	list.Flags().StringVarP(&output, "output", "o", "table", "table or json")
	list.Flags().StringVar(&reason, "reason", "", "only letters with this reason")
	list.Flags().IntVar(&limit, "limit", 100, "at most so many")
	cmd.AddCommand(list)
	return cmd
}

func printLetters(out io.Writer, letters []inspect.Letter, output string) error {
	if output == "json" {
		return json.NewEncoder(out).Encode(letters)
	}
	if len(letters) == 0 {
		_, err := fmt.Fprintln(out, "no dead letters")
		return err
	}
	t := table{header: []string{"AT", "STAGE", "REASON", "ITEM", "SOURCE"}}
	for _, l := range letters {
		t.rows = append(t.rows, []string{l.At.Format(time.DateTime), l.Stage, l.Reason, cmp.Or(l.Item, "-"), l.Source})
		t.notes = append(t.notes, strings.TrimPrefix(l.Text, l.Reason+": "))
	}
	return t.write(out, outputWidth())
}
