package main

import (
	"encoding/json"
	"fmt"
	"io"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/freshet-io/freshet/services/ctl/inspect"
)

func showCommand() *cobra.Command {
	return &cobra.Command{
		Use: "show TOPIC/PARTITION/OFFSET", Args: cobra.ExactArgs(1),
		Short: "Print the record that became a dead letter, as kcat -J prints records",
		Long: "Prints topic, place, key, value and headers of the record that failed, in a line: what `freshet plan --sample -`\n" +
			"reads. A key or value that is no text comes as key_base64 or payload_base64.",
		Example: `  freshet dlq show freshet.deadletters/0/12 | freshet plan -f pipeline.yaml --sample -`,
		RunE: func(cmd *cobra.Command, args []string) error {
			inspector, err := openInspector(cmd)
			if err != nil {
				return err
			}
			defer inspector.Close()
			r, cut, err := inspector.Failed(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			if cut > 0 {
				fmt.Fprintf(cmd.ErrOrStderr(), "the value had %d bytes, the letter has %d of them: the whole is at %s, as long as Kafka keeps it\n",
					cut, len(r.Value), inspect.Place{Topic: r.Topic, Partition: r.Partition, Offset: r.Offset})
			}
			return writeRecord(cmd.OutOrStdout(), r)
		},
	}
}

// writeRecord writes a record as kcat -J does. What is no text is in base64, which kcat cannot.
func writeRecord(out io.Writer, r *kgo.Record) error {
	line := map[string]any{"topic": r.Topic, "partition": r.Partition, "offset": r.Offset}
	var headers []any
	for _, h := range r.Headers {
		headers = append(headers, h.Key, string(h.Value))
	}
	if len(headers) > 0 {
		line["headers"] = headers
	}
	for name, b := range map[string][]byte{"key": r.Key, "payload": r.Value} {
		switch {
		case b == nil:
			line[name] = nil
		case utf8.Valid(b):
			line[name] = string(b)
		default:
			line[name+"_base64"] = b
		}
	}
	to := json.NewEncoder(out)
	to.SetEscapeHTML(false)
	return to.Encode(line)
}
