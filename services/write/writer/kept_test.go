package writer_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/freshet-io/freshet/libs/fake/local"
	"github.com/freshet-io/freshet/libs/fake/local/localtest"
	"github.com/freshet-io/freshet/libs/fault"
	"github.com/freshet-io/freshet/libs/kafka"
	"github.com/freshet-io/freshet/libs/pipeline"
	"github.com/freshet-io/freshet/libs/record"
	"github.com/freshet-io/freshet/libs/weaviate"
	"github.com/freshet-io/freshet/services/write/writer"
)

// TestKept is about the ways in which a collection can be kept, on one server. The dynamic index
// needs one that indexes asynchronously.
func TestKept(t *testing.T) {
	s := startWeaviate(t)
	t.Run("each way", s.testEachWay)
	t.Run("tenants", s.testTenants)
	t.Run("drift", s.testDrift)
	t.Run("templates", s.testTemplates)
	t.Run("decides results", s.testDecidesResults)
	t.Run("longer vectors", s.testDot)
	t.Run("lengths of vectors", s.testLengths)
	t.Run("values at their bounds", s.testBounds)
}

func TestKept_dynamic(t *testing.T) {
	if testing.Short() {
		t.Skip("needs a server")
	}
	w := localtest.Weaviate(t, local.WeaviateOptions{Env: []string{"ASYNC_INDEXING=true"}})
	s := &server{w, open(t, w)}
	threshold, ef := 1000, 64
	s.works(t, "Dynamic", pipeline.Collection{Index: pipeline.Index{Type: pipeline.Dynamic, Threshold: &threshold, EF: &ef, Quantization: pipeline.Quantization{Type: "rq"}}})
}

// testEachWay: whatever the file says, an item is put, loaded, found by its own vector and deleted,
// and the class is as the file says.
func (s *server) testEachWay(t *testing.T) {
	number := func(n int) *int { return &n }
	yes := true
	for name, c := range map[string]pipeline.Collection{
		"Hnsw": {Index: pipeline.Index{
			EF: number(200), EFConstruction: number(64), MaxConnections: number(16), DynamicEFMin: number(50), DynamicEFMax: number(400),
			DynamicEFFactor: number(4), FlatSearchCutoff: number(1000), FilterStrategy: "sweeping", VectorCacheMaxObjects: number(100_000),
		}},
		"Dot":       {Distance: pipeline.Dot},
		"L2":        {Distance: pipeline.L2Squared},
		"Flat":      {Index: pipeline.Index{Type: pipeline.Flat}},
		"FlatBQ":    {Index: pipeline.Index{Type: pipeline.Flat, Quantization: pipeline.Quantization{Type: "bq", RescoreLimit: number(50), Cache: &yes}}},
		"FlatRQ":    {Index: pipeline.Index{Type: pipeline.Flat, Quantization: pipeline.Quantization{Type: "rq", Bits: number(8)}}},
		"Exact":     {Index: pipeline.Index{Quantization: pipeline.Quantization{Type: "none"}}},
		"PQ":        {Index: pipeline.Index{Quantization: pipeline.Quantization{Type: "pq", Segments: number(8), Centroids: number(16), TrainingLimit: number(100)}}},
		"BQ":        {Index: pipeline.Index{Quantization: pipeline.Quantization{Type: "bq"}}},
		"SQ":        {Index: pipeline.Index{Quantization: pipeline.Quantization{Type: "sq", TrainingLimit: number(100), RescoreLimit: number(30)}}},
		"RQ":        {Index: pipeline.Index{Quantization: pipeline.Quantization{Type: "rq", Bits: number(1), RescoreLimit: number(300)}}, Distance: pipeline.L2Squared},
		"Named":     {Vector: "meaning", Distance: pipeline.Dot, Index: pipeline.Index{EF: number(99)}},
		"NamedFlat": {Vector: "meaning", Index: pipeline.Index{Type: pipeline.Flat}},
		"Tenants":   {MultiTenancy: true},
		"All":       {MultiTenancy: true, Vector: "v", Replication: 1, Distance: pipeline.L2Squared, Index: pipeline.Index{Quantization: pipeline.Quantization{Type: "rq"}}},
	} {
		t.Run(name, func(t *testing.T) { s.works(t, name, c) })
	}
}

