package writer_test

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/freshet-io/freshet/libs/fault"
	"github.com/freshet-io/freshet/libs/record"
	"github.com/freshet-io/freshet/libs/weaviate"
	"github.com/freshet-io/freshet/services/write/writer"
)

type batch = []*record.Vector

// result says of each record its label, or the reason of its dead letter.
func result(outcomes []writer.Outcome) []string {
	list := make([]string, len(outcomes))
	for i, o := range outcomes {
		list[i] = o.Label
		if o.Err != nil {
			list[i] = string(fault.ReasonOf(o.Err))
		}
	}
	return list
}

// want is what the index should have of item "a".
type want struct {
	main, side  bool
	base, floor int64
	name        string
	failed      int64
	held        string // text of the vector
}

// TestHandle tells what becomes of batches, one after the other, of item "a".
func TestHandle(t *testing.T) {
	foreign := row("a", 5, "lamp", 1)
	foreign.Space = "another"
	short := row("a", 5, "lamp", 1)
	short.Vector = short.GetVector()[4:]
	stranger := row("a", 5, "lamp", 1)
	stranger.Document.Collection = "Customer"

	tests := []struct {
		name    string
		batches []batch
		want    [][]string
		index   want
	}{
		{
			"a new item is written",
			[]batch{{row("a", 5, "lamp", 1)}},
			[][]string{{"written"}},
			want{main: true, base: 5, name: "lamp", held: "lamp"},
		},
		{
			"a newer row replaces the stored one",
			[]batch{{row("a", 5, "lamp", 1)}, {row("a", 6, "desk", 1)}},
			[][]string{{"written"}, {"written"}},
			want{main: true, base: 6, name: "desk", held: "desk"},
		},
		{
			"an older row of the bulk lane is stale",
			[]batch{{row("a", 5, "lamp", 1)}, {bulk(row("a", 4, "desk", 1))}},
			[][]string{{"written"}, {"stale"}},
			want{main: true, base: 5, name: "lamp", held: "lamp"},
		},
		{
			"an old change that its source appends late is out of order",
			[]batch{{row("a", 5, "lamp", 1)}, {late(row("a", 6, "desk", 1), 4)}},
			[][]string{{"written"}, {"out-of-order"}},
			want{main: true, base: 5, name: "lamp", held: "lamp"},
		},
		{
			"rows of one batch are folded",
			[]batch{{row("a", 5, "lamp", 1), row("b", 6, "chair", 1), row("a", 7, "desk", 1)}},
			[][]string{{"superseded", "written", "written"}},
			want{main: true, base: 7, name: "desk", held: "desk"},
		},
		{
			"a delete leaves a tombstone",
			[]batch{{row("a", 5, "lamp", 1)}, {remove("a", 6)}},
			[][]string{{"written"}, {"deleted"}},
			want{side: true, floor: 6},
		},
		{
			"a delete of an unknown item leaves a tombstone too: its row may still come",
			[]batch{{remove("a", 6)}, {bulk(row("a", 5, "lamp", 1))}},
			[][]string{{"deleted"}, {"stale"}},
			want{side: true, floor: 6},
		},
		{
			"an item that was deleted is created anew, in one batch",
			[]batch{{row("a", 5, "lamp", 1)}, {remove("a", 6), row("a", 7, "desk", 1)}},
			[][]string{{"written"}, {"superseded", "written"}},
			want{main: true, base: 7, floor: 6, name: "desk", held: "desk"},
		},
		{
			"an item that was deleted is created anew later",
			[]batch{{remove("a", 6)}, {row("a", 7, "desk", 1)}},
			[][]string{{"deleted"}, {"written"}},
			want{main: true, base: 7, floor: 6, name: "desk", held: "desk"},
		},
		{
			"created and deleted in one batch",
			[]batch{{row("a", 5, "lamp", 1), remove("a", 6)}},
			[][]string{{"superseded", "deleted"}},
			want{side: true, floor: 6},
		},
		{
			"a delete below the row raises the floor and keeps the row with its vector",
			[]batch{{row("a", 7, "lamp", 1)}, {bulk(remove("a", 6))}},
			[][]string{{"written"}, {"superseded"}},
			want{main: true, base: 7, floor: 6, name: "lamp", held: "lamp"},
		},
		{
			"a row without its vector waits aside",
			[]batch{{pending("a", 5, "lamp", 1)}},
			[][]string{{"waiting"}},
			want{side: true, base: 5, name: "lamp"},
		},
		{
			"the vector of a waiting row makes it searchable",
			[]batch{{pending("a", 5, "lamp", 1)}, {row("a", 5, "lamp", 1)}},
			[][]string{{"waiting"}, {"written"}},
			want{main: true, base: 5, name: "lamp", held: "lamp"},
		},
		{
			"properties overtake the vector: the item keeps its old one",
			[]batch{{row("a", 5, "lamp", 1)}, {pending("a", 6, "desk", 2)}},
			[][]string{{"written"}, {"written"}},
			want{main: true, base: 6, name: "desk", held: "lamp"},
		},
		{
			"the vector of a row that was found by its old one completes it",
			[]batch{{row("a", 5, "lamp", 1)}, {pending("a", 6, "desk", 2)}, {row("a", 6, "desk", 2)}, {row("a", 6, "desk", 2)}},
			[][]string{{"written"}, {"written"}, {"completed"}, {"written"}},
			want{main: true, base: 6, name: "desk", held: "desk"},
		},
		{
			"the vector of an older row of the same text completes a newer one",
			[]batch{{row("a", 5, "lamp", 1)}, {pending("a", 6, "desk", 2)}, {pending("a", 7, "desk", 3)}, {row("a", 6, "desk", 2)}},
			[][]string{{"written"}, {"written"}, {"written"}, {"superseded"}},
			want{main: true, base: 7, name: "desk", held: "desk"},
		},
		{
			"after a delete no old vector comes back",
			[]batch{{row("a", 5, "lamp", 1)}, {remove("a", 6), pending("a", 7, "desk", 2)}},
			[][]string{{"written"}, {"superseded", "waiting"}},
			want{side: true, base: 7, floor: 6, name: "desk"},
		},
		{
			"a dead letter elsewhere marks the item",
			[]batch{{row("a", 5, "lamp", 1)}, {failed("a", 6)}},
			[][]string{{"written"}, {"marked"}},
			want{main: true, base: 5, name: "lamp", held: "lamp", failed: 6},
		},
		{
			"a dead letter marks an item that is not there",
			[]batch{{failed("a", 6)}},
			[][]string{{"marked"}},
			want{side: true, failed: 6},
		},
		{
			"a newer row clears the mark",
			[]batch{{failed("a", 6)}, {row("a", 7, "lamp", 1)}},
			[][]string{{"marked"}, {"written"}},
			want{main: true, base: 7, name: "lamp", held: "lamp"},
		},
		{
			"a vector of another space is a dead letter and marks the item",
			[]batch{{row("a", 4, "desk", 1)}, {foreign}},
			[][]string{{"written"}, {"space-mismatch"}},
			want{main: true, base: 4, name: "desk", held: "desk", failed: 5},
		},
		{
			"a vector of another length is a dead letter, its neighbours are written",
			[]batch{{row("b", 3, "chair", 1), short, row("a", 6, "desk", 1)}},
			[][]string{{"written", "dimension-mismatch", "written"}},
			want{main: true, base: 6, name: "desk", held: "desk"},
		},
		{
			"an older change that comes late does not pass a dead letter",
			[]batch{{foreign}, {late(row("a", 6, "desk", 1), 4)}},
			[][]string{{"space-mismatch"}, {"out-of-order"}},
			want{side: true, failed: 5},
		},
		{
			"a record of a collection that is not ours is a dead letter",
			[]batch{{stranger, row("a", 6, "lamp", 1)}},
			[][]string{{"index-rejected", "written"}},
			want{main: true, base: 6, name: "lamp", held: "lamp"},
		},
		{
			"a marker is skipped",
			[]batch{{{Document: &record.Document{Op: record.Op_OP_MARKER}}, row("a", 6, "lamp", 1)}},
			[][]string{{"skipped", "written"}},
			want{main: true, base: 6, name: "lamp", held: "lamp"},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			index := newFake()
			w := writer.New(index, config())
			for i, b := range test.batches {
				outcomes, err := w.Handle(t.Context(), b)
				if err != nil {
					t.Fatal(err)
				}
				if got := result(outcomes); !slices.Equal(got, test.want[i]) {
					t.Errorf("batch %d: %v, want %v", i, got, test.want[i])
				}
			}
			checkItem(t, index, "a", test.index)
		})
	}
}

