package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/freshet-io/freshet/services/ctl/inspect"
	"github.com/freshet-io/freshet/services/ctl/plan"
)

type redriveFlags struct {
	reason, output string
	all, dry       bool
}

func redriveCommand() *cobra.Command {
	var flags redriveFlags
	cmd := &cobra.Command{
		Use:   "redrive [TOPIC/PARTITION/OFFSET ...]",
		Short: "Send what became a dead letter through the pipeline once more",
		Long: "What ingest could not use is read again, by the pipeline file as it is now; what embed or write could not\n" +
			"use goes as it was. Each change keeps the version that it had, so that it loses to whatever came since: to\n" +
			"redrive a letter twice, or one that nothing needs any more, is no harm. The letters stay where they are,\n" +
			"until Kafka removes them. Mend first what was wrong, and start the services with the file.",
		Example: `  freshet dlq redrive freshet.deadletters/0/12 --dry-run
  freshet dlq redrive --reason field-type`,
		RunE: func(cmd *cobra.Command, places []string) error { return flags.run(cmd, places) },
	}
	cmd.Flags().StringVar(&flags.reason, "reason", "", "all letters with this reason")
	cmd.Flags().BoolVar(&flags.all, "all", false, "all letters")
	cmd.Flags().BoolVar(&flags.dry, "dry-run", false, "only say what each would become")
	cmd.Flags().StringVarP(&flags.output, "output", "o", "table", "table or json, a line each")
	return cmd
}

func (f redriveFlags) run(cmd *cobra.Command, places []string) error {
	chosen := 0
	for _, is := range []bool{len(places) > 0, f.reason != "", f.all} {
		if is {
			chosen++
		}
	}
	if chosen != 1 {
		return errors.New("say which letters: by their places, as `freshet dlq list` shows them, or by --reason, or --all")
	}
	if err := errors.Join(checkOutput(f.output), checkReason(f.reason)); err != nil {
		return err
	}
	ctx := cmd.Context()
	inspector, err := openInspector(cmd)
	if err != nil {
		return err
	}
	defer inspector.Close()
	redriver, err := inspector.Redriver(ctx)
	if err != nil {
		return err
	}
	client, err := producer(ctx, inspector.Config().Kafka, inspector.Config().Topics)
	if err != nil {
		return err
	}
	defer client.Close()
	done := redriveTally{dry: f.dry, output: f.output, out: cmd.OutOrStdout()}
	err = redriver.Each(ctx, places, f.reason, func(letter *kgo.Record) error {
		r, err := redriver.Redrive(ctx, letter)
		if err != nil {
			return err
		}
		for _, d := range r.Documents {
			again, err := redriver.Record(d)
			if err == nil && !f.dry {
				err = sendOne(ctx, client, again)
			}
			if err != nil {
				return fmt.Errorf("redriving %s: %w", d.Item, err)
			}
		}
		return done.add(inspect.Place{Topic: letter.Topic, Partition: letter.Partition, Offset: letter.Offset}, r)
	})
	return errors.Join(err, done.end())
}

// sendOne waits no longer than a person does. A record that is on its way cannot be called back: ProduceSync would wait for it.
func sendOne(ctx context.Context, client *kgo.Client, r *kgo.Record) error {
	ctx, cancel := context.WithTimeout(ctx, connectBound)
	defer cancel()
	sent := make(chan error, 1)
	client.Produce(ctx, r, func(_ *kgo.Record, err error) { sent <- err })
	select {
	case err := <-sent:
		return err
	case <-ctx.Done():
		return fmt.Errorf("Kafka has not said that it has it; to redrive the letter again is no harm: %w", ctx.Err()) //nolint:staticcheck // a name
	}
}

// redriveTally says what becomes of each letter, and of all.
type redriveTally struct {
	dry    bool
	output string
	out    io.Writer

	letters, documents, left int
}

func (t *redriveTally) add(at inspect.Place, r inspect.Redrive) error {
	t.letters++
	t.documents += len(r.Documents)
	if len(r.Left) > 0 {
		t.left++
	}
	if t.output == "json" {
		return json.NewEncoder(t.out).Encode(r)
	}
	p := &page{out: t.out, width: outputWidth()}
	p.print(fmt.Sprintf("%s  %s of %s", at, r.Letter.Reason, r.Letter.Stage))
	goes := map[bool]string{true: "  would go", false: "  redriven"}[t.dry]
	for _, d := range r.Documents {
		p.section(goes, fmt.Sprintf("%s, %s", d.Item, versionOf(d)))
	}
	p.section("  no need", r.Done...)
	p.section("  left", r.Left...)
	return p.err
}

func versionOf(d inspect.Redriven) string {
	if d.Version == 0 {
		return "in the order of its source"
	}
	return fmt.Sprint("version ", d.Version)
}

// end says it of all. It is an error that some are left.
func (t *redriveTally) end() error {
	if t.output != "json" {
		would := map[bool]string{true: "would be ", false: ""}[t.dry]
		fmt.Fprintf(t.out, "%s, %s %sredriven\n", plan.Count(t.letters, "letter"), plan.Count(t.documents, "document"), would)
	}
	if t.left == 0 {
		return nil
	}
	return errors.New("left, whole or in part: " + plan.Count(t.left, "letter"))
}
