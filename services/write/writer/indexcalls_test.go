package writer_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/freshet-io/freshet/libs/record"
	"github.com/freshet-io/freshet/services/write/writer"
)

func (s suite) shared(t *testing.T) {
	o := object("shared", "lamp", 5)
	put(t, s.index.Put, o)
	clear(o.State.Vector)
	clear(o.State.Held)
	clear(o.State.Sources)
	first := s.load(t, o.Item)[0].State
	if !slices.Equal(first.Vector, vectorOf("lamp")) || !slices.Equal(first.Held, record.Fingerprint(space, "lamp")) || len(first.Sources) != 1 {
		t.Fatalf("what was put changed with the caller's copy: %+v", first)
	}
	clear(first.Vector)
	first.Sources["http"] = []uint64{1}
	if again := s.load(t, o.Item)[0].State; !slices.Equal(again.Vector, vectorOf("lamp")) || len(again.Sources) != 1 {
		t.Errorf("what is stored changed with the caller's copy: %+v", again)
	}
}

func (s suite) concurrent(t *testing.T) {
	var callers sync.WaitGroup
	for caller := range 8 {
		callers.Go(func() {
			objs := objects(fmt.Sprint("concurrent ", caller, " "), 20)
			items := itemsOf(objs)
			for range 3 {
				put(t, s.index.Put, objs...)
				put(t, s.index.PutSide, objs[:10]...)
				if err := s.index.DeleteMain(t.Context(), collection, items[:10], false); err != nil {
					t.Error(err)
				}
				for i, stored := range s.load(t, items...) {
					if stored.Side != (i < 10) || stored.Main != (i >= 10) || stored.State.Text != objs[i].State.Text {
						t.Errorf("item %s is %+v", items[i], stored)
					}
				}
			}
		})
	}
	callers.Wait()
}

// cancelled cancels puts at random moments: those that fail have done nothing, and those that do
// not have done all. Weaviate loses what was cancelled halfway: it is stored and never found.
func (s suite) cancelled(t *testing.T) {
	begun := 0
	for round := range 30 {
		objs := objects(fmt.Sprint("cancelled ", round, " "), 50)
		ctx, cancel := context.WithCancel(t.Context())
		if round == 0 {
			cancel()
		}
		early := time.AfterFunc(time.Duration(rand.Int64N(int64(20*time.Millisecond))), cancel) //nolint:gosec // no secret
		_, err := s.index.Put(ctx, collection, objs)
		early.Stop()
		cancel()
		if err == nil {
			begun++
		}
		for _, stored := range s.load(t, itemsOf(objs)...) {
			if stored.Main != (err == nil) {
				t.Fatalf("round %d: the put gave %v, and an item is stored: %t", round, err, stored.Main)
			}
		}
		if missing, e := s.index.SelfFound(t.Context(), collection, itemsOf(objs), nil); e != nil || err == nil && len(missing) > 0 {
			t.Fatalf("round %d: %d of %d items are stored and not found, %v", round, len(missing), len(objs), e)
		}
	}
	if begun == 0 || begun == 30 {
		t.Errorf("%d of 30 puts were done: want one that was cancelled before it began, and one that was not", begun)
	}
}

// histories writes random records of few items, with redeliveries, and compares the index with the
// fold of all of them.
func (s suite) histories(t *testing.T) {
	const seed = 7
	r := rand.New(rand.NewPCG(seed, seed)) //nolint:gosec // no secret
	w := writer.New(s.index, config())
	ids := []string{"h1", "h2", "h3", "h4", "h5", "h6"}
	oracle := map[string]*record.State{}
	for _, id := range ids {
		oracle[id] = &record.State{Sources: record.Orders{}}
	}
	handle := func(batch []*record.Vector) {
		if _, err := w.Handle(t.Context(), batch); err != nil {
			t.Fatal(err)
		}
	}
	var before []*record.Vector
	for version := int64(1); version < 200; {
		var batch []*record.Vector
		for range 1 + r.IntN(8) {
			batch = append(batch, randomRecord(r, ids[r.IntN(len(ids))], version))
			version++
		}
		for _, v := range batch {
			oracle[v.GetDocument().GetId()[0]].Take(v)
		}
		handle(batch)
		if r.IntN(4) == 0 {
			handle(before)
			handle(batch)
		}
		before = batch
	}
	for _, id := range ids {
		s.compare(t, id, oracle[id])
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

func (s suite) compare(t *testing.T, id string, want *record.State) {
	t.Helper()
	got := s.load(t, itemOf(id))[0]
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
	s.missing(t, nil, id)
}
