package writer_test

import (
	"bytes"
	"errors"
	"slices"
	"testing"

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

func handle(t *testing.T, w *writer.Writer, records ...*record.Vector) {
	t.Helper()
	if _, err := w.Handle(t.Context(), records); err != nil {
		t.Fatal(err)
	}
}