// works has a writer put, change and delete items of a collection that is kept in some way.
func (s *server) works(t *testing.T, name string, settings pipeline.Collection) {
	t.Helper()
	kept := file(name, settings)
	if made, err := s.client.CreateAll(t.Context(), kept, logID); err != nil || len(made) != 1 {
		t.Fatalf("made %v, %v", made, err)
	}
	if warnings, err := s.client.CheckAll(t.Context(), kept, logID); len(warnings) > 0 || err != nil {
		t.Errorf("what was made differs from what was wanted: %v, %v", warnings, err)
	}
	var b batch
	var items []record.Item
	for i := range 20 {
		v := row(strconv.Itoa(i), int64(i+1), fmt.Sprint("item ", i), 1)
		v.Document.Tenant = "shop-1"
		b = append(b, v)
		items = append(items, v.GetDocument().Item())
	}
	index := renamed{s.client, name}
	w := writer.New(index, config())
	handle(t, w, b...)
	awaitMissing(t, index, items, 0)
	states, err := s.client.Lookup(t.Context(), name, items)
	if err != nil {
		t.Fatal(err)
	}
	for i, state := range states {
		if !state.Live() || cosine(state.Vector, b[i].GetVector()) < 0.99999 {
			t.Errorf("item %d has the state %+v", i, state)
		}
	}
	// An application that knows the alias alone.
	reader := open(t, s.Weaviate)
	query, err := record.ParseVector(b[3].GetVector())
	if err != nil {
		t.Fatal(err)
	}
	hits, err := reader.Search(t.Context(), name, "shop-1", query, 3, []weaviate.Filter{{Property: "price", Op: "=", Value: "1"}})
	if err != nil || len(hits) != 3 || hits[0].Item.ID[0] != "3" {
		t.Errorf("found %v, %v", hits, err)
	}
	if v, err := reader.FetchVector(t.Context(), record.Item{Collection: name, Tenant: "shop-1", ID: []string{"nobody"}}); err == nil {
		t.Errorf("an absent item has the vector %v", v)
	}
	if n, err := reader.Count(t.Context(), name); n != 20 || err != nil {
		t.Errorf("counted %d, %v, want 20", n, err)
	}
	gone := of(record.Op_OP_DELETE, "3", 99)
	gone.Document.Tenant = "shop-1"
	handle(t, w, gone)
	stored, err := s.client.Load(t.Context(), name, items[3:5], false)
	if err != nil || stored[0].Main || !stored[0].Side || !stored[1].Main {
		t.Errorf("after a delete: %+v, %v", stored, err)
	}
	awaitMissing(t, index, items, 1) // the deleted one
}

// awaitMissing waits until so many items are not found by their own vectors: where the server
// indexes asynchronously, searches find things late, and fail until there is a first one.
func awaitMissing(t *testing.T, index renamed, items []record.Item, want int) {
	t.Helper()
	var missing []record.Item
	var err error
	for range 100 {
		if missing, err = index.SelfFound(t.Context(), collection, items, nil); err == nil && len(missing) == want {
			return
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-t.Context().Done():
		}
	}
	t.Fatalf("not found by their own vectors: %v, %v, want %d", missing, err, want)
}

var logID = kafka.Identity{TopicID: "AAAB", Partitions: 24}

// file is a pipeline file of one collection.
func file(name string, settings pipeline.Collection) *pipeline.File {
	settings.Name = name
	return &pipeline.File{
		Space: pipeline.Space{Provider: "hash", Dimensions: dimensions},
		Pipelines: []pipeline.Pipeline{{
			Name: "p", Collection: name, Properties: spec(name).Properties, Text: pipeline.Text{Template: "{{name}}"},
		}},
		CollectionSections: []pipeline.Collection{settings},
	}
}

// made returns a file whose collection is there.
func (s *server) made(t *testing.T, name string, settings pipeline.Collection) *pipeline.File {
	t.Helper()
	f := file(name, settings)
	if _, err := s.client.CreateAll(t.Context(), f, logID); err != nil {
		t.Fatal(err)
	}
	return f
}

