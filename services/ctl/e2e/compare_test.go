package e2e_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/freshet-io/freshet/libs/record"
	"github.com/freshet-io/freshet/libs/weaviate"
)

// sighting is an item that was seen going back.
type sighting struct {
	at   time.Time
	what string
}

// watch looks at the hot items all the time: a state that was seen must never be
// followed by an older one. The end of a run alone would not show it, since a record
// that comes again is followed by its successors. The returned function stops it.
func (k *killer) watch() (stop func() []sighting) {
	var items []record.Item
	for id := range killHot {
		items = append(items, itemOf(int64(id+1)))
	}
	ctx, cancel := context.WithCancel(k.t.Context())
	var done sync.WaitGroup
	var seen []sighting
	looks := 0
	done.Go(func() {
		versions, seqs, doubts := make([]int64, killHot), make([]int64, killHot), make([]int, killHot)
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for ctx.Err() == nil {
			<-tick.C
			stored, err := k.index.Load(ctx, collection, items, true)
			if err != nil {
				continue
			}
			looks++
			for i, s := range stored {
				version := max(s.State.Base, s.State.Floor)
				if version == 0 {
					continue // not there yet, or moving between the two collections at this moment
				}
				seq := seqOf(s.State)
				// A look is two reads, one of each collection, and Weaviate does not find an object while it
				// is being replaced. So a row may show without the tombstone that was seen before, or the
				// tombstone without the row: only where that stays so is it true. An older row than the one
				// that was seen is believed when a second look shows it too: one flashed up once, in some
				// 100,000 looks at an item, while a single writer wrote in order; why is not known.
				patience := 10
				if s.Main && seq > 0 && seq < seqs[i] {
					patience = 1
				}
				if (version < versions[i] || seq > 0 && seq < seqs[i]) && doubts[i] < patience {
					doubts[i]++
					continue
				}
				doubts[i] = 0
				if version < versions[i] || seq > 0 && seq < seqs[i] {
					seen = append(seen, sighting{time.Now(), fmt.Sprintf("%s went back from version %d (change %d) to %d (change %d) while it was watched", items[i], versions[i], seqs[i], version, seq)})
				}
				versions[i] = version
				if seq > 0 {
					seqs[i] = seq
				}
			}
		}
	})
	return func() []sighting {
		cancel()
		done.Wait()
		k.t.Logf("%d hot items were looked at %d times", killHot, looks)
		return seen
	}
}

// seqOf returns the number of the change that made the row, 0 where there is none.
func seqOf(s record.State) int64 {
	for _, p := range s.Properties {
		if p.GetName() == "seq" && s.Live() {
			return p.GetValue().GetInteger()
		}
	}
	return 0
}

// compare compares the first n items in the index with the newest rows that were sent.
func (k *killer) compare(n int) (lost, stale, wrong []string) {
	k.t.Helper()
	var all, live []record.Item
	for id := range n {
		all = append(all, itemOf(int64(id+1)))
	}
	stored, err := k.index.Load(k.t.Context(), collection, all, true)
	if err != nil {
		k.t.Fatal(err)
	}
	for i, s := range stored {
		row, seq := k.history.rows[int64(i+1)], seqOf(s.State)
		switch {
		case row == nil && s.Main:
			stale = append(stale, fmt.Sprintf("%s is deleted and still there, as of change %d", all[i], seq))
		case row == nil:
		case !s.Main:
			lost = append(lost, fmt.Sprintf("%s is not there; its last change is %d", all[i], row.Seq))
			continue
		case seq < int64(row.Seq):
			stale = append(stale, fmt.Sprintf("%s is as of change %d; its last one is %d", all[i], seq, row.Seq))
		default:
			if err := row.differs(s); err != nil {
				wrong = append(wrong, fmt.Sprintf("%s: %v", all[i], err))
			}
		}
		if row != nil {
			live = append(live, all[i])
		}
	}
	missing, err := k.index.SelfFound(k.t.Context(), collection, live, nil)
	if err != nil {
		k.t.Fatal(err)
	}
	for _, item := range missing {
		lost = append(lost, k.unfound(item))
	}
	return lost, stale, wrong
}

// unfound says what can be known of an item that is there and not found.
func (k *killer) unfound(item record.Item) string {
	k.t.Helper()
	stored, err := k.index.Load(k.t.Context(), collection, []record.Item{item}, true)
	if err != nil {
		k.t.Fatal(err)
	}
	vector, err := record.ParseVector(stored[0].State.Vector)
	if err != nil {
		k.t.Fatal(err)
	}
	hits, err := k.index.Search(k.t.Context(), collection, "", vector, 1000, nil)
	far := slices.ContainsFunc(hits, func(h weaviate.Hit) bool { return h.Item.String() == item.String() })
	again, errAgain := k.index.SelfFound(k.t.Context(), collection, []record.Item{item}, nil)
	return fmt.Sprintf("%s, last changed by change %d, is not found by its own vector; among the 1000 nearest: %t (%v), a moment later: %t (%v)",
		item, seqOf(stored[0].State), far, err, len(again) == 0, errAgain)
}
