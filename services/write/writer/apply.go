package writer

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/freshet-io/freshet/libs/record"
	"github.com/freshet-io/freshet/libs/stage"
	"github.com/freshet-io/freshet/libs/weaviate"
)

// apply carries out the plans of items of one collection: first everything is put where it
// belongs, and only what was acknowledged loses its other copy. It returns the items of which the
// index refused a record; they are to be loaded again.
//
// In the other order a kill in between would forget a delete, or lose an item from the searches.
func (w *Writer) apply(ctx context.Context, items []*item) (refused []*item, err error) {
	var inMain, inSide []*item
	comesAgain := stage.ComesAgain(ctx)
	for _, it := range items {
		it.interrupted = w.suspects.has(it.key, it.plan.again || comesAgain)
		it.doubtful = it.interrupted || it.plan.again || w.suspects.doubted(it.key) || it.plan.target == side && (comesAgain || w.suspects.unsure())
		switch it.plan.target {
		case main:
			inMain = append(inMain, it)
		case side:
			inSide = append(inSide, it)
		case nowhere:
		}
	}
	refused, err = w.move(ctx, inMain, inSide)
	if err != nil {
		w.doubt(ctx, slices.Concat(inMain, inSide), err)
	}
	return refused, err
}

func (w *Writer) move(ctx context.Context, inMain, inSide []*item) (refused []*item, err error) {
	buried, refusedSide, err := w.putSide(ctx, inSide)
	if err != nil {
		return nil, fmt.Errorf("putting %d items aside: %w", len(inSide), err)
	}
	shown, refusedMain, err := w.putMain(ctx, inMain)
	if err != nil {
		return nil, fmt.Errorf("putting %d items: %w", len(inMain), err)
	}
	if err := w.removeOther(ctx, buried, w.index.DeleteMain); err != nil {
		return nil, fmt.Errorf("deleting items that were put aside: %w", err)
	}
	if err := w.removeOther(ctx, shown, w.index.DeleteSide); err != nil {
		return nil, fmt.Errorf("deleting side copies of items: %w", err)
	}
	comesAgain := stage.ComesAgain(ctx)
	for _, it := range slices.Concat(buried, shown) {
		w.suspects.clear(it.key, comesAgain)
	}
	return append(refusedSide, refusedMain...), nil
}

// confirmations is how often an item that is not found is put again. Each time another nonce gives
// it other neighbours in the vector index; once was enough in all that was measured.
const confirmations = 3

// putMain puts items into the main collection, with a nonce where a put of theirs may have been
// interrupted, and searches for them where the server may have been killed. What stands there just so
// is only searched for: with its nonce of then, it would be indexed anew each time.
func (w *Writer) putMain(ctx context.Context, items []*item) (done, refused []*item, err error) {
	var standing, moving []*item
	for _, it := range items {
		switch {
		case it.interrupted:
			it.plan.state.Vector = nonce(it.plan.state.Vector)
			moving = append(moving, it)
		case it.plan.inMain && !it.plan.news:
			standing = append(standing, it)
		default:
			moving = append(moving, it)
		}
	}
	if done, refused, err = w.put(ctx, moving, w.index.Put); err != nil {
		return nil, nil, err
	}
	done = append(done, standing...)
	also, err := w.confirm(ctx, only(done, func(it *item) bool { return it.plan.again || w.suspects.doubted(it.key) }))
	return done, append(refused, also...), err
}

// confirm searches for items by their own vectors and puts those that are not found as they were put
// again, each with a nonce: the same vector would be skipped. A server that was killed while it indexed
// may come back with a piece of its index cut off, and an item whose former self is in that piece is
// linked into it again. All are searched for once more then: an item that is taken out of the index to be
// put again may be what another one was found by.
//
// Where an item stays away the batch is tried again for a while after an outage: the vector index
// may be of no use until Weaviate has cleaned it up, and then finds only what is put anew. Later the item is
// reported and its partition goes on: a thousand items with one and the same vector hide each other.
func (w *Writer) confirm(ctx context.Context, items []*item) (refused []*item, err error) {
	for attempt := 0; len(items) > 0; attempt++ {
		missing, err := w.missing(ctx, items)
		if err != nil {
			return nil, fmt.Errorf("searching for %d items: %w", len(items), err)
		}
		for _, it := range missing {
			it.unfound = attempt == confirmations
			it.plan.state.Vector = nonce(it.plan.state.Vector)
		}
		switch {
		case len(missing) == 0:
			return refused, nil
		case attempt == confirmations:
			return refused, w.patience(ctx, missing)
		}
		_, no, err := w.put(ctx, missing, w.index.Put)
		if err != nil {
			return nil, err
		}
		refused = append(refused, no...)
		items = only(items, func(it *item) bool { return it.known })
	}
	return refused, nil
}

