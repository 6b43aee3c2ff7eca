package writer_test

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/freshet-io/freshet/libs/fault"
	"github.com/freshet-io/freshet/libs/record"
	"github.com/freshet-io/freshet/libs/weaviate"
	"github.com/freshet-io/freshet/services/write/writer"
)

// calls handles records and returns what the index was asked for.
func calls(t *testing.T, index *fakeIndex, w *writer.Writer, records ...*record.Vector) []string {
	t.Helper()
	index.calls = nil
	handle(t, w, records...)
	return index.calls
}

func TestMemory_anItemIsReadOnce(t *testing.T) {
	index := newFake()
	w := writer.New(index, config())
	if got := calls(t, index, w, row("a", 5, "lamp", 1), remove("b", 6)); !slices.Equal(got, []string{"load 1", "load 1", "put side 1", "load 1", "put 1"}) {
		t.Errorf("at first: %q", got)
	}
	if got := calls(t, index, w, row("a", 7, "desk", 1), row("b", 8, "chair", 1), row("c", 9, "stool", 1)); !slices.Equal(got, []string{"load 1", "put 3", "delete side 1"}) {
		t.Errorf("of what was written: %q", got)
	}
	if got := calls(t, index, w, bulk(row("a", 1, "lamp", 1)), bulk(row("b", 1, "lamp", 1))); len(got) > 0 {
		t.Errorf("of what is stale: %q", got)
	}
	checkItem(t, index, "a", want{main: true, base: 7, name: "desk", held: "desk"})
	checkItem(t, index, "b", want{main: true, base: 8, floor: 6, name: "chair", held: "chair"})
}

// What is remembered decides, and is not all that the index has.
func TestMemory_aRowThatNoRecordSetsIsReadBeforeItIsWrittenAgain(t *testing.T) {
	tests := map[string]struct {
		first, then *record.Vector
		want        want
	}{
		"a mark on an object":        {row("a", 5, "lamp", 1), failed("a", 6), want{main: true, base: 5, name: "lamp", held: "lamp", failed: 6}},
		"a late delete of an object": {row("a", 7, "lamp", 1), bulk(remove("a", 6)), want{main: true, base: 7, floor: 6, name: "lamp", held: "lamp"}},
		"a vector that is reused":    {row("a", 5, "lamp", 1), pending("a", 6, "desk", 1), want{main: true, base: 6, name: "desk", held: "lamp"}},
		"a mark on a stub":           {pending("a", 5, "lamp", 1), failed("a", 6), want{side: true, base: 5, name: "lamp", failed: 6}},
		"a late delete of a stub":    {pending("a", 7, "lamp", 1), bulk(remove("a", 6)), want{side: true, base: 7, floor: 6, name: "lamp"}},
	}
	for name, test := range tests {
		for _, who := range []string{"remembered", "read"} {
			index := newFake()
			w := writer.New(index, config())
			handle(t, w, test.first)
			if who == "read" {
				w.TakeOver()
			}
			handle(t, w, test.then)
			checkItem(t, index, "a", test.want)
			if s := index.main[string(itemOf("a").Key())].state; test.want.main && len(s.Properties) != 2 || t.Failed() {
				t.Fatalf("%s, %s: properties %v", name, who, s.Properties)
			}
		}
	}
}

// TestMemory_isForgottenWithAnAssignment: another owner has written meanwhile.
func TestMemory_isForgottenWithAnAssignment(t *testing.T) {
	index := newFake()
	w := writer.New(index, config())
	handle(t, w, row("a", 5, "lamp", 1))
	handle(t, writer.New(index, config()), remove("a", 7))
	w.TakeOver()
	handle(t, w, bulk(row("a", 6, "desk", 1)))
	checkItem(t, index, "a", want{side: true, floor: 7})
}

// meanwhile is an index at which something happens after a put has landed and before its answer.
type meanwhile struct {
	*fakeIndex
	happens func()
}