func checkItem(t *testing.T, index *fakeIndex, id string, want want) {
	t.Helper()
	it := itemOf(id)
	main, side := index.has(it)
	if main != want.main || side != want.side {
		t.Errorf("item %s: in main %t, in side %t, want %t and %t", id, main, side, want.main, want.side)
	}
	checkState(t, index, id, want)
	if missing, _ := index.SelfFound(t.Context(), collection, []record.Item{it}, nil); want.main && len(missing) > 0 {
		t.Errorf("item %s is stored and not found by its own vector", id)
	}
}

func checkState(t *testing.T, index writer.Index, id string, want want) {
	t.Helper()
	stored, err := index.Load(t.Context(), collection, []record.Item{itemOf(id)}, true)
	if err != nil {
		t.Fatal(err)
	}
	s := &stored[0].State
	if s.Base != want.base || s.Floor != want.floor || s.Text != want.name || s.Failed.GetVersion() != want.failed {
		t.Errorf("item %s: base %d, floor %d, text %q, failed %d, want %+v", id, s.Base, s.Floor, s.Text, s.Failed.GetVersion(), want)
	}
	if want.held == "" {
		if len(s.Held) > 0 {
			t.Errorf("item %s holds a vector, want none", id)
		}
		return
	}
	if !bytes.Equal(s.Held, record.Fingerprint(space, want.held)) {
		t.Errorf("item %s does not say that it holds the vector of %q", id, want.held)
	}
	if c := cosine(s.Vector, vectorOf(want.held)); c < 0.99999 {
		t.Errorf("item %s: the cosine of its vector to that of %q is %v", id, want.held, c)
	}
}

