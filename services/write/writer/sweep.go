package writer

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/freshet-io/freshet/libs/record"
	"github.com/freshet-io/freshet/libs/weaviate"
)

const (
	// sweepEvery is how often a partition's tombstones are swept, sweepItems how many at most, so
	// that its records wait a moment only. Where there are more, the next Keep goes on.
	sweepEvery = time.Hour
	sweepItems = 1000
)

// soon returns a time up to d from now: partitions should not be swept all at once.
func soon(d time.Duration) time.Time {
	return time.Now().Add(rand.N(d)) //nolint:gosec // no secret
}

// sweep deletes tombstones that no record can meet any more: older than any dead letter, and with
// a floor below the version of every bulk row that may still come. Before them it writes the
// horizon, the highest floor that is gone: below it an absent item may have been deleted.
//
// It runs in the owner, between two batches: nothing raises a tombstone meanwhile.
func (k *Keeper) sweep(ctx context.Context, partition int32, p *part) error {
	if k.retention == 0 || time.Now().Before(p.sweepAt) {
		return nil
	}
	p.sweepAt = time.Now().Add(sweepEvery/2 + rand.N(sweepEvery)) //nolint:gosec // no secret
	open, err := k.writer.log.Open(ctx, partition)
	if err != nil {
		return fmt.Errorf("looking for bulk rows that may still come to partition %d: %w", partition, err)
	}
	for _, name := range k.names {
		more, err := k.sweepSome(ctx, name, partition, p, open)
		if err != nil {
			return fmt.Errorf("sweeping the tombstones of collection %s, partition %d: %w", name, partition, err)
		}
		if more {
			p.sweepAt = time.Now()
		}
	}
	return nil
}

func (k *Keeper) sweepSome(ctx context.Context, name string, partition int32, p *part, open int64) (more bool, err error) {
	w := k.writer
	old, err := asked(ctx, w, func() ([]weaviate.Tombstone, error) {
		return k.index.Tombstones(ctx, name, partition, time.Now().Add(-k.retention), sweepItems)
	})
	if err != nil {
		return false, err
	}
	items, horizon, err := k.dead(ctx, name, old, open)
	if err != nil || len(items) == 0 {
		return false, err
	}
	horizon = max(horizon, w.horizon(name, partition))
	l := weaviate.Ledger{Serial: p.serial, Fed: k.fed(p.fed), Horizon: horizon}
	if err := k.put(ctx, k.index.PutLedger, name, partition, l); err != nil {
		return false, err
	}
	w.setHorizon(name, partition, horizon)
	w.memory.drop(items)
	if err = w.call(ctx, func() error { return w.index.DeleteSide(ctx, name, items, false) }); err != nil {
		gone := each(items, func(it record.Item) *item { return &item{Item: it, key: string(it.Key())} })
		w.doubt(ctx, gone, err) // one may come again before the call lands
	}
	return len(old) == sweepItems, err
}

// dead returns the items whose tombstones go, and the highest floor of them. What a search has found
// is what one copy says: where there are several, another may know of a newer delete, or of a row.
func (k *Keeper) dead(ctx context.Context, name string, old []weaviate.Tombstone, open int64) (items []record.Item, horizon int64, err error) {
	old = slices.DeleteFunc(old, func(t weaviate.Tombstone) bool { return t.Floor >= open })
	if len(old) == 0 {
		return nil, 0, nil
	}
	all := each(old, func(t weaviate.Tombstone) record.Item { return t.Item })
	stored, err := asked(ctx, k.writer, func() ([]weaviate.Stored, error) { return k.writer.index.Load(ctx, name, all, false) })
	for i, s := range stored {
		if st := &s.State; !s.Main && st.Floor == old[i].Floor && !st.Live() && st.Failed == nil {
			items, horizon = append(items, all[i]), max(horizon, st.Floor)
		}
	}
	return items, horizon, err
}
