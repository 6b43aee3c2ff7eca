package writer_test

import (
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/freshet-io/freshet/libs/record"
	"github.com/freshet-io/freshet/libs/stage"
	"github.com/freshet-io/freshet/services/write/writer"
)

// A put that is interrupted may take the item's row of the id away: then no filter finds the item, in neither state. To
// who takes that for an unknown item, what was stored is lost where the record does not bring all of it.
func TestAnItemThatAnInterruptedPutHidesIsNoUnknownOne(t *testing.T) {
	partial := columns{price: "2"}.change(t, 6)
	tests := map[string]struct {
		change *record.Vector
		want   want
	}{
		"the mark of a dead letter": {failed("a", 6), want{main: true, base: 5, failed: 6}},
		"a change of the price":     {partial, want{main: true, base: 6}},
		"a late delete":             {bulk(remove("a", 4)), want{main: true, base: 5, floor: 4}},
	}
	whole := columns{name: "lamp", description: "bright", price: "1", shown: "1"}
	for name, tt := range tests {
		for _, again := range []string{"in this process", "in another one"} {
			t.Run(fmt.Sprint(name, ", again ", again), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					index := newFake()
					handle(t, writer.New(index, shopConfig(t)), whole.change(t, 5))
					w := writer.New(index, shopConfig(t)) // all is suspect, so that the put changes the vector's bits
					index.interrupt = func(int) failure { return halfway }
					if _, err := w.Handle(t.Context(), batch{tt.change}); err == nil {
						t.Fatal("the put was not interrupted")
					}
					if again == "in another one" {
						w = writer.New(index, shopConfig(t))
					}
					index.interrupt = nil
					handle(t, w, tt.change)
					tt.want.name, tt.want.held = "lamp bright", "lamp bright"
					checkItem(t, index, "a", tt.want)
				})
			})
		}
	}
}

// An owner was killed in the put of a bulk row. The next one has a live backlog of more than two minutes, in which a newer
// change of the item comes before the row comes again, and then loses.
func TestAnInterruptedBulkRowIsSuspectForAsLongAsItWaits(t *testing.T) {
	for name, newer := range map[string]*record.Vector{"a newer row of the same text": row("a", 6, "lamp", 2), "a delete": remove("a", 6)} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				index := newFake()
				index.interrupt = func(int) failure { return halfway }
				bulkRow := bulk(row("a", 5, "lamp", 1))
				if _, err := settled(index).Handle(t.Context(), batch{bulkRow}); err == nil {
					t.Fatal("the put was not interrupted")
				}
				index.interrupt = nil
				w := settled(index)
				for _, b := range []batch{{newer}, {bulkRow}} {
					if _, err := w.Handle(stage.Repeating(t.Context()), b); err != nil {
						t.Fatal(err)
					}
				}
				deleted := newer.GetDocument().GetOp() == record.Op_OP_DELETE
				if main, _ := index.has(itemOf("a")); main == deleted {
					t.Errorf("it is in the main collection: %t", main)
				}
				if missing, _ := index.SelfFound(t.Context(), collection, []record.Item{itemOf("a")}, nil); !deleted && len(missing) > 0 {
					t.Error("it is stored and not found by its own vector")
				}
			})
		})
	}
}
