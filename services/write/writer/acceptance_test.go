package writer_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/freshet-io/freshet/libs/record"
	"github.com/freshet-io/freshet/libs/weaviate"
	"github.com/freshet-io/freshet/services/write/writer"
)

// checkedIndex is an index that can be asked what it finds.
type checkedIndex interface {
	writer.Index
	SelfFound(ctx context.Context, collection string, items []record.Item) ([]record.Item, error)
}

// testIndex is what the writer relies on, for the stand-in and the real index alike, so that the
// stand-in cannot drift.
func testIndex(t *testing.T, index checkedIndex) {
	t.Helper()
	object := func(id, name string, base int64) weaviate.Object {
		v := row(id, base, name, 1)
		s := record.State{Sources: record.Orders{}}
		s.Take(v)
		return weaviate.Object{Item: itemOf(id), State: s}
	}
	put := func(t *testing.T, call func(context.Context, string, []weaviate.Object) (map[int]error, error), objs ...weaviate.Object) {
		t.Helper()
		if rejected, err := call(t.Context(), collection, objs); err != nil || len(rejected) > 0 {
			t.Fatalf("rejected %v, error %v", rejected, err)
		}
	}
	load := func(t *testing.T, vectors bool, ids ...string) []weaviate.Stored {
		t.Helper()
		var items []record.Item
		for _, id := range ids {
			items = append(items, itemOf(id))
		}
		stored, err := index.Load(t.Context(), collection, items, vectors)
		if err != nil || len(stored) != len(ids) {
			t.Fatalf("loaded %d of %d: %v", len(stored), len(ids), err)
		}
		return stored
	}
	t.Run("items come in the order in which they were asked for", func(t *testing.T) {
		put(t, index.Put, object("o1", "one", 1), object("o2", "two", 2), object("o3", "three", 3))
		stored := load(t, true, "o3", "o0", "o1")
		if stored[0].State.Base != 3 || stored[1].Main || stored[1].State.Sources == nil || stored[2].State.Base != 1 {
			t.Errorf("loaded %+v", stored)
		}
		if !slices.Equal(stored[0].State.Vector, vectorOf("three")) {
			t.Error("the vector is not bit for bit that of the put")
		}
		if v := load(t, false, "o3")[0].State; len(v.Vector) > 0 || len(v.Held) == 0 {
			t.Error("without vectors the state must still say which one it holds")
		}
	})
	t.Run("a put replaces the whole object", func(t *testing.T) {
		first := object("r", "one", 1)
		first.State.Failed = &record.Failure{Version: 9, Reason: "oversize"}
		put(t, index.Put, first)
		put(t, index.Put, object("r", "two", 2))
		if s := load(t, true, "r")[0].State; s.Text != "two" || s.Failed != nil || !slices.Equal(s.Vector, vectorOf("two")) {
			t.Errorf("loaded %+v", s)
		}
	})
	t.Run("two copies are joined", func(t *testing.T) {
		put(t, index.Put, object("j", "one", 5))
		put(t, index.PutSide, weaviate.Object{Item: itemOf("j"), State: record.State{Floor: 6, Sources: record.Orders{"http": {4}}}})
		s := load(t, false, "j")[0]
		if !s.Main || !s.Side || s.State.Live() || s.State.Floor != 6 || len(s.State.Sources) != 2 {
			t.Errorf("loaded %+v", s)
		}
	})
	t.Run("a delete deletes one copy, and absent ones are no error", func(t *testing.T) {
		put(t, index.Put, object("d", "one", 5))
		put(t, index.PutSide, object("d", "one", 5))
		for range 2 {
			if err := index.DeleteMain(t.Context(), collection, []record.Item{itemOf("d"), itemOf("never")}); err != nil {
				t.Fatal(err)
			}
			if s := load(t, false, "d")[0]; s.Main || !s.Side {
				t.Errorf("loaded %+v", s)
			}
		}
		if err := index.DeleteSide(t.Context(), collection, []record.Item{itemOf("d")}); err != nil {
			t.Fatal(err)
		}
		if s := load(t, false, "d")[0]; s.Main || s.Side {
			t.Errorf("loaded %+v", s)
		}
	})
	t.Run("items are found by their own vectors, absent ones are not", func(t *testing.T) {
		put(t, index.Put, object("s1", "sun", 1), object("s2", "sun", 2))
		missing, err := index.SelfFound(t.Context(), collection, []record.Item{itemOf("s1"), itemOf("s0"), itemOf("s2")})
		if err != nil || len(missing) != 1 || missing[0].String() != itemOf("s0").String() {
			t.Errorf("missing %v, %v", missing, err)
		}
	})
	t.Run("random histories", func(t *testing.T) { testHistories(t, index) })
}

// testHistories writes random records of few items, with redeliveries, and compares the index with
// the fold of all of them.
func testHistories(t *testing.T, index checkedIndex) {
	const seed = 7
	r := rand.New(rand.NewPCG(seed, seed))
	w := writer.New(index, config())
	ids := []string{"h1", "h2", "h3", "h4", "h5", "h6"}
	oracle := map[string]*record.State{}
	for _, id := range ids {
		oracle[id] = &record.State{Sources: record.Orders{}}
	}
	var batches []batch
	for version := int64(1); version < 200; {
		var b batch
		for range 1 + r.IntN(8) {
			b = append(b, randomRecord(r, ids[r.IntN(len(ids))], version))
			version++
		}
		batches = append(batches, b)
	}
	for i, b := range batches {
		for _, v := range b {
			oracle[v.GetDocument().GetId()[0]].Take(v)
		}
		handle(t, w, b...)
		if r.IntN(4) == 0 {
			handle(t, w, batches[max(0, i-1)]...)
			handle(t, w, b...)
		}
	}
	for _, id := range ids {
		compareWithOracle(t, index, id, oracle[id])
	}
}

func randomRecord(r *rand.Rand, id string, version int64) *record.Vector {
	name := fmt.Sprintf("text %d", r.IntN(12))
	switch r.IntN(10) {
	case 0, 1:
		return remove(id, version)
	case 2:
		return pending(id, version, name, version)
	case 3:
		return bulk(row(id, max(1, version-int64(r.IntN(30))), name, version))
	case 4:
		return failed(id, version)
	}
	return row(id, version, name, version)
}

func compareWithOracle(t *testing.T, index checkedIndex, id string, want *record.State) {
	t.Helper()
	stored, err := index.Load(t.Context(), collection, []record.Item{itemOf(id)}, true)
	if err != nil {
		t.Fatal(err)
	}
	got := stored[0]
	if got.State.Base != want.Base || got.State.Floor != want.Floor || got.State.Text != want.Text || got.State.Failed.GetVersion() != want.Failed.GetVersion() {
		t.Errorf("item %s: %+v, want %+v", id, got.State, want)
	}
	if got.Main != want.Complete() || got.Side == want.Complete() {
		t.Errorf("item %s is in main %t, in side %t, complete %t", id, got.Main, got.Side, want.Complete())
	}
	if !want.Complete() {
		return
	}
	if c := cosine(got.State.Vector, want.Vector); c < 0.99999 {
		t.Errorf("item %s has another vector: cosine %v", id, c)
	}
	if missing, err := index.SelfFound(t.Context(), collection, []record.Item{itemOf(id)}); err != nil || len(missing) > 0 {
		t.Errorf("item %s is not found by its own vector, %v", id, err)
	}
}

func TestFakeIndex(t *testing.T) { testIndex(t, newFake()) }

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