// testTenants: tenants do not see each other's items, even of one id, and a tenant that Weaviate
// cannot have is a dead letter that keeps nobody else back.
func (s *server) testTenants(t *testing.T) {
	s.made(t, "Shops", pipeline.Collection{MultiTenancy: true})
	index := renamed{s.client, "Shops"}
	w := writer.New(index, config())
	of := func(tenant, name string, version int64) *record.Vector {
		v := row("1", version, name, 1)
		v.Document.Tenant = tenant
		return v
	}
	item := func(tenant string) record.Item {
		return record.Item{Collection: collection, Tenant: tenant, ID: []string{"1"}}
	}
	b := batch{of("a", "lamp", 1), of("b", "desk", 2), of("", "chair", 3), of("no name", "stool", 4)}
	outcomes, err := w.Handle(t.Context(), b)
	if err != nil {
		t.Fatal(err)
	}
	for i, o := range outcomes {
		if i < 2 && o.Label != writer.Written || i >= 2 && !strings.Contains(fmt.Sprint(o.Err), "tenant") {
			t.Errorf("record %d: %+v", i, o)
		}
	}
	items := []record.Item{item("a"), item("b"), item(""), item("no name"), item("never")}
	stored, err := s.client.Load(t.Context(), "Shops", items, true)
	if err != nil || stored[0].State.Text != "lamp" || stored[1].State.Text != "desk" || stored[2].Main || stored[3].Main || stored[4].Main {
		t.Fatalf("stored %+v, %v", stored, err)
	}
	if stored[3].State.Failed == nil {
		t.Error("nothing says that there is an item of a tenant that cannot be")
	}
	if missing, err := index.SelfFound(t.Context(), collection, items, nil); len(missing) != 3 || err != nil {
		t.Errorf("missing %v, %v, want the three that are not there", missing, err)
	}
	gone := remove("1", 9)
	gone.Document.Tenant = "a"
	handle(t, w, gone)
	query, _ := record.ParseVector(vectorOf("lamp"))
	for tenant, want := range map[string]int{"a": 0, "b": 1, "never": 0} {
		if hits, err := s.client.Search(t.Context(), "Shops", tenant, query, 10, nil); len(hits) != want || err != nil {
			t.Errorf("tenant %s finds %v, %v, want %d", tenant, hits, err, want)
		}
	}
	if _, err := s.client.Search(t.Context(), "Shops", "", query, 1, nil); fault.ClassOf(err) != fault.Permanent {
		t.Errorf("a search without a tenant: %v", err)
	}
	if err := index.DeleteSide(t.Context(), collection, items, false); err != nil {
		t.Errorf("deleting of tenants that are not there: %v", err)
	}
}

// testDrift: what differs and decides nothing is told of, and left as it is.
func (s *server) testDrift(t *testing.T) {
	f := s.made(t, "Drifted", pipeline.Collection{})
	ef, no := 333, false
	f.CollectionSections[0].Index.EF = &ef
	f.CollectionSections[0].Index.Quantization.Type = "rq"
	f.Pipelines[0].Properties[0].Tokenization = "field"
	f.Pipelines[0].Properties[1].Filterable, f.Pipelines[0].Properties[1].RangeFilters = &no, true
	f.CollectionSections[0].Replication = 3
	for range 2 {
		if made, err := s.client.CreateAll(t.Context(), f, logID); len(made) > 0 || err != nil {
			t.Fatalf("made %v, %v", made, err)
		}
	}
	warnings, err := s.client.CheckAll(t.Context(), f, logID)
	if err != nil || len(warnings) != 2 {
		t.Fatalf("warned of %q, %v, want a line for each of the two collections", warnings, err)
	}
	for _, what := range []string{
		"Drifted_g1", "vectorIndexConfig.ef is -1 there and 333 here", "rq.enabled is false there and true here", "factor is 1 there and 3 here",
		"property name.tokenization is word there and field here", "property price.indexFilterable is true there and false here",
		"indexRangeFilters is false there and true here", "nothing was changed", "freshet rebuild",
	} {
		if !strings.Contains(warnings[0], what) || strings.Contains(warnings[0], "\n") {
			t.Errorf("%q does not say %q in one line", warnings[0], what)
		}
	}
	var log bytes.Buffer
	attached, err := weaviate.Attach(t.Context(), settings(s.Weaviate, s.APIKey), f, logID, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	if err := attached.Close(); err != nil || strings.Count(log.String(), "level=WARN msg=\"a collection is not as the pipeline file says\"") != 2 {
		t.Errorf("a service that starts logs %s", &log)
	}
	f.CollectionSections[0].Index.Type = pipeline.Flat
	if warnings, err := s.client.CheckAll(t.Context(), f, logID); err != nil || !strings.Contains(warnings[0], "vectorIndexType is hnsw there and flat here") {
		t.Errorf("%v, %v", warnings, err)
	}
}

// testTemplates: texts of two templates are not mixed unless that is allowed, and nothing but a new
// generation ends it.
func (s *server) testTemplates(t *testing.T) {
	f := s.made(t, "Worded", pipeline.Collection{})
	check := func(client *weaviate.Client, says string) {
		t.Helper()
		for name, err := range map[string]error{"check": second(client.CheckAll(t.Context(), f, logID)), "apply": second(client.CreateAll(t.Context(), f, logID))} {
			if says == "" && err != nil || says != "" && (fault.ClassOf(err) != fault.Fatal || !strings.Contains(fmt.Sprint(err), says) || strings.Contains(err.Error(), "\n")) {
				t.Errorf("%s: %v, want %q", name, err, says)
			}
		}
	}
	check(s.client, "")
	f.Pipelines[0].Text.Template = "{{name}} {{price}}"
	mixing := settings(s.Weaviate, s.APIKey)
	mixing.MixTemplates = true
	allowed, err := weaviate.Open(t.Context(), mixing)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = allowed.Close() }()
	check(s.client, "run freshet rebuild, or allow mixing with FRESHET_WEAVIATE_MIX_TEMPLATES")
	check(allowed, "")
	if warnings, err := allowed.CheckAll(t.Context(), f, logID); err != nil || len(warnings) != 1 || !strings.Contains(warnings[0], "mixed") {
		t.Errorf("warnings %v, %v", warnings, err)
	}
	check(s.client, "other templates") // allowing it once has changed nothing
	f.Pipelines[0].Text.Template = "{{name}}"
	check(s.client, "")

	// One that an earlier build made.
	s.create(t, weaviate.CollectionSpec{Name: "Early", Generation: 1, Space: f.Space.String(), Dimensions: dimensions, TopicID: logID.TopicID, Partitions: logID.Partitions, Properties: spec("").Properties})
	f = file("Early", pipeline.Collection{})
	check(s.client, "does not say with which templates")
	check(allowed, "")
	check(s.client, "does not say with which templates")
}

