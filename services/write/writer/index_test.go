package writer_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/freshet-io/freshet/libs/fault"
	"github.com/freshet-io/freshet/libs/record"
	"github.com/freshet-io/freshet/libs/weaviate"
	"github.com/freshet-io/freshet/services/write/writer"
)

// testContract is the contract of writer.Index: what the writer relies on, whichever index it is. It must have an empty
// collection with the properties name (text) and price (int). What an index loses only when it is killed, or its disk is
// full, is not in here: that takes a server to be killed. Each subtest has items of its own.
func testContract(t *testing.T, index writer.Index) {
	t.Helper()
	s := suite{index}
	t.Run("answers come in the order of the questions", s.order)
	t.Run("what decides is loaded as all is", s.deciding)
	t.Run("a put replaces the whole object", s.replaced)
	t.Run("a vector is kept bit for bit", s.bits)
	t.Run("two copies are joined", s.joined)
	t.Run("a delete deletes one copy, and absent ones are no error", s.deleted)
	t.Run("items are found by their own vectors, absent ones are not", s.found)
	t.Run("an object that is refused is named, and the others are written", s.refused)
	t.Run("nothing is shared with the caller", s.shared)
	t.Run("calls for different items do not meet", s.concurrent)
	t.Run("a cancelled call has not begun, or is done", s.cancelled)
	t.Run("random histories", s.histories)
}

type suite struct{ index writer.Index }

type putCall func(context.Context, string, []weaviate.Object) (map[int]error, error)

// object is an item as a row makes it.
func object(id, name string, version int64) weaviate.Object {
	s := record.State{Sources: record.Orders{}}
	s.Take(row(id, version, name, version))
	return weaviate.Object{Item: itemOf(id), State: s}
}

func objects(prefix string, n int) []weaviate.Object {
	objs := make([]weaviate.Object, n)
	for i := range objs {
		objs[i] = object(fmt.Sprint(prefix, i), fmt.Sprint(prefix, " ", i), int64(i+1))
	}
	return objs
}

func itemsOf(objs []weaviate.Object) []record.Item {
	items := make([]record.Item, len(objs))
	for i, o := range objs {
		items[i] = o.Item
	}
	return items
}

func put(t *testing.T, call putCall, objs ...weaviate.Object) {
	t.Helper()
	if rejected, err := call(t.Context(), collection, objs); err != nil || len(rejected) > 0 {
		t.Fatalf("putting %d objects: rejected %v, error %v", len(objs), rejected, err)
	}
}

func (s suite) load(t *testing.T, items ...record.Item) []weaviate.Stored {
	t.Helper()
	stored, err := s.index.Load(t.Context(), collection, items, true)
	if err != nil || len(stored) != len(items) {
		t.Fatalf("loaded %d of %d: %v", len(stored), len(items), err)
	}
	return stored
}

func (s suite) order(t *testing.T) {
	objs := objects("order", 1234)
	put(t, s.index.Put, objs...)
	asked := append(itemsOf(objs), itemOf("order absent"))
	slices.Reverse(asked)
	stored := s.load(t, asked...)
	if first := stored[0]; first.Main || first.Side || first.State.Sources == nil {
		t.Errorf("an absent item is %+v", first)
	}
	for i, o := range objs {
		if got := stored[len(objs)-i]; !got.Main || got.State.Base != o.State.Base || got.State.Text != o.State.Text {
			t.Fatalf("for item %s came %+v", o.Item, got)
		}
	}
	if none := s.load(t); len(none) > 0 {
		t.Errorf("for no question came %+v", none)
	}
}

func (s suite) deciding(t *testing.T) {
	full := object("deciding", "lamp", 7)
	full.State.Floor, full.State.Failed = 3, &record.Failure{Version: 9, Reason: "oversize"}
	full.State.Sources["http"] = []uint64{1, math.MaxUint64}
	put(t, s.index.Put, full)
	some, err := s.index.Load(t.Context(), collection, []record.Item{full.Item}, false)
	if err != nil {
		t.Fatal(err)
	}
	want, all := decisive(full.State), s.load(t, full.Item)[0]
	if got := decisive(some[0].State); got != want || !some[0].Main || some[0].Side {
		t.Errorf("loaded %s, put %s", got, want)
	}
	if got := decisive(all.State); got != want {
		t.Errorf("loaded whole %s, put %s", got, want)
	}
	if got := all.State; string(got.Inputs) != string(full.State.Inputs) || got.Text != "lamp" || len(got.Properties) != 2 || len(got.Recipe) != 4 {
		t.Errorf("the row was %+v, is %+v", full.State, got)
	}
}

// decisive is what of a state decides about records.
func decisive(s record.State) string {
	return fmt.Sprintf("%d %d %v %x %x %s %t %d %d %s", s.Base, s.Floor, s.Sources, s.Wanted, s.Held, s.Space, s.Truncated, s.OriginalTokens, s.Failed.GetVersion(), s.Failed.GetReason())
}

