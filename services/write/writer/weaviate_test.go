package writer_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/protobuf/proto"

	"github.com/freshet-io/freshet/libs/fake/local"
	"github.com/freshet-io/freshet/libs/fake/local/localtest"
	"github.com/freshet-io/freshet/libs/fault"
	"github.com/freshet-io/freshet/libs/pipeline"
	"github.com/freshet-io/freshet/libs/record"
	"github.com/freshet-io/freshet/libs/service"
	"github.com/freshet-io/freshet/libs/weaviate"
	"github.com/freshet-io/freshet/services/write/writer"
)

// server is a real Weaviate with a client.
type server struct {
	*local.Weaviate
	client *weaviate.Client
}

func startWeaviate(t *testing.T) *server {
	t.Helper()
	if testing.Short() {
		t.Skip("needs a server")
	}
	w := localtest.Weaviate(t, local.WeaviateOptions{})
	return &server{w, open(t, w)}
}

func open(t *testing.T, w *local.Weaviate) *weaviate.Client {
	t.Helper()
	c, err := weaviate.Open(t.Context(), settings(w, w.APIKey))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

func settings(w *local.Weaviate, key string) weaviate.Config {
	return weaviate.Config{URL: "http://" + w.REST, GRPC: w.GRPC, APIKey: service.NewSecret(key)}
}

func spec(name string) weaviate.CollectionSpec {
	return weaviate.CollectionSpec{
		Name: name, Generation: 1, Space: space, Dimensions: dimensions, TopicID: "AAAB", Partitions: 24,
		Properties: []pipeline.Property{
			{Name: "name", Type: pipeline.TypeText},
			{Name: "price", Type: pipeline.TypeInt},
			{Name: "weight", Type: pipeline.TypeNumber},
			{Name: "stocked", Type: pipeline.TypeBool},
			{Name: "listed", Type: pipeline.TypeDate},
			{Name: "ref", Type: pipeline.TypeUUID},
			{Name: "tags", Type: pipeline.TypeTexts},
			{Name: "sizes", Type: pipeline.TypeNumbers},
			{Name: "counts", Type: pipeline.TypeInts},
			{Name: "flags", Type: pipeline.TypeBooleans},
			{Name: "sales", Type: pipeline.TypeDates},
		},
	}
}

func (s *server) create(t *testing.T, spec weaviate.CollectionSpec) {
	t.Helper()
	if err := s.client.Create(t.Context(), spec); err != nil {
		t.Fatal(err)
	}
}

// rest calls the HTTP API as an operator would.
func (s *server) rest(t *testing.T, method, path, body string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, "http://"+s.REST+"/v1/"+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+s.APIKey)
	req.Header.Set("Content-Type", "application/json")
	resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close() //nolint:errcheck // it was only read
	var b bytes.Buffer
	if _, err := b.ReadFrom(resp.Body); err != nil || resp.StatusCode >= 300 {
		t.Fatalf("%s %s: %s %s %v", method, path, resp.Status, &b, err)
	}
	return b.String()
}

// setShards sets the status of all shards of a class.
func (s *server) setShards(t *testing.T, class, status string) {
	t.Helper()
	var shards []struct{ Name string }
	if err := json.Unmarshal([]byte(s.rest(t, http.MethodGet, "schema/"+class+"/shards", "")), &shards); err != nil || len(shards) == 0 {
		t.Fatalf("shards of %s: %v %v", class, shards, err)
	}
	for _, shard := range shards {
		s.rest(t, http.MethodPut, "schema/"+class+"/shards/"+shard.Name, `{"status":"`+status+`"}`)
	}
}

// TestWeaviate is all that needs a server, on one server.
func TestWeaviate(t *testing.T) {
	s := startWeaviate(t)
	t.Run("opening", s.testOpen)
	t.Run("schema", s.testSchema)
	t.Run("values", s.testValues)
	t.Run("refused values", s.testRefused)
	t.Run("refused by the server", s.testRefusedByServer)
	t.Run("other dimensions", s.testOtherDimensions)
	t.Run("search", s.testSearch)
	t.Run("read-only", s.testReadOnly)
	t.Run("vanished", s.testVanished)
	t.Run("acceptance", func(t *testing.T) {
		s.create(t, spec("Accepted"))
		testIndex(t, renamed{s.client, "Accepted"})
	})
}