// TestRefusedByTheIndex: a record that the index refuses must not take along what was folded with it.
func TestRefusedByTheIndex(t *testing.T) {
	tests := []struct {
		name  string
		first batch
		batch batch
		want  []string
		index want
	}{
		{
			"the row is a dead letter, its neighbours are written", nil,
			batch{row("b", 3, "chair", 1), row("a", 6, "bad", 1)},
			[]string{"written", "index-rejected"},
			want{side: true, failed: 6},
		},
		{
			"an earlier row of the batch is written", nil,
			batch{row("a", 5, "lamp", 1), row("a", 6, "bad", 1)},
			[]string{"written", "index-rejected"},
			want{main: true, base: 5, name: "lamp", held: "lamp", failed: 6},
		},
		{
			"a delete before it is not forgotten",
			batch{row("a", 4, "lamp", 1)},
			batch{remove("a", 5), row("a", 6, "bad", 1)},
			[]string{"deleted", "index-rejected"},
			want{side: true, floor: 5, failed: 6},
		},
		{
			"two in a row",
			batch{row("a", 4, "lamp", 1)},
			batch{row("a", 5, "bad", 1), row("a", 6, "bad", 1)},
			[]string{"index-rejected", "index-rejected"},
			want{main: true, base: 4, name: "lamp", held: "lamp", failed: 6},
		},
		{
			"one that a later row supersedes is never sent", nil,
			batch{row("a", 5, "bad", 1), row("a", 6, "lamp", 1)},
			[]string{"superseded", "written"},
			want{main: true, base: 6, name: "lamp", held: "lamp"},
		},
		{
			"a row aside is refused too", nil,
			batch{pending("a", 5, "bad", 1)},
			[]string{"index-rejected"},
			want{side: true, failed: 5},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			index := newFake()
			index.reject = func(o weaviate.Object) error {
				if o.State.Text == "bad" {
					return fault.Reject(fault.IndexRejected, "property name")
				}
				return nil
			}
			w := writer.New(index, config())
			if _, err := w.Handle(t.Context(), test.first); err != nil {
				t.Fatal(err)
			}
			// The second time is a redelivery after a kill before the letter was written: it is
			// a dead letter once more, never silence.
			for range 2 {
				outcomes, err := w.Handle(t.Context(), test.batch)
				if err != nil {
					t.Fatal(err)
				}
				last := len(test.want) - 1
				if got := result(outcomes); got[last] != test.want[last] {
					t.Errorf("the last record is %v, want %v", got[last], test.want[last])
				}
				checkItem(t, index, "a", test.index)
			}
		})
	}
	t.Run("an item whose every put is refused does not hold up its partition", func(t *testing.T) {
		index := newFake()
		index.reject = func(weaviate.Object) error { return fault.Reject(fault.IndexRejected, "all") }
		outcomes, err := writer.New(index, config()).Handle(t.Context(), batch{row("a", 5, "lamp", 1), remove("a", 6)})
		if err != nil {
			t.Fatal(err)
		}
		if got := result(outcomes); !slices.Equal(got, []string{"index-rejected", "index-rejected"}) {
			t.Errorf("%v, want two dead letters", got)
		}
	})
}

