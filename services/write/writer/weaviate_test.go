package writer_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

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
