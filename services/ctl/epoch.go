package main

import (
	"context"
	"fmt"
	"io"
	"slices"

	"github.com/spf13/cobra"

	"github.com/freshet-io/freshet/libs/kafka"
)

type epochConfig struct {
	Layout layoutConfig `inline:"true"`
	Groups kafka.Groups `inline:"true"`
}

func epochCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "epoch", Args: cobra.NoArgs, RunE: help, Short: "Raise the epoch of the versions"}
	var wentBack bool
	raise := &cobra.Command{
		Use: "raise", Args: cobra.NoArgs,
		Short: "Have the versions go on after topics were made anew, or a log went back",
		Long: "A version is an epoch and the place of a document in the log of live documents. Where that log\n" +
			"begins anew its places are low again, and all that is new would count as older than the index.\n" +
			"This gives the topics that are there now their identities, with a higher epoch where it is\n" +
			"needed, and has index and groups fit them. Stop all services before. To run it again is no\n" +
			"harm: it goes on where it was interrupted.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			var cfg epochConfig
			if err := load(&cfg, cmd.ErrOrStderr()); err != nil {
				return err
			}
			return cfg.Layout.with(cmd.Context(), func(c connections) error {
				return c.raise(cmd.Context(), cfg.Groups.Named(c.topics), wentBack, cmd.OutOrStdout())
			})
		},
	}
	raise.Flags().BoolVar(&wentBack, "log-went-back", false, "the topic is the same, and its log was cut or restored: raise the epoch each time that this is said")
	cmd.AddCommand(raise)
	return cmd
}

// raise does it in an order in which no service can start before all is done: the topics' identities
// come last.
func (c connections) raise(ctx context.Context, groups kafka.Groups, wentBack bool, out io.Writer) error {
	if err := c.idle(ctx, groups); err != nil {
		return err
	}
	s, err := c.topics.Succeed(ctx, c.kafka, wentBack, func(topicID string) (int32, error) { return c.index.EpochFor(ctx, c.file, topicID) })
	if err != nil {
		return err
	}
	changed, err := c.index.Adopt(ctx, c.file, s.After)
	for _, class := range changed {
		fmt.Fprintf(out, "collection %s belongs to the present topics, epoch %d\n", class, s.After.Epoch)
	}
	if err != nil {
		return err
	}
	if !s.Changes() {
		fmt.Fprintf(out, "topics are as they were: epoch %d stays\n", s.After.Epoch)
		return nil
	}
	if err := c.rewind(ctx, groups, s, out); err != nil {
		return err
	}
	if err := s.Commit(ctx); err != nil {
		return err
	}
	slices.Sort(s.Replaced)
	for _, topic := range s.Replaced {
		fmt.Fprintf(out, "topic %s was made anew\n", topic)
	}
	fmt.Fprintf(out, "the epoch is %d, it was %d; start the services\n", s.After.Epoch, s.Before.Epoch)
	return nil
}

// idle refuses where a service runs.
func (c connections) idle(ctx context.Context, groups kafka.Groups) error {
	if err := kafka.Idle(ctx, c.kafka, groups.Embed, groups.EmbedBulk(), groups.Write); err != nil {
		return err
	}
	source, err := connect(ctx, c.source)
	if err != nil {
		return err
	}
	defer source.Close()
	return kafka.Idle(ctx, source, groups.Ingest)
}

// rewind sets offsets that were those of another log, and tells what is not drained.
func (c connections) rewind(ctx context.Context, groups kafka.Groups, s *kafka.Succession, out io.Writer) error {
	for _, lane := range []struct {
		group  string
		topics []string
	}{
		{groups.Embed, []string{c.topics.DocumentsLive()}},
		{groups.EmbedBulk(), []string{c.topics.DocumentsBulk()}},
		{groups.Write, []string{c.topics.VectorsLive(), c.topics.VectorsBulk()}},
	} {
		all, err := s.Rewind(ctx, c.kafka, lane.group, lane.topics...)
		if err != nil {
			return err
		}
		for _, u := range all {
			if u.Reset {
				fmt.Fprintf(out, "group %s begins at the first record of %s\n", u.Group, u.Topic)
			}
			if u.Records > 0 {
				fmt.Fprintf(out, "group %s has %d records of %s to read: they count in the new epoch where they are documents\n", u.Group, u.Records, u.Topic)
			}
		}
	}
	return nil
}