// TestInterrupted interrupts each write of a history in each way, once by a failing call that the
// stage tries again and once by a kill of the process, and asks that the history ends as it does
// without.
func TestInterrupted(t *testing.T) {
	histories := map[string]struct {
		batches []batch
		want    want
	}{
		"insert":                  {[]batch{{row("a", 5, "lamp", 1), row("b", 6, "chair", 1)}}, want{main: true, base: 5, name: "lamp", held: "lamp"}},
		"price change":            {[]batch{{row("a", 5, "lamp", 1)}, {row("a", 6, "lamp", 2)}}, want{main: true, base: 6, name: "lamp", held: "lamp"}},
		"new text":                {[]batch{{row("a", 5, "lamp", 1)}, {row("a", 6, "desk", 2)}}, want{main: true, base: 6, name: "desk", held: "desk"}},
		"delete":                  {[]batch{{row("a", 5, "lamp", 1)}, {remove("a", 6)}}, want{side: true, floor: 6}},
		"delete, then create":     {[]batch{{row("a", 5, "lamp", 1)}, {remove("a", 6)}, {row("a", 7, "lamp", 1)}}, want{main: true, base: 7, floor: 6, name: "lamp", held: "lamp"}},
		"the same in one batch":   {[]batch{{row("a", 5, "lamp", 1)}, {remove("a", 6), row("a", 7, "lamp", 1)}}, want{main: true, base: 7, floor: 6, name: "lamp", held: "lamp"}},
		"stub becomes object":     {[]batch{{pending("a", 5, "lamp", 1)}, {row("a", 5, "lamp", 1)}}, want{main: true, base: 5, name: "lamp", held: "lamp"}},
		"object becomes stub":     {[]batch{{row("a", 5, "lamp", 1)}, {remove("a", 6), pending("a", 7, "desk", 1)}}, want{side: true, base: 7, floor: 6, name: "desk"}},
		"late delete":             {[]batch{{row("a", 7, "lamp", 1)}, {bulk(remove("a", 6))}}, want{main: true, base: 7, floor: 6, name: "lamp", held: "lamp"}},
		"folded over interrupted": {[]batch{{row("a", 5, "lamp", 1)}, {row("a", 6, "lamp", 2), row("a", 7, "lamp", 3)}}, want{main: true, base: 7, name: "lamp", held: "lamp"}},
	}
	for name, h := range histories {
		calm := newFake()
		run(t, calm, h.batches, false)
		for _, fail := range []failure{before, halfway, after, silently} {
			for _, killed := range []bool{false, true} {
				for at := 1; at <= calm.writes; at++ {
					index := newFake()
					index.interrupt = func(call int) failure {
						if call == at {
							return fail
						}
						return none
					}
					run(t, index, h.batches, killed)
					checkItem(t, index, "a", h.want)
					if t.Failed() {
						t.Fatalf("%s: write %d of %d interrupted in way %d, process killed: %t; calls %q", name, at, calm.writes, fail, killed, index.calls)
					}
				}
			}
		}
	}
}

// run handles batches and tries an interrupted one again; a killed process first repeats the batch
// before, whose offset it had not committed.
func run(t *testing.T, index *fakeIndex, batches []batch, killed bool) {
	t.Helper()
	w := writer.New(index, config())
	for i := 0; i < len(batches); i++ {
		_, err := w.Handle(t.Context(), batches[i])
		if err == nil {
			continue
		}
		if !errors.Is(err, errInterrupted) {
			t.Fatal(err)
		}
		if killed {
			w = writer.New(index, config())
			i = max(i-1, 0)
		}
		i--
	}
}

