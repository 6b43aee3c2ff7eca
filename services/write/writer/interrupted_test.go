package writer_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/freshet-io/freshet/libs/fault"
	"github.com/freshet-io/freshet/libs/record"
	"github.com/freshet-io/freshet/services/write/writer"
)

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

// settled returns a writer whose take-over is long past. It must run in a bubble of synctest.
func settled(index writer.Index) *writer.Writer {
	w := writer.New(index, config())
	time.Sleep(5 * time.Minute)
	return w
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
