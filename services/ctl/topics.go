package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/freshet-io/freshet/libs/kafka"
	"github.com/freshet-io/freshet/libs/pipeline"
	"github.com/freshet-io/freshet/libs/weaviate"
)

type layoutConfig struct {
	Kafka  kafka.Config
	Source struct {
		Kafka kafka.Config `inherit:"KAFKA"`
	}
	Topics   kafka.Topics `inline:"true"`
	Weaviate weaviate.Config
	Pipeline pipeline.Setting `required:"true" desc:"path of the pipeline file"`
}

func topicsCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "topics", Args: cobra.NoArgs, RunE: help, Short: "Lay out the pipeline's topics and collections, or check them"}
	var layout kafka.Layout
	apply := &cobra.Command{
		Use: "apply", Args: cobra.NoArgs,
		Short: "Create the topics and collections that are missing; change nothing that exists",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withLayout(cmd, func(c connections) error {
				err := c.apply(cmd.Context(), cmd.OutOrStdout(), layout)
				if err == nil && cmd.Flags().Changed("partitions") {
					err = c.tellOfPartitions(cmd.Context(), cmd.OutOrStdout(), layout.Partitions)
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
			return withLayout(cmd, func(c connections) error { return c.check(cmd.Context(), cmd.OutOrStdout()) })
		},
	}
	cmd.AddCommand(apply, check, aclCommand())
	return cmd
}

func (c connections) apply(ctx context.Context, out io.Writer, layout kafka.Layout) error {
	created, err := c.topics.Apply(ctx, c.kafka, layout)
	for _, name := range created {
		fmt.Fprintln(out, "created topic", name)
	}
	if err != nil {
		return err
	}
	created, err = c.createSources(ctx, layout)
	for _, name := range created {
		fmt.Fprintln(out, "created topic", name)
	}
	if err != nil {
		return err
	}
	identity, err := c.topics.Check(ctx, c.kafka)
	if err != nil {
		return err
	}
	collections, err := c.index.CreateAll(ctx, c.file, identity)
	for _, name := range collections {
		fmt.Fprintln(out, "created collection", name)
	}
	if err != nil {
		return err
	}
	return c.check(ctx, out)
}

// tellOfPartitions tells where another number of partitions was asked for than the topics have had before.
func (c connections) tellOfPartitions(ctx context.Context, out io.Writer, asked int32) error {
	identity, err := c.topics.Check(ctx, c.kafka)
	if err == nil && identity.Partitions != asked {
		_, err = fmt.Fprintf(out, "--partitions %d is not taken: the topics have %d, and their number is final, since an item's place decides its order\n", asked, identity.Partitions)
	}
	return err
}

// createSources creates the topics that changes brought over HTTP are written to: nobody else makes them.
func (c connections) createSources(ctx context.Context, layout kafka.Layout) ([]string, error) {
	topics := c.file.HTTPTopics()
	if len(topics) == 0 {
		return nil, nil
	}
	client, err := connect(ctx, c.source)
	if err != nil {
		return nil, err
	}
	defer client.Close()
	return kafka.CreateSources(ctx, client, topics, layout)
}

// check tells that everything is as it must be, or returns what is not.
func (c connections) check(ctx context.Context, out io.Writer) error {
	identity, err := c.topics.Check(ctx, c.kafka)
	if err != nil {
		return err
	}
	warnings, err := c.index.CheckAll(ctx, c.file, identity)
	if err != nil {
		return err
	}
	for _, warning := range warnings {
		fmt.Fprintln(out, "warning:", warning)
	}
	fmt.Fprintf(out, "topics and collections are as they must be: %d partitions, epoch %d\n", identity.Partitions, identity.Epoch)
	return nil
}

type connections struct {
	topics kafka.Topics
	kafka  *kgo.Client
	source kafka.Config // the cluster of the source topics
	index  *weaviate.Client
	file   *pipeline.File
}

// withLayout opens what laying out needs, and closes it again.
func withLayout(cmd *cobra.Command, f func(connections) error) error {
	var cfg layoutConfig
	if err := load(&cfg, cmd.ErrOrStderr()); err != nil {
		return err
	}
	return cfg.with(cmd.Context(), f)
}

func (c layoutConfig) with(ctx context.Context, f func(connections) error) error {
	client, err := producer(ctx, c.Kafka, c.Topics)
	if err != nil {
		return err
	}
	defer client.Close()
	index, err := weaviate.Open(ctx, c.Weaviate)
	if err != nil {
		return err
	}
	defer func() { _ = index.Close() }()
	return f(connections{c.Topics, client, c.Source.Kafka, index, c.Pipeline.File})
}
