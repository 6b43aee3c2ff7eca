package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/freshet-io/freshet/services/ctl/inspect"
	"github.com/freshet-io/freshet/services/ctl/selftest"
)

func selftestCommand() *cobra.Command {
	var o selftest.Options
	var timeout time.Duration
	var columns []string
	cmd := &cobra.Command{
		Use: "selftest", Args: cobra.NoArgs,
		Short: "Send a canary through the whole installation: it is found, deleted, and not found any more",
		Long: "Writes a change of a made-up item to a source topic, waits until the index finds that item by its vector, deletes it, and\n" +
			"waits until it is not found any more. Then it prints where the time went. It needs the right to write to the source\n" +
			"topic, pays the embeddings provider for one short text, and sends the delete also when it fails.",
		Example: `  freshet selftest
  freshet selftest --pipeline products --timeout 5m
  freshet selftest --set category=7 --set name="freshet selftest"`,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if o.Columns, err = readColumns(columns); err != nil {
				return err
			}
			ctx, cancel := context.WithTimeoutCause(cmd.Context(), timeout, fmt.Errorf("not within %s (--timeout)", timeout))
			defer cancel()
			return runSelftest(ctx, cmd, o)
		},
	}
	cmd.Flags().StringVar(&o.Pipeline, "pipeline", "", "pipeline that the canary goes through; the file's first one if empty")
	cmd.Flags().StringVar(&o.Topic, "topic", "", "source topic that it is written to; the pipeline's first one if empty")
	cmd.Flags().StringArrayVar(&columns, "set", nil, "column of the made-up row, as name=value; the value is JSON, or else a text")
	cmd.Flags().BoolVar(&o.Shared, "shared", false, "write the canary though others read the topic, too")
	cmd.Flags().DurationVar(&timeout, "timeout", 2*time.Minute, "how long all of it may take")
	return cmd
}

func readColumns(all []string) (map[string]any, error) {
	columns := map[string]any{}
	for _, text := range all {
		name, value, ok := strings.Cut(text, "=")
		if !ok || name == "" {
			return nil, fmt.Errorf("--set %s: write column=value", text)
		}
		var parsed any = value
		if json.Valid([]byte(value)) {
			parsed = json.RawMessage(value)
		}
		columns[name] = parsed
	}
	return columns, nil
}

func runSelftest(ctx context.Context, cmd *cobra.Command, o selftest.Options) error {
	inspector, err := openInspector(cmd)
	if err != nil {
		return err
	}
	defer inspector.Close()
	test, err := selftest.Open(ctx, inspector, o)
	if err != nil {
		return err
	}
	defer func() { _ = test.Close() }()
	p := &page{out: cmd.OutOrStdout(), width: outputWidth()}
	p.section("canary", fmt.Sprintf("%s, to topic %s as %s: %q", test.Canary.Item, test.Canary.Topic, test.Canary.Format, test.Canary.Text))
	result, err := test.Run(ctx)
	p.selftest(result)
	return errors.Join(err, p.err)
}

// selftest writes how far a canary has come: its time line, or what keeps it up.
func (p *page) selftest(r selftest.Result) {
	if r.Found > 0 {
		p.section("found", fmt.Sprintf("after %s, number %d that a search by its vector finds", inspect.Seconds(r.Found).String(), r.Rank))
	}
	if r.Deleted > 0 {
		p.section("deleted", "and not found any more after "+inspect.Seconds(r.Deleted).String())
	}
	if r.Item == nil {
		return
	}
	if r.Deleted == 0 {
		p.causes("why", "and", r.Item.Causes)
	}
	p.timeline(r.Item.Timeline)
}
