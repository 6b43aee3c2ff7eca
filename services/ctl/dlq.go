package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/freshet-io/freshet/libs/record"
	"github.com/freshet-io/freshet/libs/stage"
)

// letter is one dead letter, as it is listed.
type letter struct {
	At        time.Time `json:"at"`
	Stage     string    `json:"stage"`
	Reason    string    `json:"reason"`
	Item      string    `json:"item,omitempty"`
	Version   string    `json:"version,omitempty"`
	Source    string    `json:"source"` // topic/partition/offset of the failing stage's input
	Text      string    `json:"text"`
	Partition int32     `json:"partition"`
	Offset    int64     `json:"offset"`
}

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
			client, err := connect(cmd.Context(), cfg.Kafka, kgo.ConsumeTopics(cfg.Topics.DeadLetters()), kgo.ConsumeStartOffset(kgo.NewOffset().AtStart()))
			if err != nil {
				return err
			}
			defer client.Close()
			letters, err := readLetters(cmd.Context(), client, cfg.Topics.DeadLetters(), reason, limit)
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

// readLetters reads a dead-letter topic from its start to its present end, and returns the oldest
// letters. Which those are shows only at the end: partitions are read side by side.
func readLetters(ctx context.Context, client *kgo.Client, topic, reason string, limit int) ([]letter, error) {
	adm := kadm.NewClient(client)
	ends, err := adm.ListEndOffsets(ctx, topic)
	if err == nil {
		err = ends.Error()
	}
	if err != nil {
		return nil, fmt.Errorf("reading the end of topic %s: %w", topic, err)
	}
	starts, err := adm.ListStartOffsets(ctx, topic)
	if err != nil {
		return nil, fmt.Errorf("reading the start of topic %s: %w", topic, err)
	}
	left := map[int32]int64{} // partition -> its end, while there is something to read
	ends.Each(func(o kadm.ListedOffset) {
		if start, ok := starts.Lookup(o.Topic, o.Partition); ok && start.Offset < o.Offset {
			left[o.Partition] = o.Offset
		}
	})
	letters := []letter{}
	for len(left) > 0 {
		fetches := client.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			return nil, fmt.Errorf("reading topic %s: %w", topic, err)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			if l := letterOf(r); reason == "" || l.Reason == reason {
				letters = append(letters, l)
			}
			if r.Offset+1 >= left[r.Partition] {
				delete(left, r.Partition)
			}
		})
	}
	return oldest(letters, limit), nil
}

// oldest returns the first letters in the order of their time; those of one time stay as they are.
func oldest(letters []letter, limit int) []letter {
	slices.SortStableFunc(letters, func(a, b letter) int { return a.At.Compare(b.At) })
	return letters[:min(len(letters), max(limit, 0))]
}

func letterOf(r *kgo.Record) letter {
	h := map[string]string{}
	for _, header := range r.Headers {
		h[header.Key] = string(header.Value)
	}
	l := letter{
		At: r.Timestamp.UTC(), Stage: h[stage.HeaderLetterStage], Reason: h[stage.HeaderReason], Version: h[stage.HeaderLetterVersion],
		Source: h[stage.HeaderErrorTopic] + "/" + h[stage.HeaderErrorPartition] + "/" + h[stage.HeaderErrorOffset],
		Text:   h[stage.HeaderErrorText], Partition: r.Partition, Offset: r.Offset,
	}
	if item, err := record.ParseKey([]byte(h[stage.HeaderItemKey])); err == nil {
		l.Item = item.String()
	}
	return l
}

func printLetters(out io.Writer, letters []letter, output string) error {
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
