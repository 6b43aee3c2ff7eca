package writer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/freshet-io/freshet/libs/record"
	"github.com/freshet-io/freshet/libs/stage"
	"github.com/freshet-io/freshet/libs/weaviate"
)

// lateCalls are the items of writes that failed on the way. To the client such a call is over, to the index it may not
// be: Weaviate goes on with what it has begun whatever its client does, and compares nothing, so that the call may take
// the place of what was acknowledged since. So the items are read once more when the call has surely ended, and where
// one is not as it was left, its partition is worked on once more from before the call.
//
// Doing that without looking would put thousands of items anew after each outage, for a case that is rare.
type lateCalls struct {
	bound time.Duration // after which a failed call has landed, or never will; 0: they are not looked after

	mu    sync.Mutex
	items map[string]*lateItem // by key; a partition's are looked at when nothing of it is in flight
}

type lateItem struct {
	record.Item
	over time.Time        // when the call has surely ended
	left *weaviate.Stored // the item as it was left by the last write that was acknowledged, or as it was found before
	// acked: left is by a write that was acknowledged after the call, so that the index has nothing else unless the call lands.
	acked  bool
	landed bool // the call was seen to have landed
}

// add takes note of items of a write that failed.
func (l *lateCalls) add(items []*item) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.bound == 0 {
		return
	}
	for _, it := range items {
		late := &lateItem{Item: it.Item, over: time.Now().Add(l.bound)}
		if before := l.items[it.key]; before != nil {
			late.left, late.landed = before.left, before.landed
		} else if it.had != nil {
			late.left = &weaviate.Stored{State: head(it.had.State), Main: it.had.Main, Side: it.had.Side}
		}
		l.items[it.key] = late // not acked: what is moved may be half way
	}
}

// leave takes note of how items were left that were written again.
func (l *lateCalls) leave(items []*item) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.items) == 0 {
		return
	}
	for _, it := range items {
		late := l.items[it.key]
		if late == nil || !it.known {
			continue
		}
		wrote := it.plan.target != nowhere
		if wrote || !late.acked { // what was only read may be what the call has put back
			s := it.plan.stands()
			late.left, late.acked = &s, wrote
		}
	}
}

// left returns how an item was left over which a call may still land; nil where there is no such call. It takes note where
// what was read of the item shows that it has landed.
func (l *lateCalls) left(key string, stored *weaviate.Stored) *weaviate.Stored {
	l.mu.Lock()
	defer l.mu.Unlock()
	late := l.items[key]
	if late == nil {
		return nil
	}
	late.landed = late.landed || late.acked && !stands(late.left, stored)
	return late.left
}

// land takes note that a call has landed over an item, of which a record is left for the second time because of that.
func (l *lateCalls) land(key string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if late := l.items[key]; late != nil {
		late.landed = true
	}
}

// of returns a partition's items, and those of them whose calls are over.
func (l *lateCalls) of(partition, partitions int32) (all, over []*lateItem) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for key, late := range l.items {
		if record.Partition([]byte(key), partitions) != partition {
			continue
		}
		all = append(all, late)
		if !time.Now().Before(late.over) {
			over = append(over, late)
		}
	}
	return all, over
}

func (l *lateCalls) forget(items []*lateItem) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, late := range items {
		delete(l.items, string(late.Key()))
	}
}

// doubt has the items of a write that failed looked at later: here, and by the next owner if that is to be somebody else.
func (w *Writer) doubt(ctx context.Context, items []*item, err error) {
	for _, it := range items {
		w.suspects.add(it.key)
	}
	if !errors.Is(err, errTurnedAway) && !errors.Is(err, errUnfound) && !weaviate.Answered(err) {
		w.late.add(items)
		stage.LeaveInDoubt(ctx)
	}
}

// forgetLate has nothing looked after that was written before a partition was assigned.
func (w *Writer) forgetLate(partition int32) {
	all, _ := w.late.of(partition, w.partitions)
	w.late.forget(all)
}

// awaitsLate reports whether a call that failed may still land in a partition.
func (w *Writer) awaitsLate(partition int32) bool {
	all, _ := w.late.of(partition, w.partitions)
	return len(all) > 0
}

// overwritten reports whether a call that failed has landed since, over what was acknowledged after it. It asks once for
// each call, when it is over. Nothing of the partition may be in flight.
func (w *Writer) overwritten(ctx context.Context, partition int32) (bool, error) {
	_, over := w.late.of(partition, w.partitions)
	byCollection := map[string][]*lateItem{}
	for _, late := range over {
		byCollection[late.Collection] = append(byCollection[late.Collection], late)
	}
	found := false
	for name, items := range byCollection {
		all := each(items, func(late *lateItem) record.Item { return late.Item })
		stored, err := asked(ctx, w, func() ([]weaviate.Stored, error) { return w.index.LoadHidden(ctx, name, all, false) })
		if err != nil {
			return false, fmt.Errorf("looking whether calls that failed have landed since: %w", err)
		}
		for i, late := range items {
			found = found || late.landed || late.left != nil && !stands(late.left, &stored[i])
		}
	}
	w.late.forget(over)
	return found, nil
}

// stands reports whether the index has an item as it was left.
func stands(left, stored *weaviate.Stored) bool {
	a, b := &left.State, &stored.State
	return left.Main == stored.Main && left.Side == stored.Side &&
		a.Base == b.Base && a.Floor == b.Floor && maps.Equal(a.Older, b.Older) && maps.EqualFunc(a.Sources, b.Sources, slices.Equal[[]uint64]) &&
		bytes.Equal(a.Wanted, b.Wanted) && bytes.Equal(a.Held, b.Held) && a.Failed.GetVersion() == b.Failed.GetVersion()
}
