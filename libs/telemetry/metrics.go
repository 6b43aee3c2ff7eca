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

// The names of all metrics. Prometheus shows dots as underscores.
const (
	nameInputs      = "freshet.stage.inputs"
	nameItems       = "freshet.items"
	nameStage       = "freshet.stage.duration"
	nameBatch       = "freshet.stage.batch.size"
	nameRetries     = "freshet.stage.retries"
	nameRebalances  = "freshet.stage.rebalances"
	nameUnfinished  = "freshet.stage.oldest_unfinished.age"
	nameFreshness   = "freshet.freshness.duration"
	nameSearchable  = "freshet.freshness.searchable.duration"
	nameFuture      = "freshet.freshness.future"
	nameSkew        = "freshet.clock.skew"
	nameDeadLetters = "freshet.deadletters"
	nameIndexBroken = "freshet.index.broken"
	nameTold        = "freshet.traces.exported"
	nameDropped     = "freshet.traces.dropped"
	nameHTTP        = "freshet.http.duration"
	nameWait        = "freshet.provider.batch.wait"
	nameProvider    = "gen_ai.client.operation.duration" // of OpenTelemetry's semantic conventions, as the next one
	nameTokens      = "gen_ai.client.token.usage"
)

// What a service counts or adds up itself, and hands to Metrics.Counter; money in the currency of its setting.
const (
	ProviderRequests    = "freshet.provider.requests"
	ProviderTexts       = "freshet.provider.texts"
	ProviderTokens      = "freshet.provider.tokens"
	ProviderAgainTokens = "freshet.provider.paid_again.tokens"
	ProviderSavedTokens = "freshet.provider.saved.tokens"
	ProviderFallbacks   = "freshet.provider.fallbacks"
	ProviderCost        = "freshet.provider.cost"
	ProviderSavedCost   = "freshet.provider.saved.cost"
	WriteRemembered     = "freshet.write.states.remembered"
	WriteLoaded         = "freshet.write.states.loaded"
	RedisPassed         = "freshet.redis.entries"
	RedisMissed         = "freshet.redis.entries.missed"
)

// Values with labels that a service hands to Metrics.Gauge; money as above.
const (
	ProviderLimit   = "freshet.provider.gate.limit"
	ProviderShut    = "freshet.provider.gate.shut"
	ProviderRefused = "freshet.provider.key.refused"
	ProviderWaiting = "freshet.provider.gate.waiting"
	ProviderWaited  = "freshet.provider.gate.waited"
	ProviderBreaker = "freshet.provider.breaker"
	ProviderFailing = "freshet.provider.failing"
	RegistryFailing = "freshet.schema_registry.failing"
	BudgetSpent     = "freshet.embed.budget.spent"
	BudgetLimit     = "freshet.embed.budget.limit"
	BudgetWaiting   = "freshet.embed.budget.waiting"
	StageLater      = "freshet.stage.later"
	RedisLag        = "freshet.redis.lag"
	HTTPInFlight    = "freshet.http.in_flight"
)

var counters = map[string]string{
	ProviderRequests:    "Requests to the embeddings provider.",
	ProviderTexts:       "Texts that the provider embedded.",
	ProviderTokens:      "Tokens that the provider charged for; estimated where it does not say.",
	ProviderAgainTokens: "Those of them whose text had been paid for before.",
	ProviderSavedTokens: "Tokens that were not paid for again, estimated.",
	ProviderFallbacks:   "Texts that the built-in model could not read and embedded by their characters.",
	ProviderCost:        "What the provider charged, by tokens and price.",
	ProviderSavedCost:   "What was not paid because the vector was known; estimated.",
	WriteRemembered:     "Items whose state write still knew from its own last write or read.",
	WriteLoaded:         "Items whose state write had to read from the index.",
	RedisPassed:         "Entries of Redis streams that Kafka and Redis have acknowledged.",
	RedisMissed:         "Entries of Redis streams that were removed before they were passed on.",
}

