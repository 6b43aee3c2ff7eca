package writer_test

import (
	"context"
	"testing"
	"time"

	"github.com/freshet-io/freshet/libs/record"
	"github.com/freshet-io/freshet/libs/weaviate"
	"github.com/freshet-io/freshet/services/write/writer"
)

// checkedIndex is an index with ledgers.
type checkedIndex interface {
	writer.Index
	writer.Ledgers
}

// testIndex is what the writer and its keeper rely on, for the stand-in and the real index alike, so that the stand-in
// cannot drift.
func testIndex(t *testing.T, index checkedIndex) {
	t.Helper()
	testContract(t, index)
	t.Run("ledgers", func(t *testing.T) { testLedgers(t, index) })
	t.Run("swept tombstones", func(t *testing.T) { testSweep(t, index) })
}

func TestFakeIndex(t *testing.T) { testIndex(t, newFake()) }

// The methods of renamed are the client's, for another collection.

func (r renamed) Load(ctx context.Context, _ string, items []record.Item, whole bool) ([]weaviate.Stored, error) {
	return r.Client.Load(ctx, r.name, items, whole)
}

func (r renamed) LoadHidden(ctx context.Context, _ string, items []record.Item, whole bool) ([]weaviate.Stored, error) {
	return r.Client.LoadHidden(ctx, r.name, items, whole)
}

func (r renamed) Put(ctx context.Context, _ string, objs []weaviate.Object) (map[int]error, error) {
	return r.Client.Put(ctx, r.name, objs)
}

func (r renamed) PutSide(ctx context.Context, _ string, objs []weaviate.Object) (map[int]error, error) {
	return r.Client.PutSide(ctx, r.name, objs)
}

func (r renamed) DeleteMain(ctx context.Context, _ string, items []record.Item, hidden bool) error {
	return r.Client.DeleteMain(ctx, r.name, items, hidden)
}

func (r renamed) DeleteSide(ctx context.Context, _ string, items []record.Item, hidden bool) error {
	return r.Client.DeleteSide(ctx, r.name, items, hidden)
}

func (r renamed) SelfFound(ctx context.Context, _ string, items []record.Item, states []record.State) ([]record.Item, error) {
	return r.Client.SelfFound(ctx, r.name, items, states)
}

func (r renamed) Blind(ctx context.Context, _ string, item record.Item) (bool, error) {
	return r.Client.Blind(ctx, r.name, item)
}

func (r renamed) Ledgers(ctx context.Context, _ string, partitions []int32) (map[int32]weaviate.Ledger, error) {
	return r.Client.Ledgers(ctx, r.name, partitions)
}

func (r renamed) NewLedger(ctx context.Context, _ string, partition int32, l weaviate.Ledger) error {
	return r.Client.NewLedger(ctx, r.name, partition, l)
}

func (r renamed) PutLedger(ctx context.Context, _ string, partition int32, l weaviate.Ledger) error {
	return r.Client.PutLedger(ctx, r.name, partition, l)
}

func (r renamed) Tombstones(ctx context.Context, _ string, partition int32, before time.Time, limit int) ([]weaviate.Tombstone, error) {
	return r.Client.Tombstones(ctx, r.name, partition, before, limit)
}

func (r renamed) Unwritable(ctx context.Context, _ string) (cause, err error) {
	return r.Client.Unwritable(ctx, r.name)
}