func (s *server) testOpen(t *testing.T) {
	if _, err := weaviate.Open(t.Context(), settings(s.Weaviate, "wrong")); fault.ClassOf(err) != fault.Fatal || !strings.Contains(fmt.Sprint(err), "API key") {
		t.Errorf("a wrong key gives %v, want a fatal fault that names the key", err)
	}
	away := settings(s.Weaviate, s.APIKey)
	away.URL = "http://127.0.0.1:1"
	if _, err := weaviate.Open(t.Context(), away); err == nil || fault.ClassOf(err) != fault.Transient {
		t.Errorf("an absent server gives %v, want a transient error", err)
	}
}

func (s *server) testSchema(t *testing.T) {
	good := spec("Checked")
	_, err := s.client.Check(t.Context(), good)
	if fault.ClassOf(err) != fault.Fatal || !strings.Contains(fmt.Sprint(err), "topics apply") {
		t.Fatalf("a missing collection gives %v, want a fatal fault with the command", err)
	}
	s.create(t, good)
	s.create(t, good) // once more changes nothing
	if _, err := s.client.Check(t.Context(), good); err != nil {
		t.Errorf("checking what was created: %v", err)
	}
	described, err := open(t, s.Weaviate).Describe(t.Context(), "Checked")
	if err != nil || fmt.Sprint(described) != fmt.Sprint(good) {
		t.Errorf("it describes itself as %+v, %v", described, err)
	}
	differ := map[string]func(*weaviate.CollectionSpec){
		"space":           func(s *weaviate.CollectionSpec) { s.Space = "openai:large:32" },
		"dimensions":      func(s *weaviate.CollectionSpec) { s.Dimensions = 64 },
		"topic id":        func(s *weaviate.CollectionSpec) { s.TopicID = "AAAC" },
		"partition count": func(s *weaviate.CollectionSpec) { s.Partitions = 12 },
		"property price": func(s *weaviate.CollectionSpec) {
			s.Properties = slices.Clone(s.Properties)
			s.Properties[1].Type = pipeline.TypeNumber
		},
		"property sales": func(s *weaviate.CollectionSpec) { s.Properties = s.Properties[:10] },
		"colour": func(s *weaviate.CollectionSpec) {
			s.Properties = append(slices.Clone(s.Properties), pipeline.Property{Name: "colour", Type: pipeline.TypeText})
		},
		"is missing": func(s *weaviate.CollectionSpec) { s.Generation = 2 },
	}
	for what, change := range differ {
		other := good
		change(&other)
		_, err := s.client.Check(t.Context(), other)
		if fault.ClassOf(err) != fault.Fatal || !strings.Contains(fmt.Sprint(err), what) || strings.Contains(fmt.Sprint(err), "\n") {
			t.Errorf("another %s gives %v, want one fatal line that names it", what, err)
		}
	}
	more := good
	differ["colour"](&more)
	s.create(t, more)
	if _, err := s.client.Check(t.Context(), more); err != nil {
		t.Errorf("after adding a property: %v", err)
	}
}

func text(s string) *record.Value { return &record.Value{Kind: &record.Value_Text{Text: s}} }

