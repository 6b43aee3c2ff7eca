package writer_test

import (
	"maps"
	"testing"
	"testing/synctest"
	"time"

	"github.com/freshet-io/freshet/services/write/writer"
)

// lateBound is after how long the calls of these tests are over.
const lateBound = 90 * time.Second

// A put fails on the way, is repeated, and a newer state is put. Then the first one lands.
func TestKeeper_looksWhetherCallsThatFailedHaveLandedSince(t *testing.T) {
	type landing struct {
		lands func(index *fakeIndex, late map[string]fakeObject) // nil: it never does
		back  bool
	}
	put := func(index *fakeIndex, late map[string]fakeObject) { index.main = maps.Clone(late) }
	aside := func(index *fakeIndex, late map[string]fakeObject) { index.side = maps.Clone(late) }
	remove := func(index *fakeIndex, _ map[string]fakeObject) { clear(index.main) }
	for name, tt := range map[string]landing{
		"the call never lands, as it should": {nil, false},
		"the call lands on the item itself":  {put, true},
		"the call was a delete, and lands":   {remove, true},
		"the call lands, the item is aside":  {aside, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				index := newFake()
				cfg := config()
				cfg.Doubt, cfg.Partitions = lateBound, spec(collection).Partitions
				w := writer.New(index, cfg)
				k, p := writer.NewKeeper(w, index, ids, 0), partitionOf("a")
				resume(t, k, p, places(5, 0, ""))
				settled := at(5, 0)
				keep(t, k, p, settled, settled)

				index.interrupt = func(n int) failure { return map[bool]failure{true: after}[n == index.writes] }
				if _, err := w.Handle(t.Context(), batch{row("a", 5, "lamp", 1)}); err == nil {
					t.Fatal("the call has not failed")
				}
				index.interrupt = nil
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
		cfg := config()
		cfg.Doubt, cfg.Partitions = lateBound, spec(collection).Partitions
		w := writer.New(index, cfg)
		k, p := writer.NewKeeper(w, index, ids, 0), partitionOf("a")
		resume(t, k, p, places(5, 0, ""))
		handle(t, w, row("a", 5, "lamp", 1))
		keep(t, k, p, at(6, 0), nil)
		main, ledgers := maps.Clone(index.main), maps.Clone(index.ledgers)
		handle(t, w, row("a", 6, "lantern", 2))
		keep(t, k, p, at(50, 0), at(50, 0))
		keep(t, k, p, at(51, 0), at(50, 0))

		index.interrupt = func(int) failure { return after }
		if _, err := w.Handle(t.Context(), batch{row("a", 7, "lamp", 1)}); err == nil {
			t.Fatal("the call has not failed")
		}
		index.interrupt = nil
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
