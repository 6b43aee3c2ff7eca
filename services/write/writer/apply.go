package writer

import (
	"context"
	"fmt"
	"slices"

	"github.com/freshet-io/freshet/libs/record"
	"github.com/freshet-io/freshet/libs/weaviate"
)

// apply carries out the plans of items of one collection: first everything is put where it
// belongs, and only what was acknowledged loses its other copy. It returns the items of which the
// index refused a record; they are to be loaded again.
//
// In the other order a kill in between would forget a delete, or lose an item from the searches.
func (w *Writer) apply(ctx context.Context, items []*item) (refused []*item, err error) {
	var inMain, inSide []*item
	for _, it := range items {
		switch it.plan.target {
		case main:
			inMain = append(inMain, it)
		case side:
			inSide = append(inSide, it)
		case nowhere:
		}
	}
	buried, refusedSide, err := w.put(ctx, inSide, w.index.PutSide)
	if err != nil {
		return nil, fmt.Errorf("putting %d items aside: %w", len(inSide), err)
	}
	shown, refusedMain, err := w.putMain(ctx, inMain)
	if err != nil {
		return nil, fmt.Errorf("putting %d items: %w", len(inMain), err)
	}
	if err := w.remove(ctx, buried, w.index.DeleteMain); err != nil {
		return nil, fmt.Errorf("deleting items that were put aside: %w", err)
	}
	if err := w.remove(ctx, shown, w.index.DeleteSide); err != nil {
		return nil, fmt.Errorf("deleting side copies of items: %w", err)
	}
	return append(refusedSide, refusedMain...), nil
}

// confirmations is how often an item that is not found is put again. Each time another nonce gives
// it other neighbours in the vector index; once was enough in all that was measured.
const confirmations = 3

// putMain puts items into the main collection, and searches for those of which a put may have been
// interrupted, or all where the server may have been killed. Suspicion belongs to the item: it ends
// when a put of it was acknowledged and searched for.
func (w *Writer) putMain(ctx context.Context, items []*item) (done, refused []*item, err error) {
	done, refused, err = w.put(ctx, items, w.index.Put)
	if err == nil {
		var also []*item
		also, err = w.confirm(ctx, slices.DeleteFunc(slices.Clone(done), func(it *item) bool {
			return !it.plan.again && !w.suspects.has(it.key)
		}))
		refused = append(refused, also...)
	}
	if err != nil {
		for _, it := range items {
			w.suspects.add(it.key)
		}
		return nil, nil, err
	}
	for _, it := range done {
		w.suspects.clear(it.key)
	}
	return done, refused, nil
}

// confirm searches for items by their own vectors and puts those that are not found again, each with
// a nonce: the same vector would be skipped. A server that was killed while it indexed may come back
// with a piece of its index cut off, and an item whose former self is in that piece is linked into it
// again.
//
// Where an item stays away it is reported and its partition goes on: a thousand items with one and
// the same vector hide each other, and an index that works asynchronously answers too early.
func (w *Writer) confirm(ctx context.Context, items []*item) (refused []*item, err error) {
	for attempt := 0; len(items) > 0; attempt++ {
		var missing []*item
		if missing, err = w.missing(ctx, items); err != nil {
			return nil, fmt.Errorf("searching for %d items: %w", len(items), err)
		}
		for _, it := range missing {
			it.unfound = attempt == confirmations
			it.plan.state.Vector = nonce(it.plan.state.Vector)
		}
		if attempt == confirmations {
			break
		}
		var no []*item
		if items, no, err = w.put(ctx, missing, w.index.Put); err != nil {
			return nil, err
		}
		refused = append(refused, no...)
	}
	return refused, nil
}

// missing returns the items that the index does not find by their own vectors.
func (w *Writer) missing(ctx context.Context, items []*item) ([]*item, error) {
	var absent []record.Item
	err := w.call(ctx, func() (err error) {
		absent, err = w.index.SelfFound(ctx, items[0].Collection, ids(items))
		return err
	})
	if err != nil {
		return nil, err
	}
	keys := map[string]bool{}
	for _, it := range absent {
		keys[string(it.Key())] = true
	}
	var missing []*item
	for _, it := range items {
		if keys[it.key] {
			missing = append(missing, it)
		}
	}
	return missing, nil
}

type putCall func(ctx context.Context, collection string, objs []weaviate.Object) (map[int]error, error)

// put makes one call for all items and parts those that were written from those that were refused
// and have another record to try.
func (w *Writer) put(ctx context.Context, items []*item, call putCall) (done, refused []*item, err error) {
	if len(items) == 0 {
		return nil, nil, nil
	}
	objs := make([]weaviate.Object, len(items))
	for i, it := range items {
		objs[i] = weaviate.Object{Item: it.Item, State: it.plan.state}
	}
	var rejected map[int]error
	err = w.call(ctx, func() (err error) {
		rejected, err = call(ctx, items[0].Collection, objs)
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	for i, it := range items {
		reason := rejected[i]
		it.known = reason == nil
		if reason == nil {
			done = append(done, it)
		} else if it.reject(reason) {
			refused = append(refused, it)
		}
	}
	return done, refused, nil
}

// remove deletes the other copies of items, where the index has one.
func (w *Writer) remove(ctx context.Context, items []*item, call func(context.Context, string, []record.Item) error) error {
	var both []record.Item
	for _, it := range items {
		if it.plan.other {
			both = append(both, it.Item)
		}
	}
	if len(both) == 0 {
		return nil
	}
	return w.call(ctx, func() error { return call(ctx, items[0].Collection, both) })
}
