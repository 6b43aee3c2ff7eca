package writer

import (
	"context"
	"fmt"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/freshet-io/freshet/libs/fault"
	"github.com/freshet-io/freshet/libs/pipeline"
	"github.com/freshet-io/freshet/libs/record"
	"github.com/freshet-io/freshet/libs/weaviate"
)

// maker makes text and properties of the columns of a merged state (State.Merged). Its error is permanent where the
// columns are at fault.
type maker func(*record.State) error

// maker returns that of a collection.
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

// decide makes the item's plan. Where its merged row cannot be used, the record that set it becomes a dead letter.
func (w *Writer) decide(ctx context.Context, it *item, stored weaviate.Stored) error {
	for {
		plan, err := fold(stored, it.records, w.maker(ctx, it.Collection))
		if err == nil || fault.ClassOf(err) != fault.Permanent {
			it.plan = plan
			return err
		}
		it.plan = plan
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
	awaited *lru.Cache[string, string] // fingerprint by key: not asked for again with each change of a price
}

func newCompletions() *completions {
	awaited, err := lru.New[string, string](mostAwaited)
	if err != nil { // for a size below 1
		panic(err)
	}
	return &completions{awaited: awaited}
}

// takeOver forgets what was asked for: another owner may have dropped the answer meanwhile.
func (c *completions) takeOver() { c.awaited.Purge() }

// of returns the request that the item needs now that it is written, nil for none, and the record that it goes out
// with. A record that comes again asks again: what went out with it before may never have arrived.
func (c *completions) of(it *item) (at int, request *record.Document) {
	if it.plan.target == nowhere {
		return 0, nil
	}
	s := &it.plan.state
	if len(s.Older) == 0 || !s.Lacks() {
		c.awaited.Remove(it.key) // a whole row brings its own vector
		return 0, nil
	}
	cause, again := it.cause()
	if before, ok := c.awaited.Get(it.key); cause == nil || ok && before == string(s.Wanted) && !again {
		return 0, nil
	}
	c.awaited.Add(it.key, string(s.Wanted))
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
