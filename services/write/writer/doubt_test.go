package writer_test

import (
	"maps"
	"testing"

	"github.com/freshet-io/freshet/libs/record"
	"github.com/freshet-io/freshet/libs/stage"
	"github.com/freshet-io/freshet/services/write/writer"
)

// A call of the owner before lands late over a row that this one has put, and a row that lacks columns comes. Merged with
// what is left, it would keep the old columns for good: its source's order would have the row that brought the new ones be
// a late one when it comes once more.
func TestARowIsNotMergedWithWhatALateCallHasPutBack(t *testing.T) {
	index := newFake()
	cfg := shopConfig(t)
	cfg.Partitions = 3
	w, other := writer.New(index, cfg), (record.Partition(itemOf("a").Key(), cfg.Partitions)+1)%cfg.Partitions
	inDoubt := func(v *record.Vector) {
		t.Helper()
		if _, err := w.Handle(stage.Doubting(t.Context()), batch{v}); err != nil {
			t.Fatal(err)
		}
	}
	old, whole, price := columns{"lamp", "dim", "10", "1"}.change(t, 5), columns{"lamp", "bright", "10", "1"}.change(t, 6), columns{"lamp", "", "20", "1"}.change(t, 7)
	inDoubt(old)
	late := maps.Clone(index.main)
	inDoubt(whole)
	index.main = late
	w.Again(other) // what is known of this one stays
	w.TakeOver(other)
	inDoubt(price)
	inDoubt(price) // nor by the next record
	w.Again()
	handle(t, w, whole, price)
	checkItem(t, index, "a", want{main: true, base: 7, name: "lamp bright", held: "lamp bright"})
}