func (s *server) testValues(t *testing.T) {
	s.create(t, spec("Valued"))
	item := record.Item{Collection: "Valued", Tenant: "shop 1", ID: []string{"4711", "红"}}
	full := record.State{
		Base: 31<<48 + 5, Floor: 4, Sources: record.Orders{"topic/3": {1, 2, math.MaxUint64}, "http": {7}},
		Wanted: []byte{0xab, 1}, Held: []byte{0xab, 2}, Space: space,
		Inputs: []byte(`{"name":"红灯","price":"1.10"}`), Recipe: []byte{9, 8}, Text: "红灯 lamp\n\"quoted\"",
		Origin:    &record.Origin{Topic: "shop.products", Partition: 3, Offset: 12, CommittedAt: 1764000000000001, Position: "0/16B3748"},
		Failed:    &record.Failure{Version: 31<<48 + 6, Reason: "oversize"},
		Truncated: true, OriginalTokens: 9000, Vector: vectorOf("lamp"),
		Properties: []*record.Property{
			{Name: "name", Value: text("红灯 lamp")},
			{Name: "price", Value: &record.Value{Kind: &record.Value_Integer{Integer: 1<<53 - 1}}},
			{Name: "weight", Value: &record.Value{Kind: &record.Value_Number{Number: -0.1}}},
			{Name: "stocked", Value: &record.Value{Kind: &record.Value_Boolean{Boolean: false}}},
			{Name: "listed", Value: &record.Value{Kind: &record.Value_Date{Date: "2026-11-22T15:00:00.123456Z"}}},
			{Name: "ref", Value: &record.Value{Kind: &record.Value_Uuid{Uuid: "7b0c9fb2-6f0e-5c2b-9f5d-3d8b6f5a3c11"}}},
			{Name: "tags", Value: &record.Value{Kind: &record.Value_Texts{Texts: &record.TextList{Values: []string{"a", "红"}}}}},
			{Name: "sizes", Value: &record.Value{Kind: &record.Value_Numbers{Numbers: &record.NumberList{Values: []float64{1.5, -2e300}}}}},
			{Name: "counts", Value: &record.Value{Kind: &record.Value_Integers{Integers: &record.IntegerList{Values: []int64{-1, 1<<53 - 1}}}}},
			{Name: "flags", Value: &record.Value{Kind: &record.Value_Booleans{Booleans: &record.BooleanList{Values: []bool{true, false}}}}},
			{Name: "sales", Value: &record.Value{Kind: &record.Value_Dates{Dates: &record.TextList{Values: []string{"2026-11-22T15:00:00Z"}}}}},
		},
	}
	bare := record.State{Base: 1, Sources: record.Orders{}, Wanted: []byte{1}, Held: []byte{1}, Space: space, Vector: vectorOf("bare")}
	other := record.Item{Collection: "Valued", ID: []string{"1"}}
	rejected, err := s.client.Put(t.Context(), "Valued", []weaviate.Object{{Item: item, State: full}, {Item: other, State: bare}})
	if err != nil || len(rejected) > 0 {
		t.Fatalf("rejected %v, error %v", rejected, err)
	}
	states, err := s.client.Lookup(t.Context(), "Valued", []record.Item{other, itemOf("absent"), item})
	if err != nil {
		t.Fatal(err)
	}
	checkEqual(t, states[0], bare)
	checkEqual(t, states[1], record.State{Sources: record.Orders{}})
	checkEqual(t, states[2], full)
	aside := full
	aside.Vector = nil
	rejected, err = s.client.PutSide(t.Context(), "Valued", []weaviate.Object{{Item: itemOf("aside"), State: aside}})
	if err != nil || len(rejected) > 0 {
		t.Fatalf("rejected %v, error %v", rejected, err)
	}
	for _, whole := range []bool{true, false} {
		stored, err := s.client.Load(t.Context(), "Valued", []record.Item{item, itemOf("aside")}, whole)
		if err != nil {
			t.Fatal(err)
		}
		if stored[0].Side || !stored[0].Main || stored[1].Main || !stored[1].Side {
			t.Errorf("copies are at %+v", stored)
		}
		if !whole { // only what decides
			for _, s := range []*record.State{&full, &aside} {
				s.Properties, s.Inputs, s.Recipe, s.Text, s.Origin, s.Vector = nil, nil, []byte{}, "", nil, nil
			}
		}
		checkEqual(t, stored[0].State, full)
		checkEqual(t, stored[1].State, aside)
	}
}

func checkEqual(t *testing.T, got, want record.State) {
	t.Helper()
	if g, w := fmt.Sprintf("%+v", flat(got)), fmt.Sprintf("%+v", flat(want)); g != w {
		t.Errorf("read\n%s, put\n%s", g, w)
	}
}

// flat is a state whose protobuf fields compare as text.
func flat(s record.State) []any {
	all := []any{s.Base, s.Floor, s.Sources, s.Wanted, s.Held, s.Space, string(s.Inputs), s.Recipe, s.Text, s.Truncated, s.OriginalTokens, s.Vector}
	bytesOf := func(m proto.Message) []byte {
		b, _ := proto.MarshalOptions{Deterministic: true}.Marshal(m)
		return b
	}
	all = append(all, bytesOf(s.Origin), bytesOf(s.Failed))
	for _, p := range s.Properties {
		all = append(all, p.GetName(), bytesOf(p))
	}
	return all
}

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

