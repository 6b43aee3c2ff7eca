package chaos

import (
	"context"
	"maps"
	"time"

	"github.com/freshet-io/freshet/libs/weaviate"
)

// The stand-in keeps ledgers as Weaviate does, of its one collection. It never goes back, and has no tombstone that is old.

func (v *indexView) Ledgers(ctx context.Context, _ string, partitions []int32) (map[int32]weaviate.Ledger, error) {
	if _, err := v.enter(ctx, false); err != nil {
		return nil, err
	}
	v.mu.Lock()
	some := map[int32]weaviate.Ledger{}
	for _, p := range partitions {
		if l, ok := v.ledgers[p]; ok {
			some[p] = l
		}
	}
	v.mu.Unlock()
	return some, v.leave(ctx)
}

func (v *indexView) NewLedger(ctx context.Context, collection string, partition int32, l weaviate.Ledger) error {
	return v.PutLedger(ctx, collection, partition, l)
}

func (v *indexView) PutLedger(ctx context.Context, _ string, partition int32, l weaviate.Ledger) error {
	if _, err := v.enter(ctx, false); err != nil {
		return err
	}
	v.mu.Lock()
	l.Fed = maps.Clone(l.Fed)
	v.ledgers[partition] = l
	v.mu.Unlock()
	return v.leave(ctx)
}

func (*indexView) Life(context.Context) string { return "1" }

func (*indexView) Tombstones(context.Context, string, int32, time.Time, int) ([]weaviate.Tombstone, error) {
	return nil, nil
}
