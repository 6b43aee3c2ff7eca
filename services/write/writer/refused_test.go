package writer_test

import (
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"strings"
	"testing"

	"github.com/freshet-io/freshet/libs/fault"
	"github.com/freshet-io/freshet/libs/pipeline"
	"github.com/freshet-io/freshet/libs/record"
	"github.com/freshet-io/freshet/libs/weaviate"
	"github.com/freshet-io/freshet/services/write/writer"
)

func (s *server) testRefused(t *testing.T) {
	s.create(t, spec("Refused"))
	property := func(name string, v *record.Value) func(*record.State) {
		return func(s *record.State) { s.Properties = []*record.Property{{Name: name, Value: v}} }
	}
	vector := func(v ...float32) func(*record.State) {
		return func(s *record.State) {
			copy(s.Vector, record.AppendVector(nil, v))
		}
	}
	nan, zeros := float32(math.NaN()), make([]float32, dimensions)
	tests := map[string]struct {
		change func(*record.State)
		says   string
		reason fault.Reason
	}{
		"an integer beyond 2^53":  {property("price", &record.Value{Kind: &record.Value_Integer{Integer: 1<<53 + 1}}), "price", fault.FieldType},
		"one in a list":           {property("counts", &record.Value{Kind: &record.Value_Integers{Integers: &record.IntegerList{Values: []int64{1, -1<<53 - 1}}}}), "counts", fault.FieldType},
		"a number that is none":   {property("weight", &record.Value{Kind: &record.Value_Number{Number: math.NaN()}}), "weight", fault.FieldType},
		"a date that is none":     {property("listed", &record.Value{Kind: &record.Value_Date{Date: "yesterday"}}), "listed", fault.FieldType},
		"a UUID that is none":     {property("ref", &record.Value{Kind: &record.Value_Uuid{Uuid: "4711"}}), "ref", fault.FieldType},
		"another type":            {property("name", &record.Value{Kind: &record.Value_Integer{Integer: 1}}), "name", fault.FieldType},
		"an unknown property":     {property("colour", text("red")), "colour", fault.FieldType},
		"no value":                {property("name", nil), "name", fault.FieldType},
		"text that is no UTF-8":   {func(s *record.State) { s.Inputs = []byte{'"', 0xff, '"'} }, "freshet_inputs", fault.IndexRejected},
		"a vector with NaN":       {vector(1, nan), "component 1", fault.IndexRejected},
		"a zero vector":           {vector(zeros...), "zero", fault.IndexRejected},
		"a vector that is short":  {func(s *record.State) { s.Vector = s.Vector[4:] }, "dimensions", fault.DimensionMismatch},
		"a vector that is absent": {func(s *record.State) { s.Vector = nil }, "dimensions", fault.DimensionMismatch},
	}
	var objs []weaviate.Object
	var names []string
	for name, test := range tests {
		state := record.State{Base: 1, Sources: record.Orders{}, Held: []byte{1}, Vector: vectorOf(name)}
		test.change(&state)
		good := record.State{Base: 1, Sources: record.Orders{}, Held: []byte{1}, Vector: vectorOf("good " + name)}
		objs = append(objs, weaviate.Object{Item: itemOf("bad " + name), State: state}, weaviate.Object{Item: itemOf("good " + name), State: good})
		names = append(names, name, "")
	}
	rejected, err := s.client.Put(t.Context(), "Refused", objs)
	if err != nil {
		t.Fatal(err)
	}
	for i, name := range names {
		if name == "" {
			if rejected[i] != nil {
				t.Errorf("%s: %v", objs[i].Item, rejected[i])
			}
			continue
		}
		test := tests[name]
		if err := rejected[i]; fault.ReasonOf(err) != test.reason || !strings.Contains(fmt.Sprint(err), test.says) {
			t.Errorf("%s: %v, want %s that names %s", name, err, test.reason, test.says)
		}
	}
}

