package writer

import (
	"cmp"
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
	Pipeline   string         `required:"true" desc:"path of the pipeline file"`
	Group      string         `envconfig:"WRITE_GROUP" desc:"consumer group; the topic prefix and -write if empty"`
	InFlight   int            `envconfig:"WRITE_IN_FLIGHT" default:"2" desc:"calls to Weaviate at a time, of all partitions"`
	Remembered int            `envconfig:"WRITE_REMEMBERED_BYTES" default:"33554432" desc:"memory for the states of items that were written or read lately, about 700 bytes each, so that they are not read again; 0 keeps none"`
	Doubt      time.Duration  `envconfig:"WRITE_DOUBT" default:"90s" desc:"after a writer that did not leave cleanly nothing is committed for so long, and then all of it is worked on once more: a call of that writer may still land; longer than a call to Weaviate may take (60s)"`
	Stage      stage.Settings `inline:"true"`
}

// Validate reports settings that cannot be.
func (s Settings) Validate() error {
	switch {
	case s.InFlight < 1:
		return fmt.Errorf("WRITE_IN_FLIGHT is %d: at least 1", s.InFlight)
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
	file, err := pipeline.Load(cfg.Pipeline)
	if err != nil {
		return err
	}
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

	writer := New(index, Config{Collections: collections(file), InFlight: cfg.InFlight, Remembered: cfg.Remembered})
	if err := writer.publish(p.Telemetry.Metrics); err != nil {
		return err
	}
	if err := NewStage(cfg, identity, writer).Run(ctx, p); err != nil {
		return fmt.Errorf("writing vectors: %w", err)
	}
	return nil
}

// NewStage returns the stage that has the writer bring vectors of both lanes into the index.
func NewStage(cfg Settings, identity kafka.Identity, writer *Writer) *stage.Stage[*record.Vector, None] {
	return &stage.Stage[*record.Vector, None]{
		Name: "write",
		From: stage.Source{
			Cluster: cfg.Kafka, Topics: []string{cfg.Topics.VectorsLive(), cfg.Topics.VectorsBulk()},
			Group: cmp.Or(cfg.Group, cfg.Topics.Prefix+"-write"), CoPartitioned: true,
		},
		To:         stage.Sink{Cluster: cfg.Kafka, Topics: cfg.Topics, Identity: identity},
		Settings:   cfg.Stage,
		Items:      100,
		QueueBytes: 32 << 20,
		Decode:     func(r stage.Record) (*record.Vector, error) { return record.DecodeVector(r.Value) },
		Describe:   func(v *record.Vector) stage.Facts { return stage.FactsOf(v.GetDocument(), v.GetVersion()) },
		Handler:    writer,
		Doubt:      cfg.Doubt,
		Assigned:   writer.TakeOver,
	}
}

// publish shows how often an item's state was remembered, and how often it was read.
func (w *Writer) publish(m *telemetry.Metrics) error {
	return errors.Join(
		m.Counter(telemetry.WriteRemembered, func() int64 { remembered, _ := w.memory.counts(); return remembered }),
		m.Counter(telemetry.WriteLoaded, func() int64 { _, loaded := w.memory.counts(); return loaded }),
	)
}

func collections(file *pipeline.File) map[string]Collection {
	all := map[string]Collection{}
	for _, c := range file.Collections() {
		all[c.Name] = Collection{Space: file.Space.String(), Dimensions: file.Space.Dimensions}
	}
	return all
}
