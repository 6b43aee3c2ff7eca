package writer

import (
	"context"
	"fmt"
	"sync"

	"github.com/freshet-io/freshet/libs/fault"
	"github.com/freshet-io/freshet/libs/pipeline"
	"github.com/freshet-io/freshet/libs/record"
	"github.com/freshet-io/freshet/libs/weaviate"
)

// maker makes text and properties of the columns of a merged state (State.Merged). Its error is permanent where the
// columns are at fault.
type maker func(*record.State) error

func (w *Writer) maker(ctx context.Context, collection string) maker {
	return func(s *record.State) error {
		r, err := w.recipes.Recipe(ctx, s.Recipe)
		if err != nil {
			return err
		}
		made, err := r.Make(pipeline.ParseRow(s.Inputs))
		if err != nil {
			return err
		}
		var fingerprint []byte
		if !made.Hidden {
			fingerprint = record.Fingerprint(w.collections[collection].Space, made.Text)
		}
		s.Make(made.Hidden, made.Text, fingerprint, made.Properties)
		return nil
	}
}

// decide makes the item's plan, of all that the index has or of what decides only. Where its merged row cannot be used,
// the record that set it becomes a dead letter.
func (w *Writer) decide(ctx context.Context, it *item, stored weaviate.Stored, whole bool) error {
	if err := w.vet(ctx, it, &stored); err != nil {
		return err
	}
	for {
		err := it.fold(stored, whole, w.maker(ctx, it.Collection))
		if err == nil || fault.ClassOf(err) != fault.Permanent {
			return err
		}
		if !it.reject(err) {
			return fmt.Errorf("merging what the index has of an item: %w", err)
		}
	}
}

// mostAwaited bounds the memory of what was asked for. An item that it has forgotten is asked for once more.
const mostAwaited = 100_000

// completions asks embed for the vectors of texts that were merged here. The request follows the acknowledged put and
// is itself acknowledged before the record's offset is marked, so that none is lost.
type completions struct {
	mu      sync.Mutex
	awaited map[string]string // fingerprint by key: not asked for again with each change of a price
}

func newCompletions() *completions { return &completions{awaited: map[string]string{}} }

// takeOver forgets what was asked for: another owner may have dropped the answer meanwhile.
func (c *completions) takeOver() {
	c.mu.Lock()
	defer c.mu.Unlock()
	clear(c.awaited)
}

// awaits reports whether the text was asked for and not answered yet.
func (c *completions) awaits(key string, fingerprint []byte) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	asked, ok := c.awaited[key]
	return ok && asked == string(fingerprint)
}

func (c *completions) await(key string, fingerprint []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.awaited) >= mostAwaited {
		clear(c.awaited)
	}
	c.awaited[key] = string(fingerprint)
}

// answered forgets the question of an answer that has come, whatever became of it: where a writer that slept has put an
// older state back, the text is not wanted now, and will be again.
func (c *completions) answered(it *item) {
	for i := range it.records {
		if v := it.records[i].from; v.GetDocument().GetOp() == record.Op_OP_COMPLETION_REQUEST && c.awaits(it.key, v.GetFingerprint()) {
			c.done(it.key)
		}
	}
}

func (c *completions) done(key string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.awaited, key)
}

// of returns the request that the item needs now that it is written, nil for none, and the record that it goes out
// with. A record that comes again asks again: what went out with it before may never have arrived.
func (c *completions) of(it *item) (at int, request *record.Document) {
	c.answered(it)
	s := &it.plan.state
	cause, again := it.cause()
	switch {
	case it.plan.target == nowhere:
		return 0, nil
	case len(s.Older) == 0 || !s.Lacks():
		c.done(it.key) // a whole row brings its own vector
		return 0, nil
	case cause == nil || !again && c.awaits(it.key, s.Wanted):
		return 0, nil
	}
	c.await(it.key, s.Wanted)
	d := cause.from.GetDocument()
	request = &record.Document{
		Op: record.Op_OP_COMPLETION_REQUEST, Collection: d.GetCollection(), Tenant: d.GetTenant(), Id: d.GetId(), Pipeline: d.GetPipeline(),
		Recipe: s.Recipe, Text: s.Text, Fingerprint: s.Wanted, Oversize: d.GetOversize(), Origin: s.Origin,
	}
	if cause.from.GetVersionOrigin() == record.VersionOrigin_VERSION_ORIGIN_STAMP {
		request.Stamp = cause.from.GetVersion() // it stays in its lane
	}
	return cause.at, request
}

// cause returns the last row that was taken, nil if none was, and whether a row came again.
func (it *item) cause() (last *rec, again bool) {
	for i := range it.records {
		taken := it.plan.taken[i]
		if !it.records[i].apply.GetDocument().GetOp().IsRow() || taken != record.TakenNew && taken != record.TakenAgain {
			continue
		}
		last, again = &it.records[i], again || taken == record.TakenAgain
	}
	return last, again
}
