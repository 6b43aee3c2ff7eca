package bench

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"golang.org/x/sync/errgroup"

	"github.com/freshet-io/freshet/libs/fake"
	"github.com/freshet-io/freshet/libs/fake/local"
	"github.com/freshet-io/freshet/libs/kafka"
	"github.com/freshet-io/freshet/libs/pipeline"
	"github.com/freshet-io/freshet/libs/service"
	"github.com/freshet-io/freshet/libs/telemetry"
	"github.com/freshet-io/freshet/libs/weaviate"
	"github.com/freshet-io/freshet/services/ctl/rig"
)

const (
	partitions = 6
	// bound is how long one part of a benchmark may take.
	bound     = 2 * time.Minute
	stopBound = 30 * time.Second
	watchPoll = 10 * time.Millisecond
)

// bed is a broker, a Weaviate where one is needed, and all that the services need.
type bed struct {
	run

	environ  []string // settings of the services, as NAME=value
	file     *pipeline.File
	process  *service.Process
	broker   string // what it is
	apart    bool   // the broker is a process of its own
	cluster  kafka.Config
	topics   kafka.Topics
	identity kafka.Identity
	client   *kgo.Client
	weaviate weaviate.Config
	index    *weaviate.Client // nil without a Weaviate
	arrived  pace             // items that reached the index
	last     int64            // offset or version that was given out last
	given    int              // products, by fresh

	closers []func(context.Context) error
}

// openBed starts servers and lays out the pipeline in a temporary folder. The caller
// closes the bed.
func openBed(ctx context.Context, r run, space string, withIndex bool) (*bed, error) {
	b := &bed{run: r}
	if err := b.open(ctx, space, withIndex); err != nil {
		return nil, errors.Join(err, b.close(ctx))
	}
	return b, nil
}

// close ends what open began, the last first, also after ctx has ended.
func (b *bed) close(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopBound)
	defer cancel()
	var errs []error
	for _, c := range slices.Backward(b.closers) {
		errs = append(errs, c(ctx))
	}
	return errors.Join(errs...)
}

func (b *bed) onClose(f func(context.Context) error) { b.closers = append(b.closers, f) }

func (b *bed) open(ctx context.Context, space string, withIndex bool) error {
	dir, err := os.MkdirTemp("", "freshet-bench-")
	if err != nil {
		return fmt.Errorf("making a folder: %w", err)
	}
	b.onClose(func(context.Context) error { return os.RemoveAll(dir) })
	log := slog.New(slog.NewTextHandler(b.progress, &slog.HandlerOptions{Level: slog.LevelWarn}))
	if b.process, err = rig.Process(ctx, "freshet-bench", log, func(telemetry.Freshness) { b.arrived.add(1) }); err != nil {
		return err
	}
	b.onClose(b.process.Telemetry.Close)
	path := filepath.Join(dir, "pipeline.yaml")
	if err := os.WriteFile(path, rig.PipelineFile(space), 0o600); err != nil {
		return fmt.Errorf("writing the pipeline file: %w", err)
	}
	if b.file, err = pipeline.Load(path); err != nil {
		return err
	}
	brokers, err := b.startBroker(ctx, dir)
	if err != nil {
		return err
	}
	b.environ = []string{
		"FRESHET_KAFKA_BROKERS=" + brokers, "FRESHET_PIPELINE=" + path,
		// So that the end of a benchmark waits for nobody.
		"FRESHET_SESSION_TIMEOUT=10s", "FRESHET_DRAIN=5s", "FRESHET_REBALANCE_TIMEOUT=10s",
	}
	if withIndex {
		if err := b.startWeaviate(ctx, dir); err != nil {
			return err
		}
	}
	return b.layOut(ctx, withIndex)
}

// startBroker starts Apache Kafka where it is installed, else the broker inside this process.
func (b *bed) startBroker(ctx context.Context, dir string) (string, error) {
	_, noJava := exec.LookPath("java")
	if _, err := local.KafkaPackage.Path(); err != nil || noJava != nil {
		b.broker = "kfake, in this process"
		b.say("starting %s: Apache Kafka or Java is not installed", b.broker)
		broker, err := fake.StartBroker(filepath.Join(dir, "kafka"))
		if err != nil {
			return "", err
		}
		b.onClose(func(context.Context) error { broker.Close(); return nil })
		return broker.Brokers(), nil
	}
	b.broker, b.apart = "Apache Kafka "+local.KafkaVersion, true
	b.say("starting %s", b.broker)
	broker, err := local.StartKafka(ctx, local.KafkaOptions{Data: filepath.Join(dir, "kafka")})
	if err != nil {
		return "", err
	}
	b.onClose(broker.Stop)
	return broker.Brokers, nil
}

