package selftest_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/freshet-io/freshet/libs/pipeline"
	"github.com/freshet-io/freshet/services/ctl/catalogue"
	"github.com/freshet-io/freshet/services/ctl/selftest"
	"github.com/freshet-io/freshet/services/ingest/ingester"
)

func parse(t *testing.T, file string) *pipeline.File {
	t.Helper()
	f, err := pipeline.Parse([]byte(file))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// canary makes one for the first pipeline.
func canary(t *testing.T, f *pipeline.File, columns map[string]any) (*selftest.Canary, error) {
	t.Helper()
	in, err := ingester.New(f, ingester.Options{Config: ingester.DefaultConfig()})
	if err != nil {
		t.Fatal(err)
	}
	p, topic, err := selftest.Choose(f, "", "")
	if err != nil {
		t.Fatal(err)
	}
	return selftest.New(t.Context(), in, p, topic, p.Source.Format, columns, time.Now())
}

// demanding wants something of most columns.
const demanding = `apiVersion: freshet/v1
space: {provider: hash, model: hash, dimensions: 8}
pipelines:
- name: things
  source: {topics: [shop.things], format: %s}
  match: {db: shop, table: things}
  collection: Thing
  id: {from: [shop, number]}
  tenant: {from: country}
  text:
    template: "{{title | lower}} {{tags | json | join \",\"}} {{detail.more}}"
    require: [title, detail.more]
  properties:
  - {name: number, type: int}
  - {name: tags, type: "text[]", parse: json}
  - {name: made, type: date, unit: us}
  - {name: size, type: number}
  when: [{field: active, eq: true}, {field: kind, in: [a, b]}, {field: size, ne: 1}, {field: made, exists: true}, {field: gone, exists: false}]
`

func TestNew_makesWhatThePipelineTakes(t *testing.T) {
	for _, format := range []pipeline.Format{pipeline.Debezium, pipeline.Rows, pipeline.Canal, pipeline.Maxwell} {
		t.Run(string(format), func(t *testing.T) {
			c, err := canary(t, parse(t, fmt.Sprintf(demanding, format)), nil)
			if err != nil {
				t.Fatal(err)
			}
			if want := "Thing/freshet-selftest/freshet-selftest/-73537837"; strings.ReplaceAll(c.Item.String(), "+", "/") != want {
				t.Errorf("the canary is %s, want %s", c.Item, want)
			}
		})
	}
	t.Run("the catalogue of freshet dev", func(t *testing.T) {
		if _, err := canary(t, parse(t, string(catalogue.PipelineFile())), nil); err != nil {
			t.Error(err)
		}
	})
}

// plain is a pipeline with further keys.
func plain(keys string) string {
	return `apiVersion: freshet/v1
space: {provider: hash, model: hash, dimensions: 8}
pipelines:
- name: things
  collection: Thing
  id: {from: [id]}
` + keys
}

func TestNew_refusesWhatWouldNotComeOrNotGo(t *testing.T) {
	for name, test := range map[string]struct{ keys, want string }{
		"a text that shows nothing of it":     {"  source: {topics: [t], format: rows}\n  text: {template: \"{{name | truncate 3}}\"}", "does not show"},
		"a table that the format cannot name": {"  source: {topics: [t], format: canal}\n  match: {schema: public}\n  text: {template: \"{{name}}\"}", "does not say what table it is of"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := canary(t, parse(t, plain(test.keys)), nil); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("it says %v, want %q", err, test.want)
			}
		})
	}
}

func TestNew_takesColumnsThatAreGiven(t *testing.T) {
	f := parse(t, plain("  source: {topics: [t], format: rows}\n  text: {template: \"{{name}}\", require: [\"name\"]}"))
	c, err := canary(t, f, map[string]any{"id": "mine"})
	if err != nil || c.Item.ID[0] != "mine" {
		t.Errorf("it is %+v: %v", c, err)
	}
}

func TestChoose_saysWhatCannotBeWritten(t *testing.T) {
	file := parse(t, `apiVersion: freshet/v1
space: {provider: hash, model: hash, dimensions: 8}
pipelines:
- {name: stream, source: {topics: [a], format: rows, redis: {stream: s}}, collection: A, id: {from: [id]}, text: {template: "{{n}}"}}
- {name: beside, source: {topics: [a], format: rows}, collection: D, id: {from: [id]}, text: {template: "{{n}}"}}
- {name: many, source: {topics: ["shop.*"], format: rows}, collection: B, id: {from: [id]}, text: {template: "{{n}}"}}
- {name: one, source: {topics: ["x.*", b], format: rows}, collection: C, id: {from: [id]}, text: {template: "{{n}}"}}
`)
	for _, test := range []struct{ pipeline, topic, want string }{
		{"", "", "many, one"},
		{"beside", "", "fed by the Redis stream s"},
		{"many", "", "--topic"},
		{"many", "else", "shop.*"},
		{"many", "shop.*", "shop.*"},
		{"none", "", "stream, beside, many, one"},
	} {
		if _, _, err := selftest.Choose(file, test.pipeline, test.topic); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("--pipeline %q --topic %q: it says %v, want %q", test.pipeline, test.topic, err, test.want)
		}
	}
	for _, test := range [][3]string{{"many", "shop.products", "shop.products"}, {"one", "", "b"}} {
		if _, topic, err := selftest.Choose(file, test[0], test[1]); err != nil || topic != test[2] {
			t.Errorf("--pipeline %s --topic %q chooses %s: %v", test[0], test[1], topic, err)
		}
	}
}
