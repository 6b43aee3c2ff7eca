package writer

import (
	"context"
	"fmt"

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

// putMain puts items into the main collection, with a nonce where a put of theirs may have been
// interrupted. Suspicion belongs to the item: it ends when a put with a nonce was acknowledged.
func (w *Writer) putMain(ctx context.Context, items []*item) (done, refused []*item, err error) {
	for _, it := range items {
		if it.plan.again || w.suspects.has(it.key) {
			it.plan.state.Vector = nonce(it.plan.state.Vector)
		}
	}
	done, refused, err = w.put(ctx, items, w.index.Put)
	for _, it := range done {
		w.suspects.clear(it.key)
	}
	if err != nil {
		for _, it := range items {
			w.suspects.add(it.key)
		}
	}
	return done, refused, err
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
