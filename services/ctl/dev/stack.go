package dev

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"

	"github.com/twmb/franz-go/pkg/kgo"
	"golang.org/x/sync/errgroup"

	"github.com/freshet-io/freshet/libs/fake"
	"github.com/freshet-io/freshet/libs/fake/local"
	"github.com/freshet-io/freshet/libs/kafka"
	"github.com/freshet-io/freshet/libs/pipeline"
	"github.com/freshet-io/freshet/libs/service"
	"github.com/freshet-io/freshet/libs/weaviate"
	"github.com/freshet-io/freshet/services/ctl/finder"
	"github.com/freshet-io/freshet/services/ctl/inspect"
	"github.com/freshet-io/freshet/services/ctl/rig"
	"github.com/freshet-io/freshet/services/embed/builtin"
	"github.com/freshet-io/freshet/services/embed/embedder"
	"github.com/freshet-io/freshet/services/embed/providers"
	"github.com/freshet-io/freshet/services/ingest/ingester"
	"github.com/freshet-io/freshet/services/write/writer"
)

// partitions of each topic: enough to see them work side by side, few enough for a laptop.
const partitions = 6

type stack struct {
	options     Options
	environ     []string // settings of the services, as NAME=value
	brokers     string
	weaviateURL string
	embedder    net.Listener // of the built-in model; nil where another one embeds

	server   *local.Weaviate // nil where another one is used
	log      *os.File
	process  *service.Process
	file     *pipeline.File
	changes  []*kgo.Record // of one's own, to be sent
	cluster  kafka.Config
	topics   kafka.Topics
	client   *kgo.Client
	index    *weaviate.Client
	provider providers.Provider
	finder   *finder.Finder
	shop     *shop

	console   net.Listener // nil where there is none
	inspector *inspect.Inspector
	fresh     *freshness
	services  *errgroup.Group
	failed    context.Context //nolint:containedctx // ends when a service has failed
	stop      context.CancelFunc
	closers   []func(context.Context) error
}

// start brings everything up. ctx bounds the start, work the life of the services.
func start(ctx, work context.Context, o Options) (*stack, error) {
	s := &stack{options: o, fresh: newFreshness()}
	s.shop = newShop(s)
	work, s.stop = context.WithCancel(work)
	for _, step := range []func(context.Context) error{
		s.openPipeline, s.checkSettings, s.openEvents, s.openLog, s.openProvider, s.startKafka, s.startWeaviate, s.configure, s.layOut, s.openConsole,
	} {
		if err := step(ctx); err != nil {
			return nil, errors.Join(err, s.close(context.WithoutCancel(ctx)))
		}
	}
	if err := s.startServices(work); err != nil {
		return nil, errors.Join(err, s.close(context.WithoutCancel(ctx)))
	}
	return s, nil
}

func (s *stack) say(format string, args ...any) { fmt.Fprintf(s.options.Out, format+"\n", args...) }