// errUnfound says nothing of whether the index takes writes: it takes them, and a whole batch mends it sooner.
var errUnfound = errors.New("items are not found by their own vectors")

// patience returns an error where items that are not found may be found in a while.
func (w *Writer) patience(ctx context.Context, missing []*item) error {
	blind, err := asked(ctx, w, func() (bool, error) { return w.index.Blind(ctx, missing[0].Collection, missing[0].Item) })
	switch {
	case err != nil:
		return fmt.Errorf("searching for an item: %w", err)
	case blind:
		return fmt.Errorf("%w: a search in %s finds nothing at all: its vector index came back from a kill so, and is mended when it is cleaned up (every 5 min, or cleanupIntervalSeconds) and all is put anew", errUnfound, missing[0].Collection)
	case w.outages.recent():
		return errUnfound
	}
	return nil
}

// missing returns the items that the index does not find by their own vectors.
func (w *Writer) missing(ctx context.Context, items []*item) ([]*item, error) {
	states := each(items, func(it *item) record.State { return it.plan.state })
	absent, err := asked(ctx, w, func() ([]record.Item, error) { return w.index.SelfFound(ctx, items[0].Collection, ids(items), states) })
	if err != nil {
		return nil, err
	}
	keys := map[string]bool{}
	for _, it := range absent {
		keys[string(it.Key())] = true
	}
	return only(items, func(it *item) bool { return keys[it.key] }), nil
}

type putCall func(ctx context.Context, collection string, objs []weaviate.Object) (map[int]error, error)

// put makes one call for all items and parts those that were written from those that were refused
// and have another record to try.
func (w *Writer) put(ctx context.Context, items []*item, call putCall) (done, refused []*item, err error) {
	if len(items) == 0 {
		return nil, nil, nil
	}
	objs := each(items, func(it *item) weaviate.Object { return weaviate.Object{Item: it.Item, State: it.plan.state} })
	rejected, err := asked(ctx, w, func() (map[int]error, error) { return call(ctx, items[0].Collection, objs) })
	if err != nil {
		return nil, nil, err
	}
	for i, it := range items {
		reason := rejected[i]
		it.known, it.written = reason == nil, reason == nil
		if reason == nil {
			done = append(done, it)
		} else if it.reject(reason) {
			refused = append(refused, it)
		}
	}
	return done, refused, nil
}

// putSide puts items into the side collection, and reads them: one that is put where an interrupted put
// was, however long ago, may be stored without the row by which reads by id find it. Weaviate never
// writes that row where there is no vector that could have a nonce, so the object must go first. No
// record of it is committed meanwhile.
func (w *Writer) putSide(ctx context.Context, items []*item) (done, refused []*item, err error) {
	if done, refused, err = w.put(ctx, items, w.index.PutSide); err != nil {
		return nil, nil, err
	}
	lost, err := w.unread(ctx, done)
	for attempt := 0; err == nil && len(lost) > 0; attempt++ {
		if attempt == confirmations {
			return nil, nil, fmt.Errorf("no read by id finds %d of them", len(lost))
		}
		if err = w.remove(ctx, lost, true, w.index.DeleteSide); err != nil {
			break
		}
		if _, _, err = w.put(ctx, lost, w.index.PutSide); err == nil {
			lost, err = w.unread(ctx, lost)
		}
	}
	return done, refused, err
}

func only(items []*item, which func(*item) bool) []*item {
	return slices.DeleteFunc(slices.Clone(items), func(it *item) bool { return !which(it) })
}

// unread returns the items of which a read by id finds no copy in the side collection.
func (w *Writer) unread(ctx context.Context, items []*item) (lost []*item, err error) {
	if len(items) == 0 {
		return nil, nil
	}
	stored, err := asked(ctx, w, func() ([]weaviate.Stored, error) { return w.index.Load(ctx, items[0].Collection, ids(items), false) })
	for i, s := range stored {
		if !s.Side {
			lost = append(lost, items[i])
		}
	}
	return lost, err
}

// removeOther deletes the copies of items in the place that is not theirs any more: of items in doubt also
// one that an interrupted put has left there, which no delete by a filter finds.
func (w *Writer) removeOther(ctx context.Context, items []*item, call deleteCall) error {
	if err := w.remove(ctx, only(items, func(it *item) bool { return it.plan.other && it.doubtful }), true, call); err != nil {
		return err
	}
	return w.remove(ctx, only(items, func(it *item) bool { return it.plan.other && !it.doubtful }), false, call)
}

type deleteCall func(ctx context.Context, collection string, items []record.Item, hidden bool) error

// remove deletes copies of items, hidden ones too if so asked: those that no read by id finds.
func (w *Writer) remove(ctx context.Context, items []*item, hidden bool, call deleteCall) error {
	if len(items) == 0 {
		return nil
	}
	return w.call(ctx, func() error { return call(ctx, items[0].Collection, ids(items), hidden) })
}