// settled returns a writer whose take-over is long past. It must run in a bubble of synctest.
func settled(index writer.Index) *writer.Writer {
	w := writer.New(index, config())
	time.Sleep(5 * time.Minute)
	return w
}

func handle(t *testing.T, w *writer.Writer, records ...*record.Vector) {
	t.Helper()
	if _, err := w.Handle(t.Context(), records); err != nil {
		t.Fatal(err)
	}
}

func storedVector(t *testing.T, index writer.Index) []byte {
	t.Helper()
	stored, err := index.Load(t.Context(), collection, []record.Item{itemOf("a")}, true)
	if err != nil {
		t.Fatal(err)
	}
	return stored[0].State.Vector
}

func TestNonce(t *testing.T) {
	t.Run("an ordinary put keeps the vector's bits", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			index := newFake()
			handle(t, settled(index), row("a", 5, "lamp", 1))
			if !bytes.Equal(storedVector(t, index), vectorOf("lamp")) {
				t.Error("the vector was changed: every price change would be indexed anew")
			}
		})
	})
	t.Run("an equal version changes them", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			index := newFake()
			w := settled(index)
			handle(t, w, row("a", 5, "lamp", 1))
			handle(t, w, row("a", 5, "lamp", 1))
			if bytes.Equal(storedVector(t, index), vectorOf("lamp")) {
				t.Error("the redelivered row was put with the same bits: the index skips it")
			}
		})
	})
	t.Run("what this process has put completely is not put once more", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			index := newFake()
			w := writer.New(index, config()) // all is suspect
			handle(t, w, row("a", 5, "lamp", 1))
			index.calls = nil
			w.Again()
			handle(t, w, row("a", 5, "lamp", 1))
			if want := []string{"load 1"}; !slices.Equal(index.calls, want) || index.searches != 1 {
				t.Errorf("calls %q and %d searches, want it to be read and searched for", index.calls, index.searches)
			}
		})
	})
	t.Run("what comes again and is not found changes them, also under a newer row of the batch", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			index := newFake()
			index.interrupt = func(int) failure { return halfway }
			if _, err := settled(index).Handle(t.Context(), batch{row("a", 5, "lamp", 1)}); err == nil {
				t.Fatal("the put was not interrupted")
			}
			index.interrupt = nil
			handle(t, writer.New(index, config()), row("a", 5, "lamp", 1), row("a", 6, "lamp", 2))
			if missing, _ := index.SelfFound(t.Context(), collection, []record.Item{itemOf("a")}, nil); len(missing) > 0 {
				t.Error("suspicion did not survive folding: the item is stored and not found")
			}
			if bytes.Equal(storedVector(t, index), vectorOf("lamp")) {
				t.Error("the row was put with the same bits: the index skips it")
			}
		})
	})
	t.Run("suspicion outlives the batch that was interrupted and ends with an acknowledged put", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			index := newFake()
			w := settled(index)
			index.interrupt = func(int) failure { return halfway }
			if _, err := w.Handle(t.Context(), batch{row("a", 5, "lamp", 1)}); err == nil {
				t.Fatal("the put was not interrupted")
			}
			index.interrupt = nil
			// The other lane brings a newer row first, with the same vector.
			handle(t, w, row("a", 6, "lamp", 2))
			if missing, _ := index.SelfFound(t.Context(), collection, []record.Item{itemOf("a")}, nil); len(missing) > 0 {
				t.Error("the item is stored and not found")
			}
			searches := index.searches
			time.Sleep(5 * time.Minute)
			handle(t, w, row("a", 7, "lamp", 3))
			if index.searches > searches {
				t.Error("the item is suspect for ever")
			}
		})
	})
	t.Run("after a take-over everything is suspect for a while: the other lane may come first", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			index := newFake()
			index.interrupt = func(int) failure { return halfway }
			if _, err := settled(index).Handle(t.Context(), batch{bulk(row("a", 5, "lamp", 1))}); err == nil {
				t.Fatal("the put was not interrupted")
			}
			index.interrupt = nil
			handle(t, writer.New(index, config()), row("a", 6, "lamp", 2))
			if missing, _ := index.SelfFound(t.Context(), collection, []record.Item{itemOf("a")}, nil); len(missing) > 0 {
				t.Error("the item is stored and not found")
			}
		})
	})
}

