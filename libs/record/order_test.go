package record

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func TestOrdersCompare(t *testing.T) {
	taken := Orders{"cdc": {0, 3, 100, 1}}
	tests := map[string]struct {
		source string
		order  []uint64
		want   int
	}{
		"source not seen before":          {"http", []uint64{0}, 1},
		"the same change":                 {"cdc", []uint64{0, 3, 100, 1}, 0},
		"earlier row of the same change":  {"cdc", []uint64{0, 3, 100, 0}, -1},
		"later offset":                    {"cdc", []uint64{0, 3, 101, 0}, 1},
		"offset 99 is before 100":         {"cdc", []uint64{0, 3, 99, 7}, -1},
		"higher offset of an old epoch":   {"cdc", []uint64{0, 2, 500, 0}, -1},
		"lower offset after a rewind":     {"cdc", []uint64{1, 3, 5, 0}, 1},
		"order that lacks its last parts": {"cdc", []uint64{0, 3, 100}, -1},
		"no order at all":                 {"cdc", nil, -1},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := taken.Compare(&SourceOrder{Source: tt.source, Order: tt.order}); got != tt.want {
				t.Errorf("Compare = %d, want %d", got, tt.want)
			}
		})
	}
}

func anySources() *rapid.Generator[[]*SourceOrder] {
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) *SourceOrder {
		return &SourceOrder{
			Source: rapid.SampledFrom([]string{"cdc", "http", "redis"}).Draw(t, "source"),
			Order:  rapid.SliceOfN(rapid.Uint64Max(3), 0, 3).Draw(t, "order"),
		}
	}), 0, 6)
}

func TestOrdersOnlyRise(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		first, second := anySources().Draw(t, "first"), anySources().Draw(t, "second")
		a, b := Orders{}, Orders{}
		a.Take(first)
		for _, so := range a.List() {
			before := Orders{so.GetSource(): so.GetOrder()}
			a.Take(second)
			if before.Compare(&SourceOrder{Source: so.GetSource(), Order: a[so.GetSource()]}) < 0 {
				t.Fatalf("%s fell from %v to %v", so.GetSource(), so.GetOrder(), a[so.GetSource()])
			}
		}
		a.Take(second)
		b.Take(second)
		b.Take(first)
		b.Take(second)
		if len(first)+len(second) > 0 && !equalOrders(a, b) {
			t.Fatalf("taken in one order %v, in another %v", a, b)
		}
		if a.raisedBy(first) || a.raisedBy(second) {
			t.Fatalf("%v is raised by what it has taken", a)
		}
	})
}

func equalOrders(a, b Orders) bool {
	return slices.EqualFunc(a.List(), b.List(), func(x, y *SourceOrder) bool {
		return x.GetSource() == y.GetSource() && slices.Equal(x.GetOrder(), y.GetOrder())
	})
}

func TestKafkaOrderKeepsTheOrderOfATopic(t *testing.T) {
	ascending := [][]uint64{
		KafkaOrder(0, -1, 9, 0), // a broker that gives no epochs
		KafkaOrder(0, 0, 5, 0),
		KafkaOrder(0, 0, 5, 1),
		KafkaOrder(0, 0, 6, 0),
		KafkaOrder(0, 1, 6, 0),
		KafkaOrder(1, 0, 2, 0),
	}
	if !slices.IsSortedFunc(ascending, compareOrder) {
		t.Errorf("not ascending: %v", ascending)
	}
	if got := FormatOrder(KafkaOrder(1, 0, 2, 3)); got != "1.1.2.3" {
		t.Errorf("FormatOrder = %s", got)
	}
}

