package telemetry

import (
	"context"
	"sync"
	"time"

	"go.opentelemetry.io/otel/metric"
)

// The lanes of an item: live changes go before those of a backfill.
const (
	Live = "live"
	Bulk = "bulk"
)

const (
	// skewTolerated is by how much a source's clock may be ahead with its items still in the histograms, as 0 s: two
	// clocks are never equal.
	skewTolerated = time.Second
	// skewLasts is for how long, at least, the largest skew is shown: a scrape must not miss it.
	skewLasts = 5 * time.Minute
)

// Freshness is one item that reached the index.
type Freshness struct {
	Collection string
	Lane       string
	Outcome    string
	// Age is the time from the source's commit to the acknowledged write, or to the search that found it. It is below 0
	// where the source's clock is ahead of this machine's by more than that.
	Age time.Duration
}

// freshness are the instruments of Freshness. A commit time in the future shows that the clocks differ, and says nothing of
// how fresh the item is: it is counted and told, and not taken for a very fresh one.
type freshness struct {
	acknowledged metric.Float64Histogram
	searchable   metric.Float64Histogram
	future       metric.Int64Counter

	mu   sync.Mutex
	skew map[string]*skew // by collection
}

// skew is the most by which the commit times of a collection were ahead in this span of skewLasts, and in the one before.
type skew struct {
	began        time.Time
	most, before time.Duration
}

// turn begins a new span where this one is over.
func (s *skew) turn(now time.Time) {
	switch over := now.Sub(s.began); {
	case over >= 2*skewLasts:
		s.began, s.before, s.most = now, 0, 0
	case over >= skewLasts:
		s.began, s.before, s.most = now, s.most, 0
	}
}

// freshnessBounds has those of the objective, 5 s and 60 s.
var freshnessBounds = []float64{.05, .1, .25, .5, 1, 2, 5, 10, 30, 60, 300, 1800, 7200}

func (x *Metrics) observeSkew(_ context.Context, o metric.Float64Observer) error {
	f := &x.freshness
	f.mu.Lock()
	defer f.mu.Unlock()
	for collection, s := range f.skew {
		s.turn(time.Now())
		o.Observe(max(s.most, s.before).Seconds(), x.labelled("collection", collection))
	}
	return nil
}

// OnFreshness has f called for each item that reaches the index, on the stage's
// goroutine: f must be quick.
func (x *Metrics) OnFreshness(f func(Freshness)) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.observe = f
}

// Fresh records one item whose write the index has acknowledged. The trace of ctx, where that is sampled, becomes the exemplar:
// it must exist.
func (x *Metrics) Fresh(ctx context.Context, f Freshness) {
	x.seeSkew(ctx, f)
	x.record(ctx, x.freshness.acknowledged, f)
	x.mu.Lock()
	observe := x.observe
	x.mu.Unlock()
	if observe != nil {
		observe(f)
	}
}

// Searchable records one item that a search has found.
func (x *Metrics) Searchable(ctx context.Context, f Freshness) {
	x.record(ctx, x.freshness.searchable, f)
}

func (x *Metrics) record(ctx context.Context, h metric.Float64Histogram, f Freshness) {
	if f.Age < -skewTolerated {
		return
	}
	h.Record(ctx, max(f.Age, 0).Seconds(), x.labelled("collection", f.Collection, "lane", f.Lane, "outcome", f.Outcome))
}

func (x *Metrics) seeSkew(ctx context.Context, f Freshness) {
	x.freshness.mu.Lock()
	s := x.freshness.skew[f.Collection]
	if s == nil {
		s = &skew{began: time.Now()}
		x.freshness.skew[f.Collection] = s
	}
	s.turn(time.Now())
	s.most = max(s.most, -f.Age)
	x.freshness.mu.Unlock()
	if f.Age < 0 {
		x.freshness.future.Add(ctx, 1, x.labelled("collection", f.Collection))
	}
}