// An interrupted put aside may be stored where no read finds it, and what is put there later stays so.
func TestATombstoneCountsWhenItIsRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		index := newFake()
		index.interrupt = func(int) failure { return halfway }
		if _, err := settled(index).Handle(t.Context(), batch{remove("a", 5)}); err == nil {
			t.Fatal("the put was not interrupted")
		}
		index.interrupt = nil
		w := settled(index)
		handle(t, w, row("a", 6, "lamp", 1)) // by the other lane, so that the delete is stale when it comes again
		handle(t, w, remove("a", 5))
		handle(t, w, remove("a", 8))
		w.TakeOver()
		if got := labels(t, w, bulk(row("a", 7, "desk", 1))); got[0] != "stale" {
			t.Errorf("a row from before the delete is %v", got)
		}
		checkItem(t, index, "a", want{side: true, floor: 8})
	})
}

// What a put that was interrupted has left where no read finds it must not be found by a filter when the item is deleted.
func TestAnInterruptedRowGoesWithItsItem(t *testing.T) {
	index := newFake()
	index.interrupt = func(int) failure { return halfway }
	if _, err := writer.New(index, config()).Handle(t.Context(), batch{row("a", 5, "lamp", 1)}); err == nil {
		t.Fatal("the put was not interrupted")
	}
	index.interrupt = nil
	handle(t, writer.New(index, config()), row("a", 5, "lamp", 1), remove("a", 6))
	if main, side := index.has(itemOf("a")); main || !side {
		t.Errorf("in main %t, in side %t, want its tombstone alone", main, side)
	}
}

// A server that was killed may come back with a piece of its vector index cut off.
func TestASuspectItemIsSearchedForAfterItsPut(t *testing.T) {
	for hidden, want := range map[int]string{1: "written", 3: "written", 4: "written", 1000: "unfound"} {
		synctest.Test(t, func(t *testing.T) {
			index := newFake()
			w := settled(index)
			index.interrupt = func(int) failure { return halfway }
			b := batch{row("a", 5, "lamp", 1), row("b", 6, "desk", 1)}
			if _, err := w.Handle(t.Context(), b); err == nil {
				t.Fatal("the put was not interrupted")
			}
			index.interrupt, index.hidden = nil, map[string]int{string(itemOf("a").Key()): hidden}
			outcomes, err := w.Handle(t.Context(), b)
			for tries := 1; err != nil; tries++ { // as the stage does
				if hidden < 4 || tries > 30 {
					t.Fatal(err)
				}
				time.Sleep(10 * time.Second)
				outcomes, err = w.Handle(t.Context(), b)
			}
			if got := result(outcomes); !slices.Equal(got, []string{want, "written"}) {
				t.Errorf("cut off for %d puts: %v, want %s", hidden, got, want)
			}
			missing, err := index.SelfFound(t.Context(), collection, []record.Item{itemOf("a"), itemOf("b")}, nil)
			if err != nil || (len(missing) > 0) != (want == "unfound") {
				t.Errorf("cut off for %d puts: missing %v, %v", hidden, missing, err)
			}
		})
	}
}

// An item that is put again was, in the vector index, what another one was found by.
func TestAllSuspectItemsAreSearchedForOnceMoreWhenOneIsPutAgain(t *testing.T) {
	index := newFake()
	a, b := string(itemOf("a").Key()), string(itemOf("b").Key())
	index.hidden, index.cuts = map[string]int{b: 1}, map[string]string{b: a}
	w := writer.New(index, config())
	w.Again() // so that what is put is searched for
	handle(t, w, row("a", 5, "lamp", 1), row("b", 6, "desk", 1))
	if missing, _ := index.SelfFound(t.Context(), collection, []record.Item{itemOf("a"), itemOf("b")}, nil); len(missing) > 0 {
		t.Errorf("%v are stored and not found", missing)
	}
}

