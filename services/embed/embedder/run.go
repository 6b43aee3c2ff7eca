package embedder

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/freshet-io/freshet/libs/fault"
	"github.com/freshet-io/freshet/libs/kafka"
	"github.com/freshet-io/freshet/libs/pipeline"
	"github.com/freshet-io/freshet/libs/record"
	"github.com/freshet-io/freshet/libs/service"
	"github.com/freshet-io/freshet/libs/stage"
	"github.com/freshet-io/freshet/libs/telemetry"
	"github.com/freshet-io/freshet/libs/weaviate"
	"github.com/freshet-io/freshet/services/embed/provider"
	"github.com/freshet-io/freshet/services/embed/providers"
)

// Settings is the configuration of the service.
type Settings struct {
	Kafka    kafka.Config
	Topics   kafka.Topics `inline:"true"`
	Weaviate weaviate.Config
	Pipeline pipeline.Setting `required:"true" desc:"path of the pipeline file"`
	Groups   kafka.Groups     `inline:"true"`
	OpenAI   providers.OpenAI `envconfig:"OPENAI"`
	Embed    Config           `envconfig:"EMBED"`
	Stage    stage.Settings   `inline:"true"`
}

// Run turns documents into vectors until ctx ends. Each lane has a group of its own,
// so that a backfill never stands before a live change; both share the provider.
func Run(ctx context.Context, p *service.Process, cfg Settings) error {
	file := cfg.Pipeline.File
	identity, err := cfg.Topics.Identify(ctx, cfg.Kafka, p.Log)
	if err != nil {
		return err
	}
	index, err := weaviate.Attach(ctx, cfg.Weaviate, file, identity, p.Log)
	if err != nil {
		return err
	}
	defer func() { _ = index.Close() }()
	cfg.Embed.Budgets = file.Budgets()
	embedder, err := cfg.open(ctx, p, file.Space, index)
	if err != nil {
		return err
	}
	client, err := kafka.Producer(ctx, cfg.Kafka, cfg.Topics, true, p.Log)
	if err != nil {
		return err
	}
	defer client.Close()
	journal, err := service.Await(ctx, p.Log, "the ledger of costs", func(ctx context.Context) (*kafka.Costs, error) {
		return kafka.OpenCosts(ctx, client, cfg.Topics, dayOf(time.Now()))
	})
	if err != nil {
		return err
	}
	p.Health.Note("budget", embedder.ledger.pause)
	// Before anything is paid: the budget of today may be spent already.
	spent := func(ctx context.Context) error { return embedder.ledger.read(ctx, journal) }
	if err := service.AwaitDone(ctx, p.Log, "what is spent of the budget", spent); err != nil {
		return err
	}

	live, bulk := NewStages(cfg, identity, embedder)
	lanes, running := errgroup.WithContext(ctx)
	lanes.Go(func() error { return live.Run(running, p) })
	lanes.Go(func() error { return bulk.Run(running, p) })
	lanes.Go(func() error { return embedder.ledger.keep(running, journal, p.Log) })
	err = lanes.Wait()
	embedder.Close() // before the ledger is written for the last time
	if lost := embedder.ledger.finish(ctx, journal); lost != nil {
		p.Log.WarnContext(ctx, "the cost ledger lacks the last seconds", "error", lost)
	}
	if err != nil {
		return fmt.Errorf("embedding documents: %w", err)
	}
	return nil
}

// open returns the embedder into a space, with its provider and what it shows of itself.
func (s Settings) open(ctx context.Context, p *service.Process, space pipeline.Space, index Index) (*Embedder, error) {
	vectors, err := providers.Open(space, s.OpenAI, p.Log)
	if err != nil {
		return nil, err
	}
	if err := providers.Start(ctx, vectors, p.Telemetry.Metrics); err != nil {
		return nil, err
	}
	embedder, err := New(vectors, index, Space{Name: space.String(), Model: space.Model, Dimensions: space.Dimensions, Prefix: space.Prefix}, s.Embed)
	if err != nil {
		return nil, err
	}
	embedder.Trace(p.Telemetry)
	return embedder, embedder.publish(p.Telemetry.Metrics)
}

