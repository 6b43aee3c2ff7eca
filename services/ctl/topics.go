package main

import (
	"fmt"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/freshet-io/freshet/libs/kafka"
	"github.com/freshet-io/freshet/libs/pipeline"
	"github.com/freshet-io/freshet/libs/weaviate"
)

// layoutConfig is what laying out the topics and collections needs.
type layoutConfig struct {
	Kafka    kafka.Config
	Topics   kafka.Topics `inline:"true"`
	Weaviate weaviate.Config
	Pipeline string `required:"true" desc:"path of the pipeline file"`
}

func topicsCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "topics", Short: "Lay out the pipeline's topics and collections, or check them"}
	var layout kafka.Layout
	apply := &cobra.Command{
		Use: "apply", Args: cobra.NoArgs,
		Short: "Create the topics and collections that are missing; change nothing that exists",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withLayout(cmd, func(cfg layoutConfig, l connections) error {
				created, err := cfg.Topics.Apply(cmd.Context(), l.kafka, layout)
				if err != nil {
					return err
				}
				for _, name := range created {
					fmt.Fprintln(cmd.OutOrStdout(), "created topic", name)
				}
				identity, err := cfg.Topics.Check(cmd.Context(), l.kafka)
				if err != nil {
					return err
				}
				collections, err := l.index.CreateAll(cmd.Context(), l.file, weaviate.Log{TopicID: identity.TopicID, Partitions: identity.Partitions})
				for _, name := range collections {
					fmt.Fprintln(cmd.OutOrStdout(), "created collection", name)
				}
				if err == nil {
					fmt.Fprintln(cmd.OutOrStdout(), "topics and collections are in place")
				}
				return err
			})
		},
	}
	apply.Flags().Int32Var(&layout.Partitions, "partitions", 24, "partitions of each topic; final, since an item's place decides its order")
	apply.Flags().Int16Var(&layout.Replication, "replication", 3, "replicas of each partition")
	apply.Flags().IntVar(&layout.MinInSync, "min-in-sync", 2, "replicas that must have a record before it is acknowledged; below 2 the broker's default stands")
	check := &cobra.Command{
		Use: "check", Args: cobra.NoArgs,
		Short: "Tell whether the topics and collections are as the services need them",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withLayout(cmd, func(cfg layoutConfig, l connections) error {
				identity, err := cfg.Topics.Check(cmd.Context(), l.kafka)
				if err != nil {
					return err
				}
				if err := l.index.CheckAll(cmd.Context(), l.file, weaviate.Log{TopicID: identity.TopicID, Partitions: identity.Partitions}); err != nil {
					return err
				}
				fmt.Fprintf(cmd.OutOrStdout(), "topics and collections are as they must be: %d partitions, epoch %d\n", identity.Partitions, identity.Epoch)
				return nil
			})
		},
	}
	cmd.AddCommand(apply, check)
	return cmd
}

// connections are what a layout is made and checked with.
type connections struct {
	kafka *kgo.Client
	index *weaviate.Client
	file  *pipeline.File
}

// withLayout opens what laying out needs, and closes it again.
func withLayout(cmd *cobra.Command, f func(layoutConfig, connections) error) error {
	var cfg layoutConfig
	if err := load(&cfg, cmd.ErrOrStderr()); err != nil {
		return err
	}
	file, err := pipeline.Load(cfg.Pipeline)
	if err != nil {
		return err
	}
	client, err := kafka.Producer(cmd.Context(), cfg.Kafka, cfg.Topics, true, logger(cmd.ErrOrStderr()))
	if err != nil {
		return err
	}
	defer client.Close()
	index, err := weaviate.Open(cmd.Context(), cfg.Weaviate)
	if err != nil {
		return err
	}
	defer func() { _ = index.Close() }()
	return f(cfg, connections{client, index, file})
}