// A vector index that finds nothing is no index of which an item is missing: what goes on would be lost to all searches.
func TestAnIndexThatFindsNothingIsWaitedFor(t *testing.T) {
	index := newFake()
	w := writer.New(index, config())
	b := batch{row("a", 5, "lamp", 1)}
	handle(t, w, b...)
	index.blind = true
	if outcomes, err := w.Handle(t.Context(), b); err == nil || fault.ClassOf(err) != fault.Transient || !strings.Contains(err.Error(), "nothing at all") {
		t.Fatalf("got %v, %v", outcomes, err)
	}
	index.blind = false
	index.calls = nil
	if got := labels(t, w, b...); got[0] != "written" || !slices.Contains(index.calls, "put 1") {
		t.Errorf("then it is %v by %q, want it to be put anew", got, index.calls)
	}
}

// What a killed server has cut off draws in new items too, which nothing else makes suspect.
func TestNewItemsAreSearchedForAfterAFailedCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		index := newFake()
		w := settled(index)
		index.interrupt = func(int) failure { return before }
		if _, err := w.Handle(t.Context(), batch{row("b", 5, "lamp", 1)}); err == nil {
			t.Fatal("the put was not interrupted")
		}
		index.interrupt, index.hidden = nil, map[string]int{string(itemOf("a").Key()): 1}
		handle(t, w, row("a", 6, "desk", 1))
		if missing, _ := index.SelfFound(t.Context(), collection, []record.Item{itemOf("a")}, nil); len(missing) > 0 {
			t.Error("the item is stored and not found")
		}
	})
}

func TestHandleChangesNothingOfItsBatch(t *testing.T) {
	index := newFake()
	w := writer.New(index, config())
	b := batch{row("a", 5, "lamp", 1), row("a", 6, "desk", 1)}
	index.hidden = map[string]int{string(itemOf("a").Key()): 2} // so that it gets nonces
	handle(t, w, b...)
	if !bytes.Equal(b[0].GetVector(), vectorOf("lamp")) || !bytes.Equal(b[1].GetVector(), vectorOf("desk")) {
		t.Error("the records' vectors were changed")
	}
}

func TestPutsBeforeItDeletes(t *testing.T) {
	index := newFake()
	w := writer.New(index, config())
	handle(t, w, row("a", 5, "lamp", 1), remove("b", 4), pending("c", 3, "chair", 1))
	index.calls = nil
	handle(t, w, remove("a", 6), row("b", 7, "desk", 1), row("c", 8, "chair", 1))
	want := []string{"put side 1", "load 1", "put 2", "delete 1", "delete side 2"}
	if !slices.Equal(index.calls, want) {
		t.Errorf("calls %q, want %q", index.calls, want)
	}
}

func TestVectorsAreLoadedOnlyWhereTheyAreWritten(t *testing.T) {
	index := newFake()
	w := writer.New(index, config())
	handle(t, w, row("a", 5, "lamp", 1), row("b", 5, "desk", 1))
	index.calls = nil
	handle(t, w, row("a", 6, "lamp", 2), failed("b", 7))
	want := []string{"load 1", "put 2"}
	if !slices.Equal(index.calls, want) {
		t.Errorf("calls %q, want %q", index.calls, want)
	}
}

// gate is an index whose loads wait, to see how many are let in.
type gate struct {
	*fakeIndex
	mu      sync.Mutex
	in, top int
}

func (g *gate) Load(ctx context.Context, name string, items []record.Item, vectors bool) ([]weaviate.Stored, error) {
	g.mu.Lock()
	g.in++
	g.top = max(g.top, g.in)
	g.mu.Unlock()
	time.Sleep(time.Second)
	g.mu.Lock()
	g.in--
	g.mu.Unlock()
	return g.fakeIndex.Load(ctx, name, items, vectors)
}

func TestCallsInFlightAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &gate{fakeIndex: newFake()}
		w := writer.New(g, config())
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() { handle(t, w, row(string(rune('a'+i)), 5, "lamp", 1)) })
		}
		wg.Wait()
		if g.top != 2 {
			t.Errorf("%d calls at a time, want 2", g.top)
		}
	})
}

func TestATransientErrorGivesNoOutcome(t *testing.T) {
	index := newFake()
	index.interrupt = func(int) failure { return silently }
	outcomes, err := writer.New(index, config()).Handle(t.Context(), batch{row("a", 5, "lamp", 1), row("b", 6, "desk", 1)})
	if err == nil || outcomes != nil || fault.ClassOf(err) != fault.Transient {
		t.Errorf("outcomes %v, error %v: want a transient error alone", outcomes, err)
	}
}
