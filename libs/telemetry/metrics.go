package telemetry

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// Metric is one that a service hands to Metrics.Counter or Metrics.Gauge. Prometheus shows the dots of names as underscores.
type Metric struct{ name, unit, description string }

// What a service counts or adds up itself; money in the currency of its setting.
var (
	ProviderRequests    = Metric{"freshet.provider.requests", "", "Requests to the embeddings provider."}
	ProviderTexts       = Metric{"freshet.provider.texts", "", "Texts that the provider embedded."}
	ProviderTokens      = Metric{"freshet.provider.tokens", "", "Tokens that the provider charged for; estimated where it does not say."}
	ProviderAgainTokens = Metric{"freshet.provider.paid_again.tokens", "", "Those of them whose text had been paid for before."}
	ProviderSavedTokens = Metric{"freshet.provider.saved.tokens", "", "Tokens that were not paid for again, estimated."}
	ProviderFallbacks   = Metric{"freshet.provider.fallbacks", "", "Texts that the built-in model could not read and embedded by their characters."}
	ProviderCost        = Metric{"freshet.provider.cost", "", "What the provider charged, by tokens and price."}
	ProviderSavedCost   = Metric{"freshet.provider.saved.cost", "", "What was not paid because the vector was known; estimated."}
	WriteRemembered     = Metric{"freshet.write.states.remembered", "", "Items whose state write still knew from its own last write or read."}
	WriteLoaded         = Metric{"freshet.write.states.loaded", "", "Items whose state write had to read from the index."}
	RedisPassed         = Metric{"freshet.redis.entries", "", "Entries of Redis streams that Kafka and Redis have acknowledged."}
	RedisMissed         = Metric{"freshet.redis.entries.missed", "", "Entries of Redis streams that were removed before they were passed on."}
)

// Values with labels; money as above.
var (
	ProviderLimit   = Metric{"freshet.provider.gate.limit", "", "Requests or tokens a minute that a key's gate lets pass now; of a limit that is known."}
	ProviderShut    = Metric{"freshet.provider.gate.shut", "s", "Time for which a key's gate stays shut, since the provider said 429."}
	ProviderRefused = Metric{"freshet.provider.key.refused", "", "1 while a key is put aside, since the provider refused it, else 0."}
	ProviderWaiting = Metric{"freshet.provider.gate.waiting", "", "Requests that wait for a rate limit."}
	ProviderWaited  = Metric{"freshet.provider.gate.waited", "s", "Time that requests have waited for a rate limit, since the start."}
	ProviderBreaker = Metric{"freshet.provider.breaker", "", "State of an endpoint's circuit breaker: 0 closed, 1 open, 2 half open."}
	ProviderFailing = Metric{"freshet.provider.failing", "s", "Time since the first of the requests that have all failed since; 0 where the last one was answered, or none was sent for 5 minutes."}
	RegistryFailing = Metric{"freshet.schema_registry.failing", "s", "Time since the first of the requests to the schema registry that have all failed since; 0 where the last one was answered, or none was sent for 5 minutes."}
	BudgetSpent     = Metric{"freshet.embed.budget.spent", "", "What all replicas have spent today (UTC), and with a pipeline, for that one; without any budget, this replica."}
	BudgetLimit     = Metric{"freshet.embed.budget.limit", "", "What all replicas may spend a day, and with a pipeline, for that one; 0 is no bound."}
	BudgetWaiting   = Metric{"freshet.embed.budget.waiting", "", "Requests to the provider that wait for the budget of the next day; with a pipeline, texts that its budget has turned away today."}
	StageLater      = Metric{"freshet.stage.later", "", "Inputs that a stage has let pass, and handles again as soon as it can: their vectors follow."}
	RedisLag        = Metric{"freshet.redis.lag", "", "Entries of a Redis stream that its group has not read; 0 where another process reads it."}
	HTTPInFlight    = Metric{"freshet.http.in_flight", "By", "Bytes of HTTP requests, unpacked, that Kafka has not acknowledged yet."}
)

// Metrics holds the instruments of the stage runtime.
type Metrics struct {
	inputs      metric.Int64Counter
	items       metric.Int64Counter
	stage       metric.Float64Histogram
	batch       metric.Int64Histogram
	retries     metric.Int64Counter
	rebalances  metric.Int64Counter
	freshness   freshness
	wait        metric.Float64Histogram
	provider    metric.Float64Histogram
	tokens      metric.Int64Histogram
	deadLetters metric.Int64Counter
	indexBroken metric.Int64Gauge
	http        metric.Float64Histogram
	meter       metric.Meter

	mu         sync.Mutex
	unfinished map[stageLane]func() time.Duration
	labels     map[[6]string]metric.MeasurementOption
	observe    func(Freshness)
}

type stageLane struct{ stage, lane string }