func second[T any](_ T, err error) error { return err }

// testDecidesResults: what decides about results stops a service, whoever changed it.
func (s *server) testDecidesResults(t *testing.T) {
	f := s.made(t, "Decided", pipeline.Collection{})
	for what, change := range map[string]func(*pipeline.Collection){
		"distance is cosine there and dot here":      func(c *pipeline.Collection) { c.Distance = pipeline.Dot },
		"name of the vector":                         func(c *pipeline.Collection) { c.Vector = "meaning" },
		"multi-tenancy is false there and true here": func(c *pipeline.Collection) { c.MultiTenancy = true },
	} {
		other := *f
		other.CollectionSections = slices.Clone(f.CollectionSections)
		change(&other.CollectionSections[0])
		for name, err := range map[string]error{"check": second(s.client.CheckAll(t.Context(), &other, logID)), "apply": second(s.client.CreateAll(t.Context(), &other, logID))} {
			if fault.ClassOf(err) != fault.Fatal || !strings.Contains(fmt.Sprint(err), what) || strings.Contains(err.Error(), "\n") {
				t.Errorf("%s: %v, want one fatal line with %q", name, err, what)
			}
		}
	}
	var class map[string]any
	if err := json.Unmarshal([]byte(s.rest(t, http.MethodGet, "schema/Decided_g1", "")), &class); err != nil {
		t.Fatal(err)
	}
	if strategy := class["replicationConfig"].(map[string]any)["deletionStrategy"]; strategy != "TimeBasedResolution" {
		t.Errorf("deletionStrategy is %v", strategy)
	}
}

// testDot: with the dot product longer vectors are nearer than the item itself; it is found behind them.
func (s *server) testDot(t *testing.T) {
	s.made(t, "Long", pipeline.Collection{Distance: pipeline.Dot})
	index := renamed{s.client, "Long"}
	w := writer.New(index, config())
	var b batch
	for i := range 60 {
		v := row(strconv.Itoa(i), int64(i+1), "sun", 1)
		floats, _ := record.ParseVector(v.GetVector())
		for j := range floats {
			floats[j] *= 1 + float32(i)/10
		}
		v.Vector = record.AppendVector(nil, floats)
		b = append(b, v)
	}
	handle(t, w, b...)
	if missing, err := index.SelfFound(t.Context(), collection, []record.Item{itemOf("0"), itemOf("59"), itemOf("60")}, nil); err != nil || len(missing) != 1 || missing[0].ID[0] != "60" {
		t.Errorf("missing %v, %v, want the one that is not there", missing, err)
	}
}

