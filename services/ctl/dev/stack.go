package dev

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"

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

// stack is everything that runs.
type stack struct {
	options     Options
	environ     []string // settings of the services, as NAME=value
	brokers     string
	weaviateURL string
	embedder    net.Listener // of the built-in model; nil where another one embeds

	broker   *fake.Broker
	server   *local.Weaviate
	log      *os.File
	process  *service.Process
	admin    func(context.Context) error // closes the admin port of all services; nil where it is not open
	file     *pipeline.File
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
}

// start brings everything up. ctx bounds the start, work the life of the services.
func start(ctx, work context.Context, o Options) (*stack, error) {
	s := &stack{options: o, fresh: newFreshness()}
	s.shop = newShop(s)
	work, s.stop = context.WithCancel(work)
	for _, step := range []func(context.Context) error{s.openLog, s.startKafka, s.startWeaviate, s.configure, s.layOut, s.openConsole} {
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

func (s *stack) openLog(ctx context.Context) error {
	var err error
	s.log, err = os.OpenFile(filepath.Join(s.options.Data, "freshet.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("opening the log: %w", err)
	}
	s.process, err = rig.Process(ctx, "freshet-dev", slog.New(slog.NewTextHandler(s.log, nil)), s.fresh.add)
	if err != nil {
		return err
	}
	var address string
	if address, s.admin, err = (service.Admin{Address: "127.0.0.1:0"}).Serve(ctx, s.process); err == nil {
		s.environ = append(s.environ, "FRESHET_ADMIN_ADDRESSES="+address)
	}
	return err
}

func (s *stack) startKafka(context.Context) error {
	if s.brokers = s.options.Brokers; s.brokers != "" {
		return nil
	}
	var err error
	if s.broker, err = fake.StartBroker(filepath.Join(s.options.Data, "kafka")); err != nil {
		return err
	}
	s.brokers = s.broker.Brokers()
	return nil
}

func (s *stack) startWeaviate(ctx context.Context) error {
	if s.weaviateURL = s.options.Weaviate; s.weaviateURL != "" {
		return nil
	}
	s.say("starting Weaviate %s; all state is in %s", local.WeaviateVersion, s.options.Data)
	var err error
	s.server, err = local.StartWeaviate(ctx, local.WeaviateOptions{Data: filepath.Join(s.options.Data, "weaviate"), Log: s.log})
	if err != nil {
		return err
	}
	s.weaviateURL, s.options.WeaviateGRPC = "http://"+s.server.REST, s.server.GRPC
	return nil
}

// configure writes the pipeline file and the settings that all services share.
func (s *stack) configure(ctx context.Context) error {
	path := s.options.Pipeline
	if path == "" {
		path = filepath.Join(s.options.Data, "pipeline.yaml")
		if err := os.WriteFile(path, s.options.pipelineFile(), 0o600); err != nil {
			return fmt.Errorf("writing the pipeline file: %w", err)
		}
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return fmt.Errorf("finding the pipeline file: %w", err)
	}
	s.environ = append(s.environ,
		"FRESHET_KAFKA_BROKERS="+s.brokers,
		"FRESHET_KAFKA_METADATA_MIN_AGE=250ms",
		"FRESHET_WEAVIATE_URL="+s.weaviateURL,
		"FRESHET_WEAVIATE_GRPC="+s.options.WeaviateGRPC,
		"FRESHET_PIPELINE="+path,
		"FRESHET_SESSION_TIMEOUT=10s", "FRESHET_DRAIN=20s", "FRESHET_REBALANCE_TIMEOUT=30s",
		"FRESHET_WRITE_SEARCHABLE_SAMPLE=1", // so few changes want all of them
	)
	if s.server != nil {
		// Its own Weaviate is for trying templates out.
		s.environ = append(s.environ, "FRESHET_WEAVIATE_API_KEY="+s.server.APIKey, "FRESHET_WEAVIATE_MIX_TEMPLATES=true")
	}
	if url := s.options.providerURL(); url != "" {
		s.environ = append(s.environ, "FRESHET_OPENAI_URL="+url)
	}
	if s.file, err = pipeline.Load(path); err != nil {
		return err
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
	s.environ = append(s.environ, "FRESHET_OPENAI_URL=http://"+s.embedder.Addr().String()+"/v1")
	return nil
}

// settings fills a configuration: what dev decides, over the caller's environment
// for what it leaves open, such as passwords and keys.
func (s *stack) settings(cfg any) error {
	return service.Load(append(os.Environ(), s.environ...), cfg)
}

// layOut creates topics and collections and opens what the show itself needs.
func (s *stack) layOut(ctx context.Context) error {
	var cfg struct {
		Kafka    kafka.Config
		Topics   kafka.Topics `inline:"true"`
		Weaviate weaviate.Config
		OpenAI   providers.OpenAI `envconfig:"OPENAI"`
	}
	if err := s.settings(&cfg); err != nil {
		return err
	}
	s.topics = cfg.Topics
	var err error
	if s.client, err = kafka.Producer(ctx, cfg.Kafka, cfg.Topics, true, s.process.Log); err != nil {
		return err
	}
	identity, err := rig.LayTopics(ctx, s.client, s.topics, s.file, rig.Partitions{Pipeline: partitions, Source: s.partitionsOfSources()})
	if err != nil {
		return err
	}
	if s.index, err = rig.OpenIndex(ctx, cfg.Weaviate, s.file, identity); err != nil {
		return err
	}
	s.provider, err = providers.Open(s.file.Space, cfg.OpenAI, s.process.Log)
	s.finder = &finder.Finder{Index: s.index, Provider: s.provider, File: s.file}
	return err
}

// startServices runs the services as their own binaries would.
func (s *stack) startServices(ctx context.Context) error {
	var ingest ingester.Settings
	var embed embedder.Settings
	var write writer.Settings
	if err := errors.Join(s.settings(&ingest), s.settings(&embed), s.settings(&write)); err != nil {
		return err
	}
	s.services, s.failed = errgroup.WithContext(ctx)
	s.services.Go(func() error { return ingester.Run(s.failed, s.process, ingest) })
	s.services.Go(func() error { return embedder.Run(s.failed, s.process, embed) })
	s.services.Go(func() error { return writer.Run(s.failed, s.process, write) })
	if model, ok := s.provider.(*builtin.Model); ok {
		s.services.Go(func() error { return builtin.Serve(s.failed, s.embedder, builtin.Handler(model)) })
	}
	return nil
}

// failure returns when a service has failed, with its error, or when ctx ends.
func (s *stack) failure(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case <-s.failed.Done():
		return s.services.Wait()
	}
}

// close ends everything that start began, as far as it came.
func (s *stack) close(ctx context.Context) error {
	s.stop()
	var errs []error
	if s.services != nil {
		if err := s.services.Wait(); err != nil && !errors.Is(err, context.Canceled) {
			errs = append(errs, err)
		}
	}
	if s.embedder != nil {
		_ = s.embedder.Close() // closed already where it was served
	}
	if s.console != nil {
		_ = s.console.Close() // closed already where it was served
	}
	if s.inspector != nil {
		s.inspector.Close()
	}
	if s.client != nil {
		s.client.Close()
	}
	if s.index != nil {
		errs = append(errs, s.index.Close())
	}
	ctx, cancel := context.WithTimeout(ctx, stopBound)
	defer cancel()
	if s.server != nil {
		errs = append(errs, s.server.Stop(ctx))
	}
	if s.broker != nil {
		s.broker.Close()
	}
	if s.admin != nil {
		errs = append(errs, s.admin(ctx))
	}
	if s.process != nil {
		errs = append(errs, s.process.Telemetry.Close(ctx))
	}
	if err := os.Remove(connectionFile(s.options.Data)); err != nil && !errors.Is(err, os.ErrNotExist) {
		errs = append(errs, err)
	}
	return errors.Join(append(errs, s.log.Close())...)
}