func (s *server) testSearch(t *testing.T) {
	s.create(t, spec("Searched"))
	w := writer.New(renamed{s.client, "Searched"}, config())
	handle(t, w, row("a", 1, "lamp", 50), row("b", 2, "desk", 150), row("c", 3, "chair", 250), pending("d", 4, "stool", 1), remove("e", 5))
	query, err := record.ParseVector(vectorOf("desk"))
	if err != nil {
		t.Fatal(err)
	}
	reader := open(t, s.Weaviate) // knows the alias alone
	names := func(where ...weaviate.Filter) string {
		t.Helper()
		hits, err := reader.Search(t.Context(), "Searched", "", query, 10, where)
		if err != nil {
			t.Fatal(err)
		}
		var list []string
		for _, h := range hits {
			list = append(list, h.Properties[0].GetValue().GetText())
		}
		return strings.Join(list, " ")
	}
	if got := names(); !strings.HasPrefix(got, "desk ") || len(strings.Fields(got)) != 3 {
		t.Errorf("found %q, want desk first and three in all", got)
	}
	if got := names(weaviate.Filter{Property: "price", Op: ">", Value: "150"}); got != "chair" {
		t.Errorf("dearer than 150: %q", got)
	}
	if got := names(weaviate.Filter{Property: "price", Op: "<=", Value: "150"}, weaviate.Filter{Property: "name", Op: "=", Value: "lamp"}); got != "lamp" {
		t.Errorf("two conditions: %q", got)
	}
	for _, bad := range []weaviate.Filter{{Property: "price", Op: "<", Value: "cheap"}, {Property: "colour", Op: "=", Value: "red"}, {Property: "price", Op: "~", Value: "1"}} {
		if _, err := reader.Search(t.Context(), "Searched", "", query, 10, []weaviate.Filter{bad}); fault.ClassOf(err) != fault.Permanent {
			t.Errorf("condition %v: %v, want a permanent fault", bad, err)
		}
	}
	if n, err := reader.Count(t.Context(), "Searched"); n != 3 || err != nil {
		t.Errorf("count %d, %v, want 3", n, err)
	}
	hits, err := reader.Search(t.Context(), "Searched", "", query, 1, nil)
	if err != nil || len(hits) != 1 || hits[0].Item.String() != "Product/b" || hits[0].Distance > 1e-5 {
		t.Errorf("nearest: %+v, %v", hits, err)
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

// TestWeaviateKilled kills the server in the middle of a batch. What it had stored and not yet
// indexed is skipped by an identical put after its restart.
func TestWeaviateKilled(t *testing.T) {
	s := startWeaviate(t)
	s.create(t, spec("Killed"))
	index := renamed{s.client, "Killed"}
	w := writer.New(index, config())
	handle(t, w, row("first", 1, "first", 1))
	version, killed := int64(1), 0
	for round := 0; killed < 2; round++ {
		if round == 10 {
			t.Fatal("every batch was done before the kill")
		}
		var b batch
		var items []record.Item
		for i := range 2000 {
			id := fmt.Sprintf("%d/%d", round, i)
			version++
			b = append(b, row(id, version, id, 1))
			items = append(items, itemOf(id))
		}
		kill := time.AfterFunc(time.Duration(60+20*killed)*time.Millisecond, func() {
			if err := s.Kill(); err != nil {
				t.Error(err)
			}
		})
		_, err := w.Handle(t.Context(), b)
		if err == nil {
			if kill.Stop() {
				continue // faster than the kill
			}
		}
		killed++
		if err != nil && fault.ClassOf(err) != fault.Transient {
			t.Fatalf("a killed server gives %v, want a transient error", err)
		}
		if err := s.Restart(t.Context()); err != nil {
			t.Fatal(err)
		}
		retry(t, w, b)
		if missing, err := index.SelfFound(t.Context(), collection, items, nil); len(missing) > 0 || err != nil {
			t.Fatalf("%d of %d items are stored and not found, %v", len(missing), len(items), err)
		}
	}
}

// retry handles a batch again as a stage does, until the server is back.
func retry(t *testing.T, w *writer.Writer, b batch) {
	t.Helper()
	var err error
	for range 100 {
		if _, err = w.Handle(t.Context(), b); err == nil {
			return
		}
		if fault.ClassOf(err) != fault.Transient {
			break
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-t.Context().Done():
		}
	}
	t.Fatal(err)
}

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
