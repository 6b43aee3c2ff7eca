package writer_test

import (
	"context"
	"testing"

	"github.com/freshet-io/freshet/libs/record"
	"github.com/freshet-io/freshet/libs/weaviate"
	"github.com/freshet-io/freshet/services/write/writer/indextest"
)

// The stand-in passes what the real index does (TestWeaviate/acceptance), so that it cannot drift.
func TestFakeIndex(t *testing.T) { indextest.Run(t, newFake()) }

// The methods of renamed are the client's, for another collection.

func (r renamed) Load(ctx context.Context, _ string, items []record.Item, whole bool) ([]weaviate.Stored, error) {
	return r.Client.Load(ctx, r.name, items, whole)
}

func (r renamed) Put(ctx context.Context, _ string, objs []weaviate.Object) (map[int]error, error) {
	return r.Client.Put(ctx, r.name, objs)
}

func (r renamed) PutSide(ctx context.Context, _ string, objs []weaviate.Object) (map[int]error, error) {
	return r.Client.PutSide(ctx, r.name, objs)
}

func (r renamed) DeleteMain(ctx context.Context, _ string, items []record.Item) error {
	return r.Client.DeleteMain(ctx, r.name, items)
}

func (r renamed) DeleteSide(ctx context.Context, _ string, items []record.Item) error {
	return r.Client.DeleteSide(ctx, r.name, items)
}

func (r renamed) SelfFound(ctx context.Context, _ string, items []record.Item) ([]record.Item, error) {
	return r.Client.SelfFound(ctx, r.name, items)
}