func TestSupersedes(t *testing.T) {
	tests := map[string]struct {
		later, earlier change
		want           bool
	}{
		"newer row of the same source":                       {upsert(2, "b").from("cdc", 2), upsert(1, "a").from("cdc", 1), true},
		"delete of the same source":                          {remove(2).from("cdc", 2), upsert(1, "a").from("cdc", 1), true},
		"row after a delete":                                 {upsert(2, "b").from("cdc", 2), remove(1).from("cdc", 1), true},
		"row after a mark":                                   {upsert(2, "b").from("cdc", 2), mark(1).from("cdc", 1), true},
		"no source gives an order":                           {upsert(2, "b"), upsert(1, "a"), true},
		"two bulk rows":                                      {upsert(2, "b").bulk(), upsert(1, "a").bulk(), true},
		"two redriven letters: the later one may be late":    {upsert(2, "b").from("cdc", 2).explicit(), upsert(1, "a").from("cdc", 1).explicit(), false},
		"row after a partial one":                            {upsert(2, "b"), newChange(Op_OP_PARTIAL, 1), true},
		"another source, that write may know further on":     {upsert(2, "b").from("http", 1), upsert(1, "a").from("cdc", 1), false},
		"one more source than before":                        {upsert(2, "b").from("cdc", 2).from("http", 1), upsert(1, "a").from("cdc", 1), false},
		"without the order that the earlier one brings":      {upsert(2, "b"), upsert(1, "a").from("cdc", 1), false},
		"with an order that the earlier one lacks":           {upsert(2, "b").from("cdc", 1), upsert(1, "a"), false},
		"old change appended late by the same source":        {upsert(2, "old").from("cdc", 1), upsert(1, "new").from("cdc", 2), false},
		"the same change appended twice":                     {upsert(2, "a").from("cdc", 1), upsert(1, "a").from("cdc", 1), false},
		"redriven letter that stands later in the log":       {upsert(1, "old").explicit(), upsert(2, "new"), false},
		"redriven letter, though of a lower version":         {upsert(3, "c").from("cdc", 3), upsert(2, "b").from("cdc", 2).explicit(), false},
		"the same record again":                              {upsert(1, "a"), upsert(1, "a"), false},
		"partial row, which lacks what the earlier one says": {newChange(Op_OP_PARTIAL, 2), upsert(1, "a"), false},
		"mark, which says nothing of what the item is":       {mark(2), upsert(1, "a"), false},
		"completion request, which write may be waiting for": {upsert(2, "b"), newChange(Op_OP_COMPLETION_REQUEST, 1), false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := tt.later.v.Supersedes(tt.earlier.v); got != tt.want {
				t.Errorf("Supersedes = %t, want %t", got, tt.want)
			}
		})
	}
}

// TestSupersedingChangesNoState: whatever the item's state, leaving out a superseded
// record ends where sending both ends, but for a floor below the row; and for what the item is found by until it is made of
// its columns anew: where a delete was left out that is what was before it.
func TestSupersedingChangesNoState(t *testing.T) {
	sourced := func(t *rapid.T, version int64) change {
		c := anyChange(t, version)
		c.v.Document.Sources = nil
		for _, source := range []string{"cdc", "http"} {
			if rapid.IntRange(0, 2).Draw(t, source) > 0 {
				c = c.from(source, rapid.Uint64Max(9).Draw(t, "order"))
			}
		}
		return c
	}
	rapid.Check(t, func(t *rapid.T) {
		both := &State{Sources: Orders{}}
		for version := range int64(3) {
			both.Take(sourced(t, version*5+1).v)
		}
		one := *both
		one.Sources = Orders{}
		one.Sources.Take(both.Sources.List())
		free := rapid.SampledFrom([]int64{2, 3, 4, 5, 7, 8, 9, 10, 12, 13})
		earlier, later := sourced(t, free.Draw(t, "earlier")), sourced(t, free.Draw(t, "later"))
		if !later.v.Supersedes(earlier.v) {
			return
		}
		both.Take(earlier.v)
		both.Take(later.v)
		one.Take(later.v)
		if one.Live() == both.Live() && one.Live() {
			one.Floor = both.Floor
		}
		for _, s := range []*State{&one, both} {
			if s.Merged() {
				s.Make(false, "made", []byte("made"), nil)
				s.DropVector()
			}
		}
		if a, b := essence(&one), essence(both); a != b {
			t.Fatalf("without the superseded one\n%s\nwith it\n%s", a, b)
		}
	})
}