// testRefusedByServer replaces a collection under a running client by one of other types: what the
// client lets pass, the server refuses object by object.
func (s *server) testRefusedByServer(t *testing.T) {
	before := spec("Replaced")
	s.create(t, before)
	s.rest(t, http.MethodDelete, "schema/Replaced_g1", "")
	s.rest(t, http.MethodDelete, "schema/Replaced_g1_side", "")
	after := before
	types := []pipeline.Type{
		pipeline.TypeInt, pipeline.TypeText, pipeline.TypeBool, pipeline.TypeNumber, pipeline.TypeUUID, pipeline.TypeDate,
		pipeline.TypeInts, pipeline.TypeTexts, pipeline.TypeDates, pipeline.TypeNumbers,
	}
	after.Properties = nil
	for i, other := range types { // the last property is missing
		after.Properties = append(after.Properties, pipeline.Property{Name: before.Properties[i].Name, Type: other})
	}
	if err := open(t, s.Weaviate).Create(t.Context(), after); err != nil {
		t.Fatal(err)
	}
	values := []*record.Value{
		text("lamp"),
		{Kind: &record.Value_Integer{Integer: 1}},
		{Kind: &record.Value_Number{Number: 1}},
		{Kind: &record.Value_Boolean{}},
		{Kind: &record.Value_Date{Date: "2026-11-22T15:00:00Z"}},
		{Kind: &record.Value_Uuid{Uuid: "7b0c9fb2-6f0e-5c2b-9f5d-3d8b6f5a3c11"}},
		{Kind: &record.Value_Texts{Texts: &record.TextList{Values: []string{"a"}}}},
		{Kind: &record.Value_Numbers{Numbers: &record.NumberList{Values: []float64{1}}}},
		{Kind: &record.Value_Integers{Integers: &record.IntegerList{Values: []int64{1}}}},
		{Kind: &record.Value_Booleans{Booleans: &record.BooleanList{Values: []bool{true}}}},
		{Kind: &record.Value_Dates{Dates: &record.TextList{Values: []string{"2026-11-22T15:00:00Z"}}}},
	}
	state := func(name string) record.State {
		return record.State{Base: 1, Sources: record.Orders{}, Held: []byte{1}, Vector: vectorOf(name)}
	}
	objs := []weaviate.Object{{Item: itemOf("good"), State: state("good")}}
	for i, p := range before.Properties {
		o := weaviate.Object{Item: itemOf(p.Name), State: state(p.Name)}
		o.State.Properties = []*record.Property{{Name: p.Name, Value: values[i]}}
		objs = append(objs, o)
	}
	rejected, err := s.client.Put(t.Context(), "Replaced", objs)
	if err != nil {
		t.Fatal(err)
	}
	for i, o := range objs {
		if reason := fault.ReasonOf(rejected[i]); i > 0 && reason != fault.IndexRejected || i == 0 && rejected[i] != nil {
			t.Errorf("%s: %v", o.Item, rejected[i])
		}
	}
	if n, err := s.client.Count(t.Context(), "Replaced"); n != 1 || err != nil {
		t.Errorf("%d objects are stored, %v, want the good one", n, err)
	}
}

// testOtherDimensions: a collection whose first vector came from another program.
func (s *server) testOtherDimensions(t *testing.T) {
	s.create(t, spec("Dimensioned"))
	short, err := json.Marshal(map[string]any{"class": "Dimensioned_g1", "vector": []float32{1, 2, 3}})
	if err != nil {
		t.Fatal(err)
	}
	s.rest(t, http.MethodPost, "objects", string(short))
	state := record.State{Base: 1, Sources: record.Orders{}, Held: []byte{1}, Vector: vectorOf("a")}
	rejected, err := s.client.Put(t.Context(), "Dimensioned", []weaviate.Object{{Item: itemOf("a"), State: state}})
	if err != nil || fault.ReasonOf(rejected[0]) != fault.IndexRejected {
		t.Errorf("rejected %v, error %v, want index-rejected", rejected, err)
	}
}

// renamed lets records of collection Product go to a collection of the test's own.
type renamed struct {
	*weaviate.Client
	name string
}

func (s *server) testReadOnly(t *testing.T) {
	s.create(t, spec("Frozen"))
	index := renamed{s.client, "Frozen"}
	w := writer.New(index, config())
	handle(t, w, row("first", 1, "first", 1))
	var b batch
	var items []record.Item
	for i := range 40 {
		id := fmt.Sprintf("frozen %d", i)
		b = append(b, row(id, int64(i+2), id, 1))
		items = append(items, itemOf(id))
	}
	for _, class := range []string{"Frozen_g1", "Frozen_g1_side"} {
		s.setShards(t, class, "READONLY")
		for _, records := range []batch{b, {remove("first", 99)}} {
			outcomes, err := w.Handle(t.Context(), records)
			if class == "Frozen_g1_side" && len(records) > 1 {
				continue // rows have nothing to do there
			}
			if err == nil || fault.ClassOf(err) != fault.Transient {
				t.Errorf("%s is read-only: outcomes %v, error %v: want a transient error", class, outcomes, err)
			}
			if says := fmt.Sprint(err); !strings.Contains(says, "of collection "+class+" is READONLY: free the disk") || strings.Contains(says, "\n") {
				t.Errorf("the error is %q, want one line that names the shard", says)
			}
		}
		s.setShards(t, class, "READY")
	}
	handle(t, w, b...)
	if missing, err := index.SelfFound(t.Context(), collection, items, nil); len(missing) > 0 || err != nil {
		t.Errorf("%d of %d items are not found, %v", len(missing), len(items), err)
	}
	handle(t, w, remove("first", 99))
	if stored, err := index.Load(t.Context(), collection, []record.Item{itemOf("first")}, false); err != nil || stored[0].Main || !stored[0].Side {
		t.Errorf("deleted: %+v, %v", stored, err)
	}
}

func (s *server) testVanished(t *testing.T) {
	s.create(t, spec("Vanished"))
	s.rest(t, http.MethodDelete, "schema/Vanished_g1", "")
	index := renamed{s.client, "Vanished"}
	if _, err := index.Load(t.Context(), collection, []record.Item{itemOf("a")}, false); fault.ClassOf(err) != fault.Fatal {
		t.Errorf("reading a vanished collection: %v, want a fatal fault", err)
	}
	if _, err := index.Put(t.Context(), collection, []weaviate.Object{{Item: itemOf("a"), State: record.State{Base: 1, Vector: vectorOf("a")}}}); fault.ClassOf(err) != fault.Fatal {
		t.Errorf("writing to a vanished collection: %v, want a fatal fault", err)
	}
	if err := index.DeleteMain(t.Context(), collection, []record.Item{itemOf("a")}, false); fault.ClassOf(err) != fault.Fatal {
		t.Errorf("deleting in a vanished collection: %v, want a fatal fault", err)
	}
}