var gauges = map[string]struct{ unit, description string }{
	StageLater:      {"", "Inputs that a stage has let pass, and handles again as soon as it can: their vectors follow."},
	HTTPInFlight:    {"By", "Bytes of HTTP requests, unpacked, that Kafka has not acknowledged yet."},
	ProviderLimit:   {"", "Requests or tokens a minute that a key's gate lets pass now; of a limit that is known."},
	ProviderShut:    {"s", "Time for which a key's gate stays shut, since the provider said 429."},
	ProviderRefused: {"", "1 while a key is put aside, since the provider refused it, else 0."},
	ProviderWaiting: {"", "Requests that wait for a rate limit."},
	ProviderFailing: {"s", "Time since the first of the requests that have all failed since; 0 where the last one was answered, or none was sent for 5 minutes."},
	RegistryFailing: {"s", "Time since the first of the requests to the schema registry that have all failed since; 0 where the last one was answered, or none was sent for 5 minutes."},
	ProviderWaited:  {"s", "Time that requests have waited for a rate limit, since the start."},
	BudgetSpent:     {"", "What all replicas have spent today (UTC), and with a pipeline, for that one; without any budget, this replica."},
	BudgetLimit:     {"", "What all replicas may spend a day, and with a pipeline, for that one; 0 is no bound."},
	BudgetWaiting:   {"", "Requests to the provider that wait for the budget of the next day; with a pipeline, texts that its budget has turned away today."},
	RedisLag:        {"", "Entries of a Redis stream that its group has not read; 0 where another process reads it."},
	ProviderBreaker: {"", "State of an endpoint's circuit breaker: 0 closed, 1 open, 2 half open."},
}

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
		inputs:      counter(nameInputs, "Inputs that a stage has begun with; each has one outcome in freshet.items, or is still being worked on."),
		items:       counter(nameItems, "Inputs of a stage by their outcome."),
		retries:     counter(nameRetries, "Batches that were tried again."),
		rebalances:  counter(nameRebalances, "Times that Kafka has shared out a stage's partitions anew, as this process has seen it."),
		deadLetters: counter(nameDeadLetters, "Dead letters by stage and reason."),
		stage:       seconds(nameStage, "Time of a batch from decoding to its mark.", .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60),
		batch:       sizes(nameBatch, "", "Inputs of a batch, by why it had no more: full, or drained where no more were there.", 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000),
		provider: seconds(nameProvider, "Time of a request to the embeddings provider, by endpoint and status; error where there was no answer.",
			.01, .02, .04, .08, .16, .32, .64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92),
		wait: seconds(nameWait, "Time that the first text of a request to the provider waited for others, by why it had no more: full or due.",
			.001, .002, .004, .008, .016, .032, .064, .128, .256, .512, 1.024, 10, 100),
		tokens: sizes(nameTokens, "{token}", "Tokens that the provider charged a request for, by model; estimated where it does not say.",
			1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576), // of the conventions, as far as a request goes
		http: seconds(nameHTTP, "Time of an HTTP request until it is answered, by route and status.", .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30),
		freshness: freshness{
			acknowledged: seconds(nameFreshness, "Time from the source's commit to the acknowledged write.", freshnessBounds...),
			searchable:   seconds(nameSearchable, "Time from the source's commit to a search that finds the item by its own vector, of a sample of the items.", freshnessBounds...),
			future:       counter(nameFuture, "Items that reached the index before they were committed at the source, by the source's clock."),
			skew:         map[string]*skew{},
		},
	}
	gauge := func(name, unit, description string, observe metric.Float64Callback) {
		_, err := m.Float64ObservableGauge(name, metric.WithUnit(unit), metric.WithDescription(description), metric.WithFloat64Callback(observe))
		errs = append(errs, err)
	}
	gauge(nameUnfinished, "s", "Age of the oldest input that a stage has read and not finished; 0 if there is none.", x.observeUnfinished)
	gauge(nameSkew, "s", "By how much a source's clock was ahead of this machine's, at least and in the last minutes; 0 where that was not seen.", x.observeSkew)
	var err error
	x.indexBroken, err = m.Int64Gauge(nameIndexBroken, metric.WithDescription("1 while the index takes no writes of a collection, else 0."))
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

// Counter has what a service counts or adds up itself, and never goes down, read at each scrape. name is one of the constants of
// this package.
func (x *Metrics) Counter(name string, read func() float64) error {
	_, err := x.meter.Float64ObservableCounter(name, metric.WithDescription(counters[name]),
		metric.WithFloat64Callback(func(_ context.Context, o metric.Float64Observer) error {
			o.Observe(read())
			return nil
		}))
	if err != nil {
		return fmt.Errorf("making counter %s: %w", name, err)
	}
	return nil
}

// Gauge has values that a service keeps itself read at each scrape. read calls observe for
// each of them, with pairs of a label's name and its value. name is one of the constants
// of this package.
func (x *Metrics) Gauge(name string, read func(observe func(value float64, labels ...string))) error {
	_, err := x.meter.Float64ObservableGauge(name, metric.WithUnit(gauges[name].unit), metric.WithDescription(gauges[name].description),
		metric.WithFloat64Callback(func(_ context.Context, o metric.Float64Observer) error {
			read(func(value float64, labels ...string) { o.Observe(value, x.labelled(labels...)) })
			return nil
		}))
	if err != nil {
		return fmt.Errorf("making gauge %s: %w", name, err)
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