// NewStages returns the stages that have the embedder turn the documents of each lane into vectors.
func NewStages(cfg Settings, identity kafka.Identity, embedder *Embedder) (live, bulk *stage.Stage[Input, *record.Vector]) {
	groups := cfg.Groups.Named(cfg.Topics)
	lane := func(name, from, to, group string, handler stage.Handler[Input, *record.Vector], decode func(stage.Record) (Input, error)) *stage.Stage[Input, *record.Vector] {
		return &stage.Stage[Input, *record.Vector]{
			Name:     name,
			From:     stage.Source{Cluster: cfg.Kafka, Topics: []string{from}, Bulk: cfg.Topics.DocumentsBulk(), Group: group},
			To:       stage.Sink{Cluster: cfg.Kafka, Topics: cfg.Topics, Identity: identity, Topic: to, Reader: groups.Write},
			Received: record.EmbedReceived,
			Left:     record.Embedded,
			Settings: cfg.Stage,
			Items:    100,
			Flights:  4, // requests overlap, and a quiet topic need not wait for one to end
			Decode:   decode,
			Encode:   encode,
			Describe: func(in Input) stage.Facts { return stage.FactsOf(in.Document, in.Version) },
			Handler:  handler,
			Mark:     func(v *record.Vector, reason fault.Reason) *record.Vector { return v.Mark(string(reason)) },
		}
	}
	live = lane("embed", cfg.Topics.DocumentsLive(), cfg.Topics.VectorsLive(), groups.Embed, embedder, decodeLive(identity.Epoch))
	bulk = lane("embed-bulk", cfg.Topics.DocumentsBulk(), cfg.Topics.VectorsBulk(), groups.EmbedBulk(), backfill{Embedder: embedder}, decodeBulk)
	// Also where nothing is left for later now: an owner before may have had other settings.
	live.Later, bulk.Later = followers{embedder}, backfill{embedder, manner{again: true}}
	return live, bulk
}

// backfill handles documents whose texts wait for the live ones', and again those that wait for their pipeline's budget.
type backfill struct {
	*Embedder
	manner
}

func (b backfill) Handle(ctx context.Context, batch []Input) ([]stage.Outcome[*record.Vector], error) {
	return b.handle(provider.WithLane(ctx, provider.NewLane(true, nil)), batch, b.manner)
}

// publish shows what was paid for and what was not. It is called before anything is handled.
func (e *Embedder) publish(m *telemetry.Metrics) error {
	e.batcher.metrics, e.ledger.metrics = m, m
	var errs []error
	for name, read := range map[telemetry.Metric]func(Counts) int64{
		telemetry.ProviderRequests:    func(c Counts) int64 { return c.Requests },
		telemetry.ProviderTexts:       func(c Counts) int64 { return c.Texts },
		telemetry.ProviderTokens:      func(c Counts) int64 { return c.Tokens },
		telemetry.ProviderAgainTokens: func(c Counts) int64 { return c.AgainTokens },
		telemetry.ProviderSavedTokens: func(c Counts) int64 { return c.ReusedTokens },
		telemetry.ProviderFallbacks:   func(c Counts) int64 { return c.Fallbacks },
	} {
		errs = append(errs, m.Counter(name, func() float64 { return float64(read(e.Counts())) }))
	}
	return errors.Join(append(errs, e.ledger.publish(m))...)
}

func (l *ledger) publish(m *telemetry.Metrics) error {
	return errors.Join(
		m.Counter(telemetry.ProviderCost, func() float64 { return l.money(l.totals().Paid) }),
		m.Counter(telemetry.ProviderSavedCost, func() float64 { return l.money(l.totals().Saved) }),
		m.Gauge(telemetry.BudgetLimit, l.each(func(p purchase) float64 { return l.money(p.limit) })),
		m.Gauge(telemetry.BudgetSpent, l.each(func(p purchase) float64 { return l.money(p.spent) })),
		m.Gauge(telemetry.BudgetWaiting, l.each(func(p purchase) float64 { return float64(p.waiting) })),
	)
}

func (l *ledger) each(value func(purchase) float64) func(observe func(float64, ...string)) {
	return func(observe func(float64, ...string)) {
		for _, p := range l.purchases() {
			if p.pipeline == "" {
				observe(value(p))
			} else {
				observe(value(p), "pipeline", p.pipeline)
			}
		}
	}
}

func encode(v *record.Vector) (stage.Output, error) {
	value, err := v.Encode()
	return stage.Output{Key: v.GetDocument().Item().Key(), Value: value}, err
}

// decodeLive gives a document the version that its place in the log decides, or the
// one that a redriven dead letter brings along.
func decodeLive(epoch int32) func(stage.Record) (Input, error) {
	return func(r stage.Record) (Input, error) {
		d, err := record.DecodeDocument(r.Value)
		if err != nil {
			return Input{}, err
		}
		if explicit, ok, err := r.ExplicitVersion(); ok || err != nil {
			return Input{Document: d, Version: explicit, Origin: record.VersionOrigin_VERSION_ORIGIN_EXPLICIT, Trace: r.Trace}, err
		}
		version, err := record.Version(epoch, r.Offset)
		if err != nil {
			return Input{}, fault.Halt("no version can be given to %s, partition %d: %w", r.Topic, r.Partition, err)
		}
		return Input{Document: d, Version: version, Origin: record.VersionOrigin_VERSION_ORIGIN_LOG, Trace: r.Trace}, nil
	}
}

// decodeBulk gives a row of a backfill the version that it is stamped with.
func decodeBulk(r stage.Record) (Input, error) {
	d, err := record.DecodeDocument(r.Value)
	if err != nil {
		return Input{}, err
	}
	if d.GetStamp() <= 0 && d.GetOp() != record.Op_OP_MARKER {
		return Input{}, fault.Reject(fault.Malformed, "a bulk document without a stamp")
	}
	return Input{Document: d, Version: d.GetStamp(), Origin: record.VersionOrigin_VERSION_ORIGIN_STAMP, Trace: r.Trace}, nil
}
