package ingester

import (
	"context"
	"fmt"
	"log/slog"

	"golang.org/x/sync/errgroup"

	"github.com/freshet-io/freshet/libs/fault"
	"github.com/freshet-io/freshet/libs/kafka"
	"github.com/freshet-io/freshet/libs/pipeline"
	"github.com/freshet-io/freshet/libs/record"
	"github.com/freshet-io/freshet/libs/service"
	"github.com/freshet-io/freshet/libs/stage"
	"github.com/freshet-io/freshet/services/ingest/intake"
	"github.com/freshet-io/freshet/services/ingest/redis"
	"github.com/freshet-io/freshet/services/ingest/registry"
)

// Settings is the configuration of the service.
type Settings struct {
	Kafka  kafka.Config
	Source struct {
		Kafka kafka.Config `inherit:"KAFKA"`
	}
	Topics   kafka.Topics     `inline:"true"`
	Pipeline pipeline.Setting `required:"true" desc:"path of the pipeline file"`
	Groups   kafka.Groups     `inline:"true"`
	Ingest   Config           `envconfig:"INGEST"`
	HTTP     intake.Config    `envconfig:"HTTP"`
	Registry registry.Config  `envconfig:"SCHEMA_REGISTRY"`
	Redis    redis.Config
	Stage    stage.Settings `inline:"true"`
}

// Check tells where settings and pipeline file do not go together. It asks nobody.
func (s Settings) Check() error {
	if s.HTTP.Address != "" && len(HTTPSources(s.Pipeline.File)) == 0 {
		return fault.Halt("FRESHET_HTTP_ADDRESS is set, and no pipeline of %s says source: {http: true}", s.Pipeline.Path)
	}
	return s.Redis.Check(s.Pipeline.File.Feeds())
}

// Run turns the changes of the pipeline file's topics into documents, and takes changes over HTTP where that is set, until
// ctx ends.
func Run(ctx context.Context, p *service.Process, cfg Settings) error {
	if err := cfg.Check(); err != nil {
		return err
	}
	file := cfg.Pipeline.File
	if names := namesOf(HTTPSources(file)); cfg.HTTP.Address == "" && len(names) > 0 {
		// No fault: another deployment of ingest may be the one that takes them.
		p.Log.WarnContext(ctx, "this process takes no changes over HTTP: FRESHET_HTTP_ADDRESS is not set", "pipelines", names)
	}
	ingesters := make(chan *Ingester, 1)
	group, work := errgroup.WithContext(ctx)
	group.Go(func() error { return serveHTTP(work, p, cfg, file, ingesters) })
	group.Go(func() error { return run(work, p, cfg, file, ingesters) })
	return group.Wait()
}

// run waits for Kafka, and then turns changes into documents. It hands on the ingester that it does so with.
func run(ctx context.Context, p *service.Process, cfg Settings, file *pipeline.File, ingesters chan<- *Ingester) error {
	identity, err := cfg.Topics.Identify(ctx, cfg.Kafka, p.Log)
	if err != nil {
		return err
	}
	rewinds, err := service.Await(ctx, p.Log, "the control topic", func(ctx context.Context) (map[string]uint64, error) {
		return publishRecipes(ctx, cfg, file, p.Log)
	})
	if err != nil {
		return err
	}
	client, err := cfg.Source.Kafka.Connect(ctx, p.Log)
	if err != nil {
		return fmt.Errorf("connecting to the source cluster: %w", err)
	}
	defer client.Close()
	from := &sources{file: file, own: cfg.Topics.Prefix + ".", list: func(ctx context.Context) (map[string]int, error) {
		return kafka.Partitions(ctx, client)
	}}
	topics, err := service.Await(ctx, p.Log, "the source topics", from.topics)
	if err != nil {
		return err
	}
	var schemas Schemas
	if len(cfg.Registry.URL) > 0 {
		of, err := registry.Open(cfg.Registry, p.Log)
		if err == nil {
			err = of.Publish(p.Telemetry.Metrics)
		}
		if err != nil {
			return err
		}
		schemas = of
	}
	ingester, err := New(file, Options{
		Config: cfg.Ingest, Schemas: schemas, Rewind: func(source string) uint64 { return rewinds[source] }, Partitioned: from.partitioned,
		Recognised: func(topic string, f pipeline.Format) {
			p.Log.WarnContext(ctx, "format auto is for trying out: set the format of the topic", "topic", topic, "format", f)
		},
	})
	if err != nil {
		return err
	}

	s := NewStage(cfg, topics, identity, ingester)
	s.From.More = from.topics // without patterns, too: a topic may get more partitions
	ingesters <- ingester
	group, work := errgroup.WithContext(ctx)
	group.Go(func() error { return redis.Run(work, p, cfg.Redis, cfg.Source.Kafka, cfg.Topics.Prefix, file.Feeds()) })
	group.Go(func() error {
		if err := s.Run(work, p); err != nil {
			return fmt.Errorf("ingesting changes: %w", err)
		}
		return nil
	})
	return group.Wait()
}

// NewStage returns the stage that has the ingester turn the changes of the topics into documents.
func NewStage(cfg Settings, topics []string, identity kafka.Identity, ingester *Ingester) *stage.Stage[Change, *record.Document] {
	return &stage.Stage[Change, *record.Document]{
		Name: "ingest",
		From: stage.Source{Cluster: cfg.Source.Kafka, Topics: topics, Group: cfg.Groups.Named(cfg.Topics).Ingest},
		To: stage.Sink{
			Cluster: cfg.Kafka, Topics: cfg.Topics, Identity: identity,
			Topic: cfg.Topics.DocumentsLive(), Compress: true, Versioned: true,
			Reader: cfg.Groups.Named(cfg.Topics).Embed,
		},
		Received: record.IngestReceived,
		Left:     record.IngestProduced,
		Settings: cfg.Stage,
		Items:    500,
		Decode:   Decode,
		Encode:   encode,
		Describe: func(Change) stage.Facts { return stage.Facts{} }, // what is known of a change is in its outputs
		Handler:  ingester,
		Mark:     func(d *record.Document, reason fault.Reason) *record.Document { return d.Mark(string(reason)) },
	}
}

func encode(d *record.Document) (stage.Output, error) {
	value, err := d.Encode()
	return stage.Output{Key: d.Item().Key(), Value: value, CommittedAt: stage.CommittedAt(d)}, err
}

// publishRecipes writes the pipelines' recipes to the control topic before any
// document names one, and returns how often each source was rewound on purpose.
func publishRecipes(ctx context.Context, cfg Settings, file *pipeline.File, log *slog.Logger) (map[string]uint64, error) {
	client, err := kafka.Producer(ctx, cfg.Kafka, cfg.Topics, true, log)
	if err != nil {
		return nil, err
	}
	defer client.Close()
	control, err := kafka.ReadControl(ctx, client, cfg.Topics)
	if err != nil {
		return nil, err
	}
	for i := range file.Pipelines {
		hash, body := file.Pipelines[i].ItemRecipe()
		if err := control.PutRecipe(ctx, hash, body); err != nil {
			return nil, fmt.Errorf("publishing the recipe of pipeline %s: %w", file.Pipelines[i].Name, err)
		}
	}
	return control.Rewinds, nil
}