func newMetrics(m metric.Meter) (*Metrics, error) {
	var errs []error
	counter := func(name, description string) metric.Int64Counter {
		c, err := m.Int64Counter(name, metric.WithDescription(description))
		errs = append(errs, err)
		return c
	}
	seconds := func(name, description string, bounds ...float64) metric.Float64Histogram {
		h, err := m.Float64Histogram(name, metric.WithUnit("s"), metric.WithDescription(description), metric.WithExplicitBucketBoundaries(bounds...))
		errs = append(errs, err)
		return h
	}
	sizes := func(name, unit, description string, bounds ...float64) metric.Int64Histogram {
		h, err := m.Int64Histogram(name, metric.WithUnit(unit), metric.WithDescription(description), metric.WithExplicitBucketBoundaries(bounds...))
		errs = append(errs, err)
		return h
	}
	x := &Metrics{
		meter: m, unfinished: map[stageLane]func() time.Duration{}, labels: map[[6]string]metric.MeasurementOption{},
		inputs:      counter("freshet.stage.inputs", "Inputs that a stage has begun with; each has one outcome in freshet.items, or is still being worked on."),
		items:       counter("freshet.items", "Inputs of a stage by their outcome."),
		retries:     counter("freshet.stage.retries", "Batches that were tried again."),
		rebalances:  counter("freshet.stage.rebalances", "Times that Kafka has shared out a stage's partitions anew, as this process has seen it."),
		deadLetters: counter("freshet.deadletters", "Dead letters by stage and reason."),
		stage:       seconds("freshet.stage.duration", "Time of a batch from decoding to its mark.", .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60),
		batch:       sizes("freshet.stage.batch.size", "", "Inputs of a batch, by why it had no more: full, or drained where no more were there.", 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000),
		// This name and that of tokens are of OpenTelemetry's semantic conventions.
		provider: seconds("gen_ai.client.operation.duration", "Time of a request to the embeddings provider, by endpoint and status; error where there was no answer.",
			.01, .02, .04, .08, .16, .32, .64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92),
		wait: seconds("freshet.provider.batch.wait", "Time that the first text of a request to the provider waited for others, by why it had no more: full or due.",
			.001, .002, .004, .008, .016, .032, .064, .128, .256, .512, 1.024, 10, 100),
		tokens: sizes("gen_ai.client.token.usage", "{token}", "Tokens that the provider charged a request for, by model; estimated where it does not say.",
			1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576), // of the conventions, as far as a request goes
		http: seconds("freshet.http.duration", "Time of an HTTP request until it is answered, by route and status.", .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30),
		freshness: freshness{
			acknowledged: seconds("freshet.freshness.duration", "Time from the source's commit to the acknowledged write.", freshnessBounds...),
			searchable:   seconds("freshet.freshness.searchable.duration", "Time from the source's commit to a search that finds the item by its own vector, of a sample of the items.", freshnessBounds...),
			future:       counter("freshet.freshness.future", "Items that reached the index before they were committed at the source, by the source's clock."),
			skew:         map[string]*skew{},
		},
	}
	gauge := func(name, unit, description string, observe metric.Float64Callback) {
		_, err := m.Float64ObservableGauge(name, metric.WithUnit(unit), metric.WithDescription(description), metric.WithFloat64Callback(observe))
		errs = append(errs, err)
	}
	gauge("freshet.stage.oldest_unfinished.age", "s", "Age of the oldest input that a stage has read and not finished; 0 if there is none.", x.observeUnfinished)
	gauge("freshet.clock.skew", "s", "By how much a source's clock was ahead of this machine's, at least and in the last minutes; 0 where that was not seen.", x.observeSkew)
	var err error
	x.indexBroken, err = m.Int64Gauge("freshet.index.broken", metric.WithDescription("1 while the index takes no writes of a collection, else 0."))
	return x, errors.Join(append(errs, err)...)
}

func (x *Metrics) observeUnfinished(_ context.Context, o metric.Float64Observer) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	for of, age := range x.unfinished {
		o.Observe(age().Seconds(), metric.WithAttributes(attribute.String("stage", of.stage), attribute.String("lane", of.lane)))
	}
	return nil
}

// Counter has what a service counts or adds up itself, and never goes down, read at each scrape.
func (x *Metrics) Counter(of Metric, read func() float64) error {
	_, err := x.meter.Float64ObservableCounter(of.name, metric.WithDescription(of.description),
		metric.WithFloat64Callback(func(_ context.Context, o metric.Float64Observer) error {
			o.Observe(read())
			return nil
		}))
	if err != nil {
		return fmt.Errorf("making counter %s: %w", of.name, err)
	}
	return nil
}

