package selftest

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/freshet-io/freshet/libs/pipeline"
	"github.com/freshet-io/freshet/services/ingest/ingester"
)

// neighbours read one topic: a row of things is one of kinds, too, and not one of others.
const neighbours = `apiVersion: freshet/v1
space: {provider: hash, model: hash, dimensions: 8}
pipelines:
- name: things
  source: {topics: [t], format: rows, ordered: true}
  collection: Thing
  id: {from: [id]}
  text: {template: "{{name}}"}
  when: [{field: kind, eq: shoes}]
- name: kinds
  source: {topics: [t], format: rows, ordered: true}
  collection: Kind
  id: {from: [kind]}
  text: {template: "{{kind}}"}
- name: others
  source: {topics: [t], format: rows, ordered: true}
  collection: Other
  id: {from: [id]}
  text: {template: "{{kind}}"}
  when: [{field: kind, eq: boots}]
`

// The canary of one pipeline is a change and a delete of whatever other pipelines make of its row: an item that somebody else has
// must be seen before.
func TestNew_knowsTheItemsOfOtherPipelinesThatReadTheTopic(t *testing.T) {
	f, err := pipeline.Parse([]byte(neighbours))
	if err != nil {
		t.Fatal(err)
	}
	in, err := ingester.New(f, ingester.Options{Config: ingester.DefaultConfig()})
	if err != nil {
		t.Fatal(err)
	}
	c, err := New(t.Context(), in, &f.Pipelines[0], "t", pipeline.Rows, nil, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	var strange []string
	for _, item := range c.touched {
		if c.mistakes(item, "shoes") {
			strange = append(strange, item.String())
		}
		if c.mistakes(item, c.Text) {
			t.Errorf("the canary of a run before is taken for somebody else's %s", item)
		}
	}
	if len(c.touched) != 3 || len(strange) != 2 || !slices.ContainsFunc(strange, func(s string) bool { return strings.HasPrefix(s, "Kind") }) {
		t.Errorf("it touches %v, and of them %v would be somebody else's with that text; want those of Thing and Kind", c.touched, strange)
	}
}
