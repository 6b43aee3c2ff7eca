package dev

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/freshet-io/freshet/libs/fake/local"
	"github.com/freshet-io/freshet/libs/fake/local/localtest"
	"github.com/freshet-io/freshet/libs/pipeline"
)

const patterned = `apiVersion: freshet/v1
space: {provider: hash, model: hash, dimensions: 8}
pipelines:
- name: products
  source: {topics: ["pg.catalog.*"], format: rows}
  collection: Product
  id: {from: [id]}
  text: {template: "{{name}}"}
`

// written writes a text to a file of that name.
func written(t *testing.T, name, text string) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestReadChanges_eachIsOfATopicThatAPipelineReads(t *testing.T) {
	named := strings.Replace(patterned, `["pg.catalog.*"]`, `[shop.products, "pg.catalog.*"]`, 1)
	for name, tt := range map[string]struct{ file, events, topics, err string }{
		"a pattern":             {patterned, `{"topic":"pg.catalog.a","offset":1,"value":{"id":1}}` + "\n" + `{"topic":"pg.catalog.b","offset":1,"value":{"id":1}}`, "pg.catalog.a pg.catalog.b", ""},
		"no topic, and one is":  {named, `{"id":1}` + "\n" + `{"topic":"pg.catalog.b","offset":1,"value":{"id":1}}`, "shop.products pg.catalog.b", ""},
		"no topic, and none is": {patterned, `{"id":1}`, "", "line 1 does not say its topic"},
		"a topic that nobody reads": {
			patterned, `{"topic":"pg.catalog.a","offset":1,"value":{"id":1}}` + "\n" + `{"topic":"pg.stock","offset":1,"value":{"id":1}}`, "",
			"events.ndjson line 2 is of topic pg.stock, which no pipeline of the file reads",
		},
	} {
		file, err := pipeline.Load(written(t, "pipeline.yaml", tt.file))
		if err != nil {
			t.Fatal(err)
		}
		records, err := readChanges(written(t, "events.ndjson", tt.events), file)
		if (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
			t.Errorf("%s: the error is %v, want %q", name, err, tt.err)
		}
		var topics []string
		for _, r := range records {
			topics = append(topics, r.Topic)
		}
		if got := strings.Join(topics, " "); err == nil && got != tt.topics {
			t.Errorf("%s: the topics are %s, want %s", name, got, tt.topics)
		}
	}
}

func TestRun_makesTheTopicsThatChangesNameWherePatternsStandForThem(t *testing.T) {
	server := localtest.Weaviate(t, local.WeaviateOptions{})
	t.Setenv("FRESHET_WEAVIATE_API_KEY", server.APIKey)
	ctx, stop := context.WithCancel(t.Context())
	out := &trigger{on: "2 changes sent, 1 arrived, 1 became dead letters", act: stop}
	time.AfterFunc(time.Minute, stop) // what did not come until then is told below
	data := t.TempDir()
	err := Run(ctx, Options{
		Data: data, Weaviate: "http://" + server.REST, WeaviateGRPC: server.GRPC, Rate: 1, Out: out,
		Pipeline: written(t, "pipeline.yaml", patterned),
		Events: written(t, "events.ndjson", `{"topic":"pg.catalog.products","offset":1,"key":"1","value":{"id":1,"name":"Cup"}}`+"\n"+
			`{"topic":"pg.catalog.stock","offset":1,"key":"2","payload":"{\"id\":2,"}`),
	})
	if said := out.said.String(); err != nil || !strings.Contains(said, out.on) {
		t.Errorf("it ends with %v and says %s", err, said)
	}
	if !strings.Contains(out.said.String(), "the next start goes on from here, and sends the events anew.") {
		t.Errorf("it does not say what the next start does: %s", out.said.String())
	}
	if said, log := out.said.String(), filepath.Join(data, "freshet.log"); !strings.Contains(said, "the log is\n"+log+"\n") {
		t.Errorf("it does not name %s: %s", log, said)
	}
}

func TestStack_saysWhereChangesAreTakenOverHTTP(t *testing.T) {
	rows := strings.Replace(patterned, `["pg.catalog.*"], format: rows`, `[shop.items], format: rows, order: seq, http: true`, 1)
	change := strings.Replace(rows, "format: rows, order: seq", "format: debezium", 1)
	for name, tt := range map[string]struct{ file, address, want string }{
		"rows":             {rows, "127.0.0.1:8080", "at http://127.0.0.1:8080/v1/items"},
		"all addresses":    {rows, ":8080", "at http://127.0.0.1:8080/v1/items"},
		"events":           {change, ":8080", "at http://127.0.0.1:8080/v1/sources/products/events"},
		"nowhere":          {rows, "", ""},
		"no such pipeline": {patterned, ":8080", ""},
	} {
		t.Setenv("FRESHET_HTTP_ADDRESS", tt.address)
		t.Setenv("FRESHET_HTTP_ALLOW_ANONYMOUS", "true")
		file, err := pipeline.Load(written(t, "pipeline.yaml", tt.file))
		if err != nil {
			t.Fatal(err)
		}
		if got := (&stack{file: file}).overHTTP(); !strings.HasSuffix(got, tt.want) || (got == "") != (tt.want == "") {
			t.Errorf("%s: it says %q, want %q", name, got, tt.want)
		}
	}
}