func (s suite) replaced(t *testing.T) {
	first := object("replaced", "one", 1)
	first.State.Failed, first.State.Truncated, first.State.OriginalTokens = &record.Failure{Version: 9, Reason: "oversize"}, true, 9000
	second := object("replaced", "two", 2)
	second.State.Properties = second.State.Properties[:1]
	for _, call := range []putCall{s.index.Put, s.index.PutSide} {
		put(t, call, first)
		put(t, call, second)
		got := s.load(t, first.Item)[0].State
		if decisive(got) != decisive(second.State) || got.Text != "two" || len(got.Properties) != 1 || !slices.Equal(got.Vector, vectorOf("two")) {
			t.Errorf("loaded %+v", got)
		}
	}
}

func (s suite) bits(t *testing.T) {
	vector := vectorOf("bits")
	for i, f := range []float32{1 << 40, math.SmallestNonzeroFloat32, float32(math.Copysign(0, -1)), -1e-30, math.Nextafter32(1, 2)} {
		binary.LittleEndian.PutUint32(vector[4*i:], math.Float32bits(f))
	}
	for i, v := range [][]byte{vector, vectorOf("other bits")} {
		o := object("bits", "bits", int64(i+1))
		o.State.Vector = v
		put(t, s.index.Put, o)
		if got := s.load(t, o.Item)[0].State.Vector; !slices.Equal(got, v) {
			t.Errorf("loaded %x, put %x", got, v)
		}
	}
}

func (s suite) joined(t *testing.T) {
	tombstone := weaviate.Object{Item: itemOf("joined"), State: record.State{Floor: 6, Sources: record.Orders{"http": {4}}}}
	put(t, s.index.Put, object("joined", "one", 5))
	put(t, s.index.PutSide, tombstone)
	if got := s.load(t, tombstone.Item)[0]; !got.Main || !got.Side || got.State.Live() || got.State.Floor != 6 || len(got.State.Sources) != 2 {
		t.Errorf("loaded %+v", got)
	}
	put(t, s.index.Put, object("joined", "two", 7))
	if got := s.load(t, tombstone.Item)[0]; !got.State.Complete() || got.State.Floor != 6 || !slices.Equal(got.State.Vector, vectorOf("two")) {
		t.Errorf("created anew, it is %+v", got)
	}
}

func (s suite) deleted(t *testing.T) {
	o := object("deleted", "one", 5)
	put(t, s.index.Put, o)
	put(t, s.index.PutSide, o)
	both := []record.Item{o.Item, itemOf("deleted, and never there")}
	for range 2 {
		if err := s.index.DeleteMain(t.Context(), collection, both, false); err != nil {
			t.Fatal(err)
		}
		if got := s.load(t, o.Item)[0]; got.Main || !got.Side {
			t.Errorf("without its main copy it is %+v", got)
		}
	}
	for range 2 {
		if err := s.index.DeleteSide(t.Context(), collection, both, false); err != nil {
			t.Fatal(err)
		}
		if got := s.load(t, o.Item)[0]; got.Main || got.Side || got.State.Base != 0 {
			t.Errorf("without both copies it is %+v", got)
		}
	}
}

func (s suite) found(t *testing.T) {
	put(t, s.index.Put, object("found 1", "sun", 1), object("found 2", "sun", 2), object("found 4", "moon", 3))
	put(t, s.index.PutSide, object("found 3", "star", 4))
	s.missing(t, []string{"found 3", "found 0"}, "found 1", "found 3", "found 2", "found 0", "found 4")
	put(t, s.index.Put, object("found 1", "comet", 5))
	s.missing(t, nil, "found 1", "found 2", "found 4")
	if blind, err := s.index.Blind(t.Context(), collection, itemOf("found 1")); blind || err != nil {
		t.Errorf("the index finds nothing: %t, %v", blind, err)
	}
}

func (s suite) missing(t *testing.T, want []string, ids ...string) {
	t.Helper()
	var items []record.Item
	for _, id := range ids {
		items = append(items, itemOf(id))
	}
	missing, err := s.index.SelfFound(t.Context(), collection, items, nil)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, it := range missing {
		got = append(got, it.ID[0])
	}
	if !slices.Equal(got, want) {
		t.Errorf("of %q, %q are not found, want %q", ids, got, want)
	}
}

func (s suite) refused(t *testing.T) {
	calls := map[string]struct {
		call  putCall
		spoil func(*record.State)
	}{
		"main": {s.index.Put, func(s *record.State) { s.Vector = s.Vector[4:] }},
		"side": {s.index.PutSide, func(s *record.State) { s.Text = "\xff" }},
	}
	for name, c := range calls {
		objs := objects("refused "+name, 234)
		bad := []int{0, 99, 100, 233}
		for _, i := range bad {
			c.spoil(&objs[i].State)
		}
		rejected, err := c.call(t.Context(), collection, objs)
		if err != nil {
			t.Fatal(err)
		}
		for i, stored := range s.load(t, itemsOf(objs)...) {
			refused := slices.Contains(bad, i)
			if (rejected[i] != nil) != refused || (stored.Main || stored.Side) == refused || refused && fault.ClassOf(rejected[i]) != fault.Permanent {
				t.Errorf("%s: object %d of %v: rejected %v, stored %+v", name, i, bad, rejected[i], stored)
			}
		}
	}
}
