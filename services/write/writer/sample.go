package writer

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/freshet-io/freshet/libs/record"
	"github.com/freshet-io/freshet/libs/stage"
	"github.com/freshet-io/freshet/libs/telemetry"
)

const (
	// sampleAtOnce is how many items are searched for at a time: what comes when they all are is not of the sample.
	sampleAtOnce = 64
	// sampleBound is how long an item is searched for. It is longer than the longest time of the objective, so that one that
	// is never found counts as one that is late.
	sampleBound = 65 * time.Second
	firstSearch = 20 * time.Millisecond // wait after a search that did not find its item
	longSearch  = 2 * time.Second
)

// Sample measures when items can be searched for. An acknowledged write says that Weaviate has an item; where it queues
// vectors before it indexes them, searches may not find it for long. It runs beside the writer, reads only, and neither its
// time nor its errors are anybody else's.
type Sample struct {
	share float64
	index Index
	found func(context.Context, telemetry.Freshness)
	log   *slog.Logger

	ctx      context.Context //nolint:containedctx // ends the searches, which belong to no batch
	cancel   context.CancelFunc
	running  sync.WaitGroup
	searches chan struct{} // has an element for each
}

// NewSample returns a sample of a share of the items, 0 to 1, that tells found of each. An item that is not found within a
// minute is told of with the outcome Unfound and its age then, with the outcome of its write where the index does not answer; one that
// was changed meanwhile is not. The caller closes it.
func NewSample(ctx context.Context, share float64, index Index, found func(context.Context, telemetry.Freshness), log *slog.Logger) *Sample {
	s := &Sample{share: share, index: index, found: found, log: log, searches: make(chan struct{}, sampleAtOnce)}
	s.ctx, s.cancel = context.WithCancel(ctx)
	return s
}

// Close ends all searches, and returns when they have.
func (s *Sample) Close() {
	s.cancel()
	s.running.Wait()
}

// take may take an item into the sample that was put into the main place, acknowledged, by a record. It returns what begins to
// search for it, with the trace of that, the exemplar of what is measured, or nil; it returns nil where it does not take it.
func (s *Sample) take(it *item, v *record.Vector, outcome string) func(*telemetry.Trace) {
	if s == nil || it.plan.target != main || outcome != Written && outcome != Completed || rand.Float64() >= s.share { //nolint:gosec // no secret
		return nil
	}
	lane := telemetry.Live
	if v.GetVersionOrigin() == record.VersionOrigin_VERSION_ORIGIN_STAMP {
		lane = telemetry.Bulk
	}
	committed := stage.CommittedAt(v.GetDocument())
	item, state := it.Item, head(it.plan.state)
	f := telemetry.Freshness{Collection: item.Collection, Lane: lane, Outcome: outcome}
	return func(told *telemetry.Trace) { s.measure(item, state, f, committed, told) }
}

// measure searches for an item beside the caller, and tells of its age since the commit when it is found.
func (s *Sample) measure(item record.Item, state record.State, f telemetry.Freshness, committed time.Time, told *telemetry.Trace) {
	select {
	case s.searches <- struct{}{}:
	default:
		return
	}
	s.running.Go(func() {
		defer func() { <-s.searches }()
		ctx, cancel := context.WithTimeout(s.ctx, sampleBound)
		defer cancel()
		end := s.search(ctx, item, state)
		if end == changed || s.ctx.Err() != nil {
			return
		}
		if end == missing {
			f.Outcome = Unfound
		}
		f.Age = time.Since(committed)
		s.found(told.Exemplar(s.ctx), f)
	})
}

// result is how a search for an item has ended.
type result int

const (
	found   result = iota
	missing        // the index answers, and does not find it
	changed        // somebody has written it since
	unknown        // the index did not answer at the end: it is late, and nobody knows whether it is found
)

// search searches for an item by its own vector until it is found as it was left, was changed, or ctx ends.
func (s *Sample) search(ctx context.Context, item record.Item, left record.State) result {
	items, states := []record.Item{item}, []record.State{left}
	last := unknown
	for wait := firstSearch; ; wait = min(2*wait, longSearch) {
		switch r, err := s.try(ctx, items, states); {
		case err != nil && ctx.Err() == nil:
			s.log.DebugContext(ctx, "searching for an item of the sample", "error", err)
			last = unknown
		case err == nil && r != missing:
			return r
		case err == nil:
			last = missing
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return last
		}
	}
}

func (s *Sample) try(ctx context.Context, items []record.Item, states []record.State) (result, error) {
	unfound, err := s.index.SelfFound(ctx, items[0].Collection, items, states)
	if err != nil || len(unfound) == 0 {
		return found, err
	}
	if is, err := s.isChanged(ctx, items, states[0]); err != nil || is {
		return changed, err
	}
	return missing, nil
}

func (s *Sample) isChanged(ctx context.Context, items []record.Item, left record.State) (bool, error) {
	stored, err := s.index.Load(ctx, items[0].Collection, items, false)
	if err != nil {
		return false, err
	}
	now := &stored[0]
	return !now.Main || now.State.Base != left.Base || string(now.State.Held) != string(left.Held), nil
}
