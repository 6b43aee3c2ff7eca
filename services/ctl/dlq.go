package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/freshet-io/freshet/libs/fault"
	"github.com/freshet-io/freshet/services/ctl/inspect"
)

func dlqCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "dlq", Args: cobra.NoArgs, RunE: help, Short: "Look into the dead letters, and redrive them"}
	var output, reason string
	var limit int
	list := &cobra.Command{
		Use: "list", Short: "List dead letters, oldest first", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := errors.Join(checkOutput(output), checkReason(reason)); err != nil {
				return err
			}
			if limit < 0 {
				return fmt.Errorf("--limit %d: how many letters, or 0 for all", limit)
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
			letters, all, err := inspect.ReadLetters(cmd.Context(), cfg.Kafka, client, cfg.Topics, reason, limit)
			if err != nil {
				return err
			}
			if more := all - len(letters); more > 0 {
				defer fmt.Fprintf(cmd.ErrOrStderr(), "%d newer ones are not shown: --limit 0 shows all\n", more)
			}
			return printLetters(cmd.OutOrStdout(), cfg.Topics.DeadLetters(), letters, output)
		},
	}
	list.Flags().StringVarP(&output, "output", "o", "table", "table or json")
	list.Flags().StringVar(&reason, "reason", "", "only letters with this reason")
	list.Flags().IntVar(&limit, "limit", 100, "at most so many; 0 is all")
	cmd.AddCommand(list, showCommand(), redriveCommand())
	return cmd
}

// checkReason refuses a reason that no dead letter can have.
func checkReason(reason string) error {
	if reason == "" || slices.Contains(fault.Reasons, fault.Reason(reason)) {
		return nil
	}
	known := each(fault.Reasons, func(r fault.Reason) string { return string(r) })
	return fmt.Errorf("--reason %s: no dead letter can have it; there are %s", reason, strings.Join(known, ", "))
}

// printLetters lists letters of a topic, each with the place that `freshet why` takes.
func printLetters(out io.Writer, topic string, letters []inspect.Letter, output string) error {
	if output == "json" {
		return json.NewEncoder(out).Encode(letters)
	}
	if len(letters) == 0 {
		_, err := fmt.Fprintln(out, "no dead letters")
		return err
	}
	t := table{names: true, whole: true, header: []string{"LETTER", "AT", "STAGE", "REASON"}}
	for _, l := range letters {
		t.rows = append(t.rows, []string{inspect.Place{Topic: topic, Partition: l.Partition, Offset: l.Offset}.String(), l.At.Format(time.DateTime), l.Stage, l.Reason})
		t.notes = append(t.notes, cmp.Or(l.Item, "an unknown item")+" of "+cmp.Or(l.Entry, l.Source)+": "+strings.TrimPrefix(l.Text, l.Reason+": "))
	}
	return t.write(out, tableWidth())
}
