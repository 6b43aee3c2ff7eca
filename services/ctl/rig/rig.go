// Package rig lays out the catalogue's pipeline for those who run the services inside
// their own process: `freshet dev` and the benchmarks.
//
// It owns what both do alike; it starts no server and no service.
package rig

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/freshet-io/freshet/libs/kafka"
	"github.com/freshet-io/freshet/libs/pipeline"
	"github.com/freshet-io/freshet/libs/service"
	"github.com/freshet-io/freshet/libs/telemetry"
	"github.com/freshet-io/freshet/libs/weaviate"
	"github.com/freshet-io/freshet/services/ctl/catalogue"
)

// BuiltinSpace is the line of the catalogue's pipeline file that names the space.
const BuiltinSpace = "space: {provider: builtin, model: use-lite, dimensions: 512}"

// PipelineFile returns the catalogue's pipeline file with another line for the space.
func PipelineFile(space string) []byte {
	return []byte(strings.Replace(string(catalogue.PipelineFile()), BuiltinSpace, space, 1))
}

// Process returns what the services share. The caller closes its telemetry; observe is
// told of every item that reaches the index, and must be quick.
func Process(ctx context.Context, name string, log *slog.Logger, observe func(telemetry.Freshness)) (*service.Process, error) {
	tel, err := telemetry.New(ctx, telemetry.Config{Exporter: "none"}, name, service.Version)
	if err != nil {
		return nil, err
	}
	tel.Metrics.OnFreshness(observe)
	return &service.Process{Name: name, Log: log, Telemetry: tel, Health: service.NewHealth()}, nil
}

// Partitions counts the partitions of topics that are made.
type Partitions struct{ Pipeline, Source int32 }

// LayTopics creates the topics that are missing: the pipeline's, and those that the
// pipeline file reads.
func LayTopics(ctx context.Context, client *kgo.Client, topics kafka.Topics, file *pipeline.File, n Partitions) (kafka.Identity, error) {
	if _, err := topics.Apply(ctx, client, kafka.Layout{Partitions: n.Pipeline, Replication: 1}); err != nil {
		return kafka.Identity{}, err
	}
	// One that is there already is no error.
	if _, err := kadm.NewClient(client).CreateTopics(ctx, n.Source, 1, nil, file.Topics()...); err != nil {
		return kafka.Identity{}, fmt.Errorf("creating the source topics %v: %w", file.Topics(), err)
	}
	return topics.Check(ctx, client)
}

// OpenIndex connects to Weaviate and creates the collections that are missing. The
// caller closes the client.
func OpenIndex(ctx context.Context, cfg weaviate.Config, file *pipeline.File, identity kafka.Identity) (*weaviate.Client, error) {
	index, err := weaviate.Open(ctx, cfg)
	if err != nil {
		return nil, err
	}
	if _, err := index.CreateAll(ctx, file, identity); err != nil {
		return nil, errors.Join(err, index.Close())
	}
	return index, nil
}

// Send produces records and waits until the broker has them.
func Send(ctx context.Context, client *kgo.Client, records ...*kgo.Record) error {
	if err := client.ProduceSync(ctx, records...).FirstErr(); err != nil {
		return fmt.Errorf("sending %d records: %w", len(records), err)
	}
	return nil
}

// Records counts the records that a topic was given.
func Records(ctx context.Context, client *kgo.Client, topic string) (n int, err error) {
	ends, err := kadm.NewClient(client).ListEndOffsets(ctx, topic)
	if err := errors.Join(err, ends.Error()); err != nil {
		return 0, fmt.Errorf("counting the records of %s: %w", topic, err)
	}
	ends.Each(func(o kadm.ListedOffset) { n += int(o.Offset) })
	return n, nil
}

// Poll asks until the answer is yes, an error comes, the bound has passed, or ctx ends, whose error it returns. What Kafka says
// will pass is waited for: on a busy machine a broker loses its session now and then, and its partitions have no leader for a
// moment.
func Poll(ctx context.Context, bound, every time.Duration, ask func(context.Context) (bool, error)) error {
	outer := ctx
	ctx, cancel := context.WithTimeout(outer, bound)
	defer cancel()
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	var passing error
	for {
		done, err := ask(ctx)
		switch {
		case done:
			return err
		case ctx.Err() == nil && kerr.IsRetriable(err):
			passing = err
		case ctx.Err() == nil && err != nil:
			return err
		}
		select {
		case <-ctx.Done():
			if err := outer.Err(); err != nil {
				return err
			}
			return errors.Join(fmt.Errorf("not within %s", bound), passing)
		case <-ticker.C:
		}
	}
}

// Percentile returns the pth percentile of a sorted list, 0 of an empty one.
func Percentile(sorted []time.Duration, p int) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(len(sorted)*p/100, len(sorted)-1)]
}

// RaiseEpoch has the log count versions from 2^48 on, and returns its identity then: for vectors that are made up, whose
// versions no document has given. In the first epoch write would take them for those of a log that was cut.
func RaiseEpoch(ctx context.Context, client *kgo.Client, topics kafka.Topics) (kafka.Identity, error) {
	succession, err := topics.Succeed(ctx, client, true, func(string) (int32, error) { return 0, nil })
	if err != nil {
		return kafka.Identity{}, err
	}
	if err := succession.Commit(ctx); err != nil {
		return kafka.Identity{}, err
	}
	return topics.Check(ctx, client)
}
