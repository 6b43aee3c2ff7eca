package writer

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/freshet-io/freshet/libs/fault"
	"github.com/freshet-io/freshet/libs/stage"
)

// breaker keeps whole batches from a collection that does not take them.
//
//	closed ── a batch fails ─▶ open ── one item alone is written ─▶ closed
//
// While it is open one batch at a time is let through, and that one item by item, until an item is
// written. The others are turned away before they make a call, also those that have begun. There
// is no clock in it: the stage tries each batch again, with its own back-off, and so probes.
//
// The item must be really written: a read-only shard answers reads as ever, and an item of which no
// record is taken is only read, one that comes again perhaps only searched for. And the index must know of
// no shard that takes no writes: the item was of one of them, and of the main or the side collection.
type breaker struct {
	tell func(ctx context.Context, why error) // of each set, in their order

	mu      sync.Mutex
	why     error // nil: closed
	probing bool
}

// errTurnedAway is the error of a batch that made no call, or no further one.
var errTurnedAway = errors.New("another batch tries one item at a time whether the index takes writes")

// begin reports whether the batch must go item by item. Then its caller calls end.
func (b *breaker) begin() (probes bool, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.why == nil:
		return false, nil
	case b.probing:
		return false, fmt.Errorf("%w: %w", errTurnedAway, b.why)
	}
	b.probing = true
	return true, nil
}

func (b *breaker) end() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.probing = false
}

// set opens the breaker, or closes it with nil.
func (b *breaker) set(ctx context.Context, why error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.why = why
	b.tell(ctx, why)
}

// reason returns why it is open, nil where it is closed.
func (b *breaker) reason() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.why
}

// pass is what the calls of a batch are made under.
type pass struct {
	*breaker
	probes bool
}

type passKey struct{}

func (p pass) into(ctx context.Context) context.Context {
	return context.WithValue(ctx, passKey{}, p)
}

// admitted returns an error where the batch that ctx is of must make no further call.
func admitted(ctx context.Context) error {
	p, ok := ctx.Value(passKey{}).(pass)
	if !ok || p.probes {
		return nil
	}
	if why := p.reason(); why != nil {
		return fmt.Errorf("%w: %w", errTurnedAway, why)
	}
	return nil
}

// guarded is write behind the breaker of the items' collection.
func (w *Writer) guarded(ctx context.Context, items []*item) error {
	collection := items[0].Collection
	b := w.breakers[collection]
	rest, err := w.probe(ctx, b, items)
	if err == nil {
		err = w.write(pass{b, false}.into(ctx), rest)
	}
	if !blamesIndex(ctx, err) {
		return err
	}
	// The failed call tells a symptom, once of a hundred objects; the index may know the cause. Where it
	// cannot be asked, the failed call tells more.
	if cause, _ := w.index.Unwritable(ctx, collection); cause != nil {
		err = fmt.Errorf("%w (%w)", cause, err)
	}
	b.set(ctx, err)
	return err
}

// probe writes items one by one while the breaker is open, and returns the others.
func (w *Writer) probe(ctx context.Context, b *breaker, items []*item) (rest []*item, err error) {
	probes, err := b.begin()
	if err != nil || !probes {
		return items, err
	}
	defer b.end()
	asProbe := pass{b, true}.into(ctx)
	for ; len(items) > 0 && b.reason() != nil; items = items[1:] {
		err := w.write(asProbe, items[:1])
		if items[0].written && (err == nil || errors.Is(err, errUnfound)) {
			cause, _ := w.index.Unwritable(ctx, items[0].Collection)
			b.set(ctx, cause)
		}
		if err != nil {
			return nil, err
		}
	}
	return items, nil
}

// blamesIndex reports whether an error says that the index is broken. A fatal one stops the
// service, one of a partition that goes says nothing, and a batch that was turned away has seen
// nothing of its own.
func blamesIndex(ctx context.Context, err error) bool {
	return err != nil && fault.ClassOf(err) == fault.Transient && !errors.Is(err, errTurnedAway) && !errors.Is(err, errUnfound) &&
		ctx.Err() == nil && stage.Owned(ctx) == nil
}