func (b *bed) startWeaviate(ctx context.Context, dir string) error {
	b.say("starting Weaviate %s", local.WeaviateVersion)
	server, err := local.StartWeaviate(ctx, local.WeaviateOptions{Data: filepath.Join(dir, "weaviate")})
	if err != nil {
		return err
	}
	b.onClose(server.Stop)
	b.environ = append(b.environ, "FRESHET_WEAVIATE_URL=http://"+server.REST, "FRESHET_WEAVIATE_GRPC="+server.GRPC, "FRESHET_WEAVIATE_API_KEY="+server.APIKey)
	return nil
}

func (b *bed) layOut(ctx context.Context, withIndex bool) error {
	var cfg struct {
		Kafka    kafka.Config
		Topics   kafka.Topics `inline:"true"`
		Weaviate weaviate.Config
	}
	if err := service.Load(b.environ, &cfg); err != nil {
		return err
	}
	b.cluster, b.topics, b.weaviate = cfg.Kafka, cfg.Topics, cfg.Weaviate
	var err error
	if b.client, err = kafka.Producer(ctx, cfg.Kafka, cfg.Topics, true, b.process.Log); err != nil {
		return err
	}
	b.onClose(func(context.Context) error { b.client.Close(); return nil })
	b.identity, err = rig.LayTopics(ctx, b.client, b.topics, b.file, rig.Partitions{Pipeline: partitions, Source: partitions})
	if err != nil || !withIndex {
		return err
	}
	if b.identity, err = rig.RaiseEpoch(ctx, b.client, b.topics); err != nil {
		return err
	}
	if b.index, err = rig.OpenIndex(ctx, cfg.Weaviate, b.file, b.identity); err != nil {
		return err
	}
	b.onClose(func(context.Context) error { return b.index.Close() })
	return nil
}

// work is something that runs until ctx ends, and then returns nil or ctx's error.
type work func(ctx context.Context) error

// serve returns a service as work. environ adds to the bed's settings, and wins.
func serve[C any](b *bed, run func(context.Context, *service.Process, C) error, environ ...string) work {
	return func(ctx context.Context) error {
		var cfg C
		if err := service.Load(slices.Concat(b.environ, environ), &cfg); err != nil {
			return err
		}
		return run(ctx, b.process, cfg)
	}
}

// during runs do while the background runs. The first error of either ends both.
func during(ctx context.Context, do func(context.Context) error, background ...work) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	group, inner := errgroup.WithContext(ctx)
	for _, w := range background {
		group.Go(func() error {
			if err := w(inner); inner.Err() == nil || !errors.Is(err, context.Canceled) {
				return err
			}
			return nil
		})
	}
	group.Go(func() error {
		defer stop()
		return do(inner)
	})
	return group.Wait()
}

// growth returns the pace at which a topic gets n records more than it had before.
func (b *bed) growth(ctx context.Context, topic string, before, n int) (*pace, error) {
	p := newPace()
	err := rig.Poll(ctx, bound, b.look, func(ctx context.Context) (bool, error) {
		size, err := b.size(ctx, topic)
		if fresh := size - before - p.count(); err == nil && fresh > 0 {
			p.add(fresh)
		}
		return p.count() >= n, err
	})
	if err != nil {
		return nil, fmt.Errorf("%s has %d of %d records: %w", topic, p.count(), n, err)
	}
	return p, nil
}

// size counts the records of a topic.
func (b *bed) size(ctx context.Context, topic string) (int, error) {
	return rig.Records(ctx, b.client, topic)
}

// awaitArrived waits until n items have reached the index.
func (b *bed) awaitArrived(ctx context.Context, n int) error {
	err := rig.Poll(ctx, bound, watchPoll, func(context.Context) (bool, error) { return b.arrived.count() >= n, nil })
	if err != nil {
		return fmt.Errorf("%d of %d items reached the index: %w", b.arrived.count(), n, err)
	}
	return nil
}

// send produces records and waits until the broker has them.
func (b *bed) send(ctx context.Context, records ...*kgo.Record) error {
	return rig.Send(ctx, b.client, records...)
}