// testLengths: a vector that a distance cannot tell from others is a dead letter; what is stored is
// found.
func (s *server) testLengths(t *testing.T) {
	for name, distance := range map[string]pipeline.Distance{"LengthCosine": pipeline.Cosine, "LengthDot": pipeline.Dot, "LengthL2": pipeline.L2Squared} {
		s.made(t, name, pipeline.Collection{Distance: distance})
		refusals := map[float64]string{1: "", 1e18: "", 1e19: "overflow", math.MaxFloat32: "overflow", 1e-16: "", 1e-17: "shorter", 1e-22: "shorter", 1e-44: "shorter", 0: "zero"}
		var objs []weaviate.Object
		var lengths []float64
		for length := range refusals {
			v := make([]float32, dimensions)
			v[len(objs)%dimensions] = float32(length)
			lengths = append(lengths, length)
			objs = append(objs, weaviate.Object{Item: itemOf(fmt.Sprint(length)), State: record.State{Base: 1, Held: []byte{1}, Vector: record.AppendVector(nil, v)}})
		}
		rejected, err := s.client.Put(t.Context(), name, objs)
		if err != nil {
			t.Fatal(err)
		}
		for i, length := range lengths {
			says := refusals[length]
			if got := fmt.Sprint(rejected[i]); (says == "") != (rejected[i] == nil) || !strings.Contains(got, says) {
				t.Errorf("%s: a vector of length %g: %v, want %q", distance, length, got, says)
			}
			if rejected[i] != nil {
				continue
			}
			if missing, err := s.client.SelfFound(t.Context(), name, []record.Item{objs[i].Item}, nil); len(missing) > 0 || err != nil {
				t.Errorf("%s: a vector of length %g is stored and not found, %v", distance, length, err)
			}
		}
	}
}