func (m *meanwhile) Put(ctx context.Context, name string, objs []weaviate.Object) (map[int]error, error) {
	rejected, err := m.fakeIndex.Put(ctx, name, objs)
	if m.happens != nil {
		m.happens()
	}
	return rejected, err
}

// A batch may outlast its partition's stay here, and end after the partition has come back.
func TestMemory_aBatchThatOutlastsAnAssignmentLeavesNothing(t *testing.T) {
	index := &meanwhile{fakeIndex: newFake()}
	w := writer.New(index, config())
	index.happens = func() {
		handle(t, writer.New(index.fakeIndex, config()), remove("a", 7))
		w.TakeOver()
	}
	handle(t, w, row("a", 5, "lamp", 1))
	index.happens = nil
	handle(t, w, bulk(row("a", 6, "desk", 1)))
	checkItem(t, index.fakeIndex, "a", want{side: true, floor: 7})
}

// TestMemory_isForgottenWhereACallFailed: what the batch did is not all there.
func TestMemory_isForgottenWhereACallFailed(t *testing.T) {
	for _, fail := range []failure{before, silently} {
		index := newFake()
		w := writer.New(index, config())
		handle(t, w, row("a", 5, "lamp", 1), row("b", 5, "desk", 1))
		writes := index.writes
		index.interrupt = func(call int) failure {
			if call == writes+2 { // the delete that follows the tombstone
				return fail
			}
			return none
		}
		b := batch{remove("b", 6), remove("a", 6)}
		if _, err := w.Handle(t.Context(), b); err == nil {
			t.Fatal("no call failed")
		}
		handle(t, w, b...)
		for _, id := range []string{"a", "b"} {
			checkItem(t, index, id, want{side: true, floor: 6})
		}
	}
}

func TestMemory_isForgottenWhereTheIndexRefuses(t *testing.T) {
	index := newFake()
	w := writer.New(index, config())
	handle(t, w, row("a", 5, "lamp", 1))
	index.reject = func(weaviate.Object) error { return fault.Reject(fault.IndexRejected, "whatever it is") }
	handle(t, w, row("a", 6, "desk", 1)) // not even its mark is taken
	index.reject = nil
	if got := calls(t, index, w, failed("a", 6)); got[0] != "load 1" {
		t.Errorf("calls %q: want the item read first", got)
	}
	checkItem(t, index, "a", want{main: true, base: 5, name: "lamp", held: "lamp", failed: 6})
}

// TestMemory_sharesNothingWithABatch: a handler may keep nothing of one.
func TestMemory_sharesNothingWithABatch(t *testing.T) {
	index := newFake()
	w := writer.New(index, config())
	object, stub := row("a", 5, "lamp", 1), pending("b", 5, "desk", 1)
	handle(t, w, object, stub)
	clear(object.GetDocument().GetSources()[0].GetOrder())
	clear(stub.GetFingerprint())
	outcomes, err := w.Handle(t.Context(), batch{late(row("a", 7, "chair", 1), 4), bulk(row("b", 4, "desk", 1))})
	if err != nil || outcomes[0].Label != writer.OutOfOrder {
		t.Errorf("outcomes %v, error %v: the order was forgotten", result(outcomes), err)
	}
	checkItem(t, index, "b", want{main: true, base: 5, name: "desk", held: "desk"})
}

// TestMemory_endsNoSuspicion: an item that is remembered may still be stored and not found.
func TestMemory_endsNoSuspicion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		index := newFake()
		w := settled(index)
		index.interrupt = func(int) failure { return halfway }
		if _, err := w.Handle(t.Context(), batch{row("a", 5, "lamp", 1)}); err == nil {
			t.Fatal("the put was not interrupted")
		}
		index.interrupt = nil
		handle(t, w, bulk(row("a", 4, "lamp", 1))) // stale: from now on it is remembered
		if got := calls(t, index, w, row("a", 6, "lamp", 2)); len(got) == 0 || got[0] == "load 1" {
			t.Errorf("calls %q: want it remembered", got)
		}
		checkItem(t, index, "a", want{main: true, base: 6, name: "lamp", held: "lamp"})
	})
}