func (s *stack) openLog(ctx context.Context) (err error) {
	s.log, err = os.OpenFile(filepath.Join(s.options.Data, "freshet.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("opening the log: %w", err)
	}
	s.onClose(func(context.Context) error { return s.log.Close() })
	s.process, err = rig.Process(ctx, "freshet-dev", slog.New(slog.NewTextHandler(s.log, nil)), s.fresh.add)
	if err != nil {
		return err
	}
	s.onClose(s.process.Telemetry.Close)
	address, closing, err := (service.Admin{Address: "127.0.0.1:0"}).Serve(ctx, s.process)
	if err != nil {
		return err
	}
	s.onClose(closing)
	s.environ = append(s.environ, "FRESHET_ADMIN_ADDRESSES="+address)
	return nil
}

func (s *stack) startKafka(context.Context) error {
	if s.brokers = s.options.Brokers; s.brokers != "" {
		return nil
	}
	broker, err := fake.StartBroker(filepath.Join(s.options.Data, "kafka"))
	if err != nil {
		return err
	}
	s.onClose(func(context.Context) error { broker.Close(); return nil })
	s.brokers = broker.Brokers()
	return nil
}

func (s *stack) startWeaviate(ctx context.Context) (err error) {
	if s.weaviateURL = s.options.Weaviate; s.weaviateURL != "" {
		return nil
	}
	s.say("starting Weaviate %s; all state is in %s", local.WeaviateVersion, s.options.Data)
	s.server, err = local.StartWeaviate(ctx, local.WeaviateOptions{Data: filepath.Join(s.options.Data, "weaviate"), Log: s.log})
	if err != nil {
		return err
	}
	s.onClose(s.server.Stop)
	s.weaviateURL, s.options.WeaviateGRPC = "http://"+s.server.REST, s.server.GRPC
	return nil
}

func (s *stack) configure(ctx context.Context) error {
	s.environ = append(s.environ,
		"FRESHET_KAFKA_BROKERS="+s.brokers,
		"FRESHET_KAFKA_METADATA_MIN_AGE=250ms",
		"FRESHET_WEAVIATE_URL="+s.weaviateURL,
		"FRESHET_WEAVIATE_GRPC="+s.options.WeaviateGRPC,
		"FRESHET_SESSION_TIMEOUT=10s", "FRESHET_DRAIN=20s", "FRESHET_REBALANCE_TIMEOUT=30s",
		"FRESHET_WRITE_SEARCHABLE_SAMPLE=1", // so few changes want all of them
	)
	if s.server != nil {
		// Its own Weaviate is for trying templates out.
		s.environ = append(s.environ, "FRESHET_WEAVIATE_API_KEY="+s.server.APIKey, "FRESHET_WEAVIATE_MIX_TEMPLATES=true")
	}
	if err := s.openEmbedder(ctx); err != nil {
		return err
	}
	return s.publish()
}

// openEmbedder opens the port at which other programs find the space's model, where
// that is the built-in one.
func (s *stack) openEmbedder(ctx context.Context) (err error) {
	if s.file.Space.Provider != "builtin" {
		return nil
	}
	if s.embedder, err = (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0"); err != nil {
		return fmt.Errorf("opening a port for the built-in model: %w", err)
	}
	s.onClose(func(context.Context) error { _ = s.embedder.Close(); return nil }) // closed already where it was served
	s.environ = append(s.environ, "FRESHET_OPENAI_URL=http://"+s.embedder.Addr().String()+"/v1")
	return nil
}

// settings fills a configuration: what dev decides, over the caller's environment
// for what it leaves open, such as passwords and keys.
func (s *stack) settings(cfg any) error {
	return service.Load(append(os.Environ(), s.environ...), cfg)
}

// layOut creates topics and collections and opens what the show itself needs.
func (s *stack) layOut(ctx context.Context) (err error) {
	var cfg struct {
		Kafka    kafka.Config
		Topics   kafka.Topics `inline:"true"`
		Weaviate weaviate.Config
	}
	if err := s.settings(&cfg); err != nil {
		return err
	}
	s.cluster, s.topics = cfg.Kafka, cfg.Topics
	if s.client, err = kafka.Producer(ctx, cfg.Kafka, cfg.Topics, true, s.process.Log); err != nil {
		return err
	}
	s.onClose(func(context.Context) error { s.client.Close(); return nil })
	identity, err := rig.LayTopics(ctx, s.client, s.topics, s.file, rig.Partitions{Pipeline: partitions, Source: s.partitionsOfSources()})
	if err != nil {
		return err
	}
	if err := s.makeTopics(ctx); err != nil {
		return err
	}
	if s.index, err = rig.OpenIndex(ctx, cfg.Weaviate, s.file, identity); err != nil {
		return s.adviseOnData(err)
	}
	s.onClose(func(context.Context) error { return s.index.Close() })
	s.finder = &finder.Finder{Index: s.index, Provider: s.provider, File: s.file}
	return nil
}

// adviseOnData says what helps where the data folder has the collections of another pipeline file. A Weaviate of somebody's
// own has nothing to do with that folder.
func (s *stack) adviseOnData(err error) error {
	if misfit, ok := errors.AsType[*weaviate.Misfit](err); ok && s.options.Weaviate == "" {
		return fmt.Errorf("%w: it was made in %s for another pipeline file, or for this one as it was: give --data another folder, or remove this one",
			misfit, s.options.Data)
	}
	return err
}

type ofServices struct {
	ingest ingester.Settings
	embed  embedder.Settings
	write  writer.Settings
}

func (s *stack) ofServices() (all ofServices, err error) {
	err = errors.Join(s.settings(&all.ingest), s.settings(&all.embed), s.settings(&all.write))
	return all, err
}

// checkSettings refuses what the services would refuse at their start, before anything is made. Where the servers will be that
// dev starts itself is not known yet, and something stands in for it.
func (s *stack) checkSettings(context.Context) error {
	known := s.environ
	defer func() { s.environ = known }()
	s.environ = append(slices.Clone(known),
		"FRESHET_KAFKA_BROKERS="+cmp.Or(s.options.Brokers, "127.0.0.1:1"),
		"FRESHET_WEAVIATE_URL="+cmp.Or(s.options.Weaviate, "http://127.0.0.1:1"),
		"FRESHET_WEAVIATE_GRPC="+cmp.Or(s.options.WeaviateGRPC, "127.0.0.1:1"),
	)
	all, err := s.ofServices()
	if err != nil {
		return err
	}
	return all.ingest.Check()
}

// startServices runs the services as their own binaries would.
func (s *stack) startServices(ctx context.Context) error {
	all, err := s.ofServices()
	if err != nil {
		return err
	}
	s.services, s.failed = errgroup.WithContext(ctx)
	s.services.Go(func() error { return ingester.Run(s.failed, s.process, all.ingest) })
	s.services.Go(func() error { return embedder.Run(s.failed, s.process, all.embed) })
	s.services.Go(func() error { return writer.Run(s.failed, s.process, all.write) })
	if model, ok := s.provider.(*builtin.Model); ok {
		s.services.Go(func() error { return builtin.Serve(s.failed, s.embedder, builtin.Handler(model)) })
	}
	s.onClose(func(context.Context) error {
		if err := s.services.Wait(); !errors.Is(err, context.Canceled) {
			return err
		}
		return nil
	})
	return nil
}

// failure returns when a service has failed, so that the show ends, or when ctx ends. The error is told by close, and only there.
func (s *stack) failure(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case <-s.failed.Done():
		return errDone
	}
}

func (s *stack) onClose(f func(context.Context) error) { s.closers = append(s.closers, f) }

// close ends everything that start began, as far as it came, the last first.
func (s *stack) close(ctx context.Context) error {
	s.stop()
	var errs []error
	for _, c := range slices.Backward(s.closers) {
		bound, cancel := context.WithTimeout(ctx, stopBound)
		errs = append(errs, c(bound))
		cancel()
	}
	return errors.Join(errs...)
}