// Gauge has values that a service keeps itself read at each scrape. read calls observe for
// each of them, with pairs of a label's name and its value.
func (x *Metrics) Gauge(of Metric, read func(observe func(value float64, labels ...string))) error {
	_, err := x.meter.Float64ObservableGauge(of.name, metric.WithUnit(of.unit), metric.WithDescription(of.description),
		metric.WithFloat64Callback(func(_ context.Context, o metric.Float64Observer) error {
			read(func(value float64, labels ...string) { o.Observe(value, x.labelled(labels...)) })
			return nil
		}))
	if err != nil {
		return fmt.Errorf("making gauge %s: %w", of.name, err)
	}
	return nil
}

// Unfinished has the age of the oldest unfinished input that a stage has of a lane read at each scrape.
func (x *Metrics) Unfinished(stage, lane string, age func() time.Duration) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.unfinished[stageLane{stage, lane}] = age
}

// labelled returns the option of one to three labels, each a name and its value. It makes
// each once: sorting and hashing labels costs more than counting. Values are of short lists.
func (x *Metrics) labelled(pairs ...string) metric.MeasurementOption {
	var key [6]string
	copy(key[:], pairs)
	x.mu.Lock()
	defer x.mu.Unlock()
	option, ok := x.labels[key]
	if !ok {
		var attributes []attribute.KeyValue
		for pair := range slices.Chunk(pairs, 2) {
			attributes = append(attributes, attribute.String(pair[0], pair[1]))
		}
		option = metric.WithAttributes(attributes...)
		if len(x.labels) < mostSeries {
			x.labels[key] = option
		}
	}
	return option
}

// Begin has what counts a stage's troubles begin at 0: a series that begins with its first trouble shows no increase, so
// that an alert misses it.
func (x *Metrics) Begin(ctx context.Context, stage string, reasons ...string) {
	attrs := x.labelled("stage", stage)
	x.inputs.Add(ctx, 0, attrs)
	x.retries.Add(ctx, 0, attrs)
	for _, reason := range reasons {
		x.deadLetters.Add(ctx, 0, x.labelled("stage", stage, "reason", reason))
	}
}

// Inputs counts n inputs that a stage begins with.
func (x *Metrics) Inputs(ctx context.Context, stage string, n int) {
	x.inputs.Add(ctx, int64(n), x.labelled("stage", stage))
}

// GivenUp is the outcome of inputs that a stage has begun with and not finished, since their partition or the process
// went: whoever has the partition next begins with them again.
const GivenUp = "given-up"

// Items counts n inputs of one outcome.
func (x *Metrics) Items(ctx context.Context, stage, outcome string, n int) {
	x.items.Add(ctx, int64(n), x.labelled("stage", stage, "outcome", outcome))
}

// Batch records one finished batch. closed says why it had no more inputs.
func (x *Metrics) Batch(ctx context.Context, stage, closed string, size int, d time.Duration) {
	x.stage.Record(ctx, d.Seconds(), x.labelled("stage", stage))
	x.batch.Record(ctx, int64(size), x.labelled("stage", stage, "closed", closed))
}

// Retry counts one more try of a batch after a transient fault.
func (x *Metrics) Retry(ctx context.Context, stage string) {
	x.retries.Add(ctx, 1, x.labelled("stage", stage))
}

// Rebalance counts one assignment of partitions.
func (x *Metrics) Rebalance(ctx context.Context, stage string) {
	x.rebalances.Add(ctx, 1, x.labelled("stage", stage))
}

// Asked records one request to the embeddings provider. status is that of HTTP, or error.
func (x *Metrics) Asked(ctx context.Context, endpoint, status string, d time.Duration) {
	x.provider.Record(ctx, d.Seconds(), x.labelled("endpoint", endpoint, "status", status))
}

// Sent records one batch of texts that is asked for now, whose first one has waited. closed says why it has no more. A nil
// Metrics records nothing.
func (x *Metrics) Sent(ctx context.Context, closed string, waited time.Duration) {
	if x == nil {
		return
	}
	x.wait.Record(ctx, waited.Seconds(), x.labelled("closed", closed))
}

// Charged records what a request to the embeddings provider has cost, in tokens. A nil Metrics records nothing.
func (x *Metrics) Charged(ctx context.Context, model string, tokens int64) {
	if x == nil {
		return
	}
	x.tokens.Record(ctx, tokens, x.labelled("gen_ai.operation.name", "embeddings", "gen_ai.request.model", model, "gen_ai.token.type", "input"))
}

// DeadLetter counts one acknowledged dead letter.
func (x *Metrics) DeadLetter(ctx context.Context, stage, reason string) {
	x.deadLetters.Add(ctx, 1, x.labelled("stage", stage, "reason", reason))
}

// IndexBroken says whether the index takes the writes of a collection.
func (x *Metrics) IndexBroken(ctx context.Context, collection string, broken bool) {
	n := int64(0)
	if broken {
		n = 1
	}
	x.indexBroken.Record(ctx, n, x.labelled("collection", collection))
}