// testBounds: a value that Weaviate would keep otherwise than it is is a dead letter that names the
// property, and the rest of the batch is written and read back the same.
func (s *server) testBounds(t *testing.T) {
	no := false
	f := file("Bounds", pipeline.Collection{})
	f.Pipelines[0].Properties = append(f.Pipelines[0].Properties, pipeline.Property{Name: "until", Type: pipeline.TypeDate, Filterable: &no})
	if _, err := s.client.CreateAll(t.Context(), f, logID); err != nil {
		t.Fatal(err)
	}
	integer := func(n int64) *record.Value { return &record.Value{Kind: &record.Value_Integer{Integer: n}} }
	date := func(d string) *record.Value { return &record.Value{Kind: &record.Value_Date{Date: d}} }
	dates := func(d ...string) *record.Value {
		return &record.Value{Kind: &record.Value_Dates{Dates: &record.TextList{Values: d}}}
	}
	uuid := func(u string) *record.Value { return &record.Value{Kind: &record.Value_Uuid{Uuid: u}} }
	number := func(n float64) *record.Value { return &record.Value{Kind: &record.Value_Number{Number: n}} }
	type value struct {
		property string
		value    *record.Value
		good     bool
	}
	values := []value{
		{"price", integer(1<<53 - 1), true},
		{"price", integer(1 - 1<<53), true},
		{"price", integer(1 << 53), false},
		{"price", integer(-1 << 53), false},
		{"listed", date("1678-01-01T00:00:00Z"), true},
		{"listed", date("2261-12-31T23:59:59.999999999Z"), true},
		{"listed", date("1677-12-31T23:59:59Z"), false},
		{"listed", date("2262-01-01T00:00:00Z"), false},
		{"listed", date("9999-12-31T00:00:00Z"), false},
		{"listed", date("2026-02-30T00:00:00Z"), false},
		{"listed", date("2026-11-22"), false},
		{"listed", date("10000-01-01T00:00:00Z"), false},
		{"sales", dates("2026-01-01T00:00:00Z", "9999-12-31T00:00:00Z"), false},
		{"sales", dates("2026-01-01T00:00:00Z", "2026-13-01T00:00:00Z"), false},
		{"until", date("9999-12-31T00:00:00Z"), true},
		{"until", date("0001-01-01T00:00:00Z"), true},
		{"ref", uuid("7b0c9fb2-6f0e-5c2b-9f5d-3d8b6f5a3c11"), true},
		{"ref", uuid("{7b0c9fb2-6f0e-5c2b-9f5d-3d8b6f5a3c11}"), false},
		{"ref", uuid("7b0c9fb26f0e5c2b9f5d3d8b6f5a3c11"), false},
		{"ref", uuid("7b0c9fb2-6f0e-5c2b-9f5d-3d8b6f5a3c1g"), false},
		{"weight", number(math.MaxFloat64), true},
		{"weight", number(5e-324), true},
		{"weight", number(math.Inf(-1)), false},
		{"name", text(strings.Repeat("红", 500_000)), true},
		{"name", text("a\x00b"), true},
		{"name", text("\xff"), false},
		{"tags", &record.Value{Kind: &record.Value_Texts{Texts: &record.TextList{}}}, true},
	}
	var objs []weaviate.Object
	var items []record.Item
	for i, v := range values {
		items = append(items, itemOf(strconv.Itoa(i)))
		state := record.State{Base: 1, Held: []byte{1}, Vector: vectorOf(strconv.Itoa(i)), Properties: []*record.Property{{Name: v.property, Value: v.value}}}
		objs = append(objs, weaviate.Object{Item: items[i], State: state})
	}
	twice := weaviate.Object{Item: itemOf("twice"), State: record.State{Base: 1, Held: []byte{1}, Vector: vectorOf("twice")}}
	for range 2 {
		twice.State.Properties = append(twice.State.Properties, &record.Property{Name: "tags", Value: &record.Value{Kind: &record.Value_Texts{Texts: &record.TextList{Values: []string{"a"}}}}})
	}
	objs = append(objs, twice)
	rejected, err := s.client.Put(t.Context(), "Bounds", objs)
	if err != nil {
		t.Fatal(err)
	}
	if err := rejected[len(values)]; fault.ReasonOf(err) != fault.FieldType || !strings.Contains(err.Error(), "tags") {
		t.Errorf("a property that is there twice: %v", err)
	}
	states, err := s.client.Lookup(t.Context(), "Bounds", items)
	if err != nil {
		t.Fatal(err)
	}
	for i, v := range values {
		of := v.value.String()[:min(len(v.value.String()), 60)]
		switch {
		case !v.good && (fault.ReasonOf(rejected[i]) != fault.FieldType || !strings.Contains(rejected[i].Error(), v.property)):
			t.Errorf("%s %s: %v, want field-type", v.property, of, rejected[i])
		case v.good && rejected[i] != nil:
			t.Errorf("%s %s is refused: %v", v.property, of, rejected[i])
		case v.good && fmt.Sprint(states[i].Properties) != fmt.Sprint(objs[i].State.Properties):
			t.Errorf("%s %s is read back as %.200v", v.property, of, states[i].Properties)
		}
	}
}

// TestMessageLimit: requests and answers that the server has no room for are made in pieces, and an
// object that is too large alone is a dead letter.
func TestMessageLimit(t *testing.T) {
	if testing.Short() {
		t.Skip("needs a server")
	}
	started := localtest.Weaviate(t, local.WeaviateOptions{Env: []string{"GRPC_MAX_MESSAGE_SIZE=300000"}})
	s := &server{started, open(t, started)}
	s.made(t, "Limited", pipeline.Collection{})
	w := writer.New(renamed{s.client, "Limited"}, config())
	b := batch{row("large", 1, strings.Repeat("x", 400_000), 1)}
	var items []record.Item
	for i := range 100 {
		b = append(b, row(strconv.Itoa(i), int64(i+2), strings.Repeat("word ", 2000), 1))
		items = append(items, b[i+1].GetDocument().Item())
	}
	outcomes, err := w.Handle(t.Context(), b)
	if err != nil {
		t.Fatal(err)
	}
	for i, o := range outcomes {
		if i > 0 && o.Label != writer.Written || i == 0 && !strings.Contains(fmt.Sprint(o.Err), "GRPC_MAX_MESSAGE_SIZE") {
			t.Errorf("record %d: %s %v", i, o.Label, o.Err)
		}
	}
	states, err := s.client.Lookup(t.Context(), "Limited", items)
	if err != nil || slices.ContainsFunc(states, func(s record.State) bool { return !s.Live() }) {
		t.Errorf("reading it back: %v", err)
	}
}
