package writer

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/freshet-io/freshet/libs/kafka"
	"github.com/freshet-io/freshet/libs/pipeline"
	"github.com/freshet-io/freshet/libs/record"
	"github.com/freshet-io/freshet/libs/service"
	"github.com/freshet-io/freshet/libs/stage"
	"github.com/freshet-io/freshet/libs/telemetry"
	"github.com/freshet-io/freshet/libs/weaviate"
)

// Settings is the configuration of the service.
type Settings struct {
	Kafka      kafka.Config
	Topics     kafka.Topics `inline:"true"`
	Weaviate   weaviate.Config
	Pipeline   pipeline.Setting `required:"true" desc:"path of the pipeline file"`
	Groups     kafka.Groups     `inline:"true"`
	InFlight   int              `envconfig:"WRITE_IN_FLIGHT" default:"2" desc:"calls to Weaviate at a time, of all partitions"`
	Remembered int              `envconfig:"WRITE_REMEMBERED_BYTES" default:"33554432" desc:"memory for the states of items that were written or read lately, about 700 bytes each, so that they are not read again; 0 keeps none"`
	Doubt      time.Duration    `envconfig:"WRITE_DOUBT" default:"90s" desc:"after a writer that did not leave cleanly nothing is committed for so long, and then all of it is worked on once more: a call of that writer may still land; also how long a call that failed may land after all; longer than a call to Weaviate may take (60s)"`
	Sampled    float64          `envconfig:"WRITE_SEARCHABLE_SAMPLE" default:"0.01" desc:"share of the written items, 0 to 1, that are searched for by their own vectors until they are found, which measures freshness as a search sees it"`
	Stage      stage.Settings   `inline:"true"`

	TombstoneRetention time.Duration `envconfig:"WRITE_TOMBSTONE_RETENTION" default:"840h" desc:"how long the index remembers a deleted item, so that no late record brings it back; at least as long as dead letters are kept; 0 is for ever"`
}

// Validate reports settings that cannot be.
func (s Settings) Validate() error {
	switch {
	case s.InFlight < 1:
		return fmt.Errorf("WRITE_IN_FLIGHT is %d: at least 1", s.InFlight)
	case s.TombstoneRetention < 0:
		return fmt.Errorf("WRITE_TOMBSTONE_RETENTION is %s: it must not be negative", s.TombstoneRetention)
	case s.Sampled < 0 || s.Sampled > 1:
		return fmt.Errorf("WRITE_SEARCHABLE_SAMPLE is %g: it must be 0 to 1", s.Sampled)
	case s.Remembered < 0:
		return fmt.Errorf("WRITE_REMEMBERED_BYTES is %d: it cannot be negative", s.Remembered)
	case s.Doubt <= 0:
		return fmt.Errorf("WRITE_DOUBT is %s: it must be above 0, or a call of a writer that slept wins over newer states", s.Doubt)
	}
	return nil
}

// Run moves vectors into Weaviate until ctx ends. Both lanes are read by one group:
// an item may be in either, and must have one writer.
func Run(ctx context.Context, p *service.Process, cfg Settings) error {
	file := cfg.Pipeline.File
	identity, err := cfg.Topics.Identify(ctx, cfg.Kafka, p.Log)
	if err != nil {
		return err
	}
	cfg.Weaviate.Before = stage.Owned
	index, err := weaviate.Attach(ctx, cfg.Weaviate, file, identity, p.Log)
	if err != nil {
		return err
	}
	defer func() { _ = index.Close() }()

	versions, err := cfg.openVersions(ctx, identity, p)
	if err != nil {
		return err
	}
	defer versions.Close()

	sample := NewSample(ctx, cfg.Sampled, index, p.Telemetry.Metrics.Searchable, p.Log)
	defer sample.Close()
	all := collections(file)
	writer := New(index, Config{
		Collections: all, InFlight: cfg.InFlight, Recipes: NewPublished(cfg.Kafka, cfg.Topics, p.Log),
		Log: versions, Partitions: identity.Partitions, Observe: observer(ctx, p, all), Outage: index.Waited(), Remembered: cfg.Remembered,
		Doubt: cfg.Doubt, Sample: sample,
	})
	m := p.Telemetry.Metrics
	if err := errors.Join(
		m.Counter(telemetry.WriteRemembered, func() float64 { remembered, _ := writer.memory.counts(); return float64(remembered) }),
		m.Counter(telemetry.WriteLoaded, func() float64 { _, loaded := writer.memory.counts(); return float64(loaded) }),
	); err != nil {
		return err
	}
	keeper := NewKeeper(writer, index, identity.IDs, cfg.TombstoneRetention)
	if err := NewStage(cfg, identity, writer, keeper).Run(ctx, p); err != nil {
		return fmt.Errorf("writing vectors: %w", err)
	}
	return nil
}

