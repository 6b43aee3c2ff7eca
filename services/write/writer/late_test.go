package writer_test

import (
	"maps"
	"testing"
	"testing/synctest"
	"time"

	"github.com/freshet-io/freshet/libs/record"
	"github.com/freshet-io/freshet/services/write/writer"
)

// lateBound is after how long the calls of these tests are over.
const lateBound = 90 * time.Second

// looking returns a writer that looks after calls that failed, and its keeper of item a's partition, which begins at 5.
func looking(t *testing.T, index *fakeIndex) (w *writer.Writer, k *writer.Keeper, partition int32) {
	t.Helper()
	cfg := config()
	cfg.Doubt, cfg.Partitions = lateBound, spec(collection).Partitions
	w = writer.New(index, cfg)
	k, partition = writer.NewKeeper(w, index, ids, 0), partitionOf("a")
	resume(t, k, partition, places(5, 0, ""))
	return w, k, partition
}

// failOnTheWayBack has the put of a record done, and its answer lost.
func failOnTheWayBack(t *testing.T, index *fakeIndex, w *writer.Writer, v *record.Vector) {
	t.Helper()
	index.interrupt = func(int) failure { return after }
	defer func() { index.interrupt = nil }()
	if _, err := w.Handle(t.Context(), batch{v}); err == nil {
		t.Fatal("the call has not failed")
	}
}

// A put fails on the way, is repeated, and a newer state is put. Then the first one lands.
func TestKeeper_looksWhetherCallsThatFailedHaveLandedSince(t *testing.T) {
	type landing struct {
		lands func(index *fakeIndex, late map[string]fakeObject) // nil: it never does
		back  bool
		read  bool // before the look, for a record that is no newer
	}
	put := func(index *fakeIndex, late map[string]fakeObject) { index.main = maps.Clone(late) }
	aside := func(index *fakeIndex, late map[string]fakeObject) { index.side = maps.Clone(late) }
	remove := func(index *fakeIndex, _ map[string]fakeObject) { clear(index.main) }
	for name, tt := range map[string]landing{
		"the call never lands, as it should": {nil, false, false},
		"it never lands, and is read":        {nil, false, true},
		"the call lands on the item itself":  {put, true, false},
		"the call lands, and then is read":   {put, true, true},
		"the call was a delete, and lands":   {remove, true, false},
		"the call lands, the item is aside":  {aside, true, false},
		"the call lands aside, and is read":  {aside, true, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				index := newFake()
				w, k, p := looking(t, index)
				keep(t, k, p, at(5, 0), at(5, 0))
				failOnTheWayBack(t, index, w, row("a", 5, "lamp", 1))
				late := maps.Clone(index.main)
				handle(t, w, row("a", 5, "lamp", 1))
				handle(t, w, row("a", 6, "lantern", 2))
				w.TakeOver() // of other partitions

				began := time.Now()
				for now := int64(6); time.Since(began) < lateBound; now++ { // what is done meanwhile is settled, and not fed for good
					start := keep(t, k, p, at(now, 0), at(now, 0))
					if !start.Late {
						t.Fatalf("after %s nobody waits for the call any more", time.Since(began))
					}
					time.Sleep(10 * time.Second)
				}
				if tt.lands != nil {
					tt.lands(index, late)
				}
				if tt.read {
					w.TakeOver()
					handle(t, w, bulk(row("a", 4, "lamp", 1)))
				}
				start := keep(t, k, p, at(100, 0), at(99, 0))
				if back := start.Offsets["live"] == 5; back != tt.back || start.Late != back {
					t.Errorf("goes on from %v, late %t", start.Offsets, start.Late)
				}
				if again := keep(t, k, p, at(100, 0), at(99, 0)); again.Offsets != nil || again.Late {
					t.Errorf("and then from %v, late %t", again.Offsets, again.Late)
				}
			})
		})
	}
}

// A call fails because the index is stopped, to be restored from a backup: that decides from where all is done again, and
// not the call, which has "landed" as all that was done since the backup has gone.
func TestKeeper_aRestoredIndexIsNoticedWhereACallHadFailed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		index := newFake()
		w, k, p := looking(t, index)
		handle(t, w, row("a", 5, "lamp", 1))
		keep(t, k, p, at(6, 0), nil)
		main, ledgers := maps.Clone(index.main), maps.Clone(index.ledgers)
		handle(t, w, row("a", 6, "lantern", 2))
		keep(t, k, p, at(50, 0), at(50, 0))
		keep(t, k, p, at(51, 0), at(50, 0))

		failOnTheWayBack(t, index, w, row("a", 7, "lamp", 1))
		time.Sleep(lateBound)
		index.main, index.ledgers = main, maps.Clone(ledgers)
		handle(t, w, row("a", 7, "lamp", 1))
		if start := keep(t, k, p, at(52, 0), at(51, 0)); start.Offsets["live"] != 5 {
			t.Errorf("goes on from %v, want the backup's place", start.Offsets)
		}
		if start := keep(t, k, p, at(52, 0), at(51, 0)); start.Offsets != nil {
			t.Errorf("and then from %v", start.Offsets)
		}
		index.ledgers = maps.Clone(ledgers)
		if start := keep(t, k, p, at(53, 0), at(52, 0)); start.Offsets["live"] != 5 {
			t.Errorf("restored once more, it goes on from %v", start.Offsets)
		}
	})
}

// The first try of a delete has put the tombstone, and its answer was lost. The index has no row of the item then, which is
// not one that was put back.
func TestADeleteWhoseFirstTryFailedIsDoneByTheSecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		index := newFake()
		w, _, _ := looking(t, index)
		handle(t, w, row("a", 5, "lamp", 1))
		failOnTheWayBack(t, index, w, remove("a", 6))
		if got := labels(t, w, remove("a", 6)); got[0] != writer.Deleted {
			t.Errorf("its outcome is %s", got)
		}
		if main, side := index.has(itemOf("a")); main || !side {
			t.Errorf("in the main collection: %t, aside: %t", main, side)
		}
	})
}