// openVersions opens what the writer asks the log, and looks whether tombstones are kept for long enough.
func (s Settings) openVersions(ctx context.Context, identity kafka.Identity, p *service.Process) (*kafka.Versions, error) {
	versions, err := s.Topics.OpenVersions(ctx, s.Kafka, identity, s.Groups.Named(s.Topics), p.Log)
	if err != nil {
		return nil, err
	}
	outlive := func(ctx context.Context) error { return versions.OutlivesLetters(ctx, s.TombstoneRetention) }
	if err := service.AwaitDone(ctx, p.Log, "the dead letters' retention", outlive); err != nil {
		versions.Close()
		return nil, err
	}
	return versions, nil
}

// NewStage returns the stage that has the writer bring vectors of both lanes into the index. What it emits goes back
// to embed, in the lane of its cause. keeper may be nil: then the index is trusted to forget nothing.
func NewStage(cfg Settings, identity kafka.Identity, writer *Writer, keeper stage.Keeper) *stage.Stage[*record.Vector, *record.Document] {
	return &stage.Stage[*record.Vector, *record.Document]{
		Name: "write",
		From: stage.Source{
			Cluster: cfg.Kafka, Topics: []string{cfg.Topics.VectorsLive(), cfg.Topics.VectorsBulk()},
			Bulk: cfg.Topics.VectorsBulk(), Group: cfg.Groups.Named(cfg.Topics).Write, CoPartitioned: true,
		},
		To:         stage.Sink{Cluster: cfg.Kafka, Topics: cfg.Topics, Identity: identity, Topic: cfg.Topics.DocumentsLive(), Compress: true},
		Received:   record.WriteReceived,
		Left:       record.Written,
		Settings:   cfg.Stage,
		Items:      100,
		QueueBytes: 32 << 20,
		Decode:     func(r stage.Record) (*record.Vector, error) { return record.DecodeVector(r.Value) },
		Encode: func(d *record.Document) (stage.Output, error) {
			value, err := d.Encode()
			out := stage.Output{Key: d.Item().Key(), Value: value}
			if d.GetStamp() > 0 {
				out.Topic = cfg.Topics.DocumentsBulk()
			}
			return out, err
		},
		Describe: describe,
		Handler:  writer,
		Doubt:    cfg.Doubt,
		Assigned: writer.TakeOver,
		Again:    writer.Again,
		Keeper:   keeper,
	}
}

func describe(v *record.Vector) stage.Facts {
	facts := stage.FactsOf(v.GetDocument(), v.GetVersion())
	facts.Told = facts.Told || v.GetState() == record.VectorState_VECTOR_STATE_FAILED
	facts.Follows = v.GetState() == record.VectorState_VECTOR_STATE_PENDING
	return facts
}

func collections(file *pipeline.File) map[string]Collection {
	all := map[string]Collection{}
	for _, c := range file.Collections() {
		all[c.Name] = Collection{Space: file.Space.String(), Dimensions: file.Space.Dimensions}
	}
	return all
}
