package plan_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/freshet-io/freshet/libs/pipeline"
	"github.com/freshet-io/freshet/libs/stage"
	"github.com/freshet-io/freshet/services/ctl/events"
	"github.com/freshet-io/freshet/services/ctl/plan"
	"github.com/freshet-io/freshet/services/ingest/ingester"
)

const shop = `apiVersion: freshet/v1
space: {provider: hash, dimensions: 8}
pipelines:
- name: products
  source: {topics: [a, b], format: auto}
  collection: Product
  id: {from: [id]}
  tenant: {from: shop}
  text: {template: "{{name}}"}
  properties: [{name: price, type: number}, {name: tags, type: "text[]"}]
  when: [{field: active, ne: 0}]
`

func planner(t *testing.T, topic string) *plan.Planner {
	t.Helper()
	file, err := pipeline.Parse([]byte(shop))
	if err != nil {
		t.Fatal(err)
	}
	p, err := plan.New(file, ingester.DefaultConfig(), topic, nil)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestLines(t *testing.T) {
	p := planner(t, "a")
	for value, want := range map[string]string{
		`{"id":1,"shop":2,"name":"Cup","active":1,"price":7.5,"tags":["x","y"]}`: `{"line":3,"file":"f","outcome":"document","format":"rows","pipeline":"products","collection":"Product","id":"1","tenant":"2","text":"Cup","properties":{"price":7.5,"tags":["x","y"]}}`,
		`{"id":1,"shop":2,"name":"Cup","active":0}`:                              `{"line":3,"file":"f","outcome":"delete","format":"rows","pipeline":"products","collection":"Product","id":"1","tenant":"2"}`,
		`{"type":"UPDATE","data":[{"id":1,"shop":2,"name":"A","active":1}]}`:     `{"line":3,"file":"f","outcome":"partial","format":"canal","pipeline":"products","collection":"Product","id":"1","tenant":"2","unavailable":["price","tags"]}`,
		`{"ts_ms":1}`: `{"line":3,"file":"f","outcome":"skip","reason":"heartbeat","format":"debezium"}`,
		`{"id":1,"shop":2,"name":"A","active":1,"price":"x"}`: `{"line":3,"file":"f","outcome":"reject","reason":"field-type","message":"property price: field price is no number, but a text","format":"rows","pipeline":"products","collection":"Product","id":"1","tenant":"2"}`,
		`{"id":1,"name":"A"}`:      `{"line":3,"file":"f","outcome":"reject","reason":"missing-id","message":"neither the row nor the key has all of the columns [\"id\" \"shop\"]; the row has [\"id\" \"name\"]","format":"rows"}`,
		"\x00\x00\x00\x00\x07\x02": `{"line":3,"file":"f","outcome":"reject","reason":"unknown-schema","message":"a key or value is in Confluent's wire format: give --schemas, a folder with its schema"}`,
		`x`:                        `{"line":3,"file":"f","outcome":"reject","reason":"malformed","message":"the value is not valid JSON"}`,
		`{"source":{"connector":"postgresql"},"op":"u","before":null,"after":{"id":1,"shop":2,"name":"A","active":0,"price":1,"tags":null}}`: `{"line":3,"file":"f","outcome":"document","reason":"hidden","format":"debezium","pipeline":"products","collection":"Product","id":"1","tenant":"2"}`,
	} {
		lines, err := p.Lines(t.Context(), events.Event{File: "f", Line: 3, Record: stage.Record{Value: []byte(value)}})
		if err != nil || len(lines) != 1 {
			t.Fatalf("%s: %v, %v", value, lines, err)
		}
		if got, err := json.Marshal(lines[0]); err != nil || string(got) != want {
			t.Errorf("%s: got\n%s\nwant\n%s", value, got, want)
		}
	}
}

func TestLines_ofOneEventWithSeveralRows(t *testing.T) {
	lines, err := planner(t, "a").Lines(t.Context(), events.Event{Line: 1, Record: stage.Record{
		Value: []byte(`{"type":"INSERT","data":[{"id":1,"shop":2,"name":"A","active":1,"price":"x"},{"id":2,"shop":2,"name":"B","active":1}]}`),
	}})
	if err != nil || len(lines) != 2 || lines[0].Outcome != plan.Document || lines[0].ID != "2" || lines[1].Outcome != plan.Reject || lines[1].ID != "1" || lines[1].Message == "" {
		t.Errorf("%+v, %v", lines, err)
	}
}

func TestPlanner_wantsToKnowTheTopic(t *testing.T) {
	if _, err := planner(t, "").Lines(t.Context(), events.Event{File: "a/b.json", Line: 7, Record: stage.Record{Value: []byte("{}")}}); err == nil || !strings.HasPrefix(err.Error(), "a/b.json, line 7: ") || !strings.Contains(err.Error(), "--topic") {
		t.Errorf("an event of no topic: %v", err)
	}
	lines, err := planner(t, "").Lines(t.Context(), events.Event{Record: stage.Record{Topic: "c", Value: []byte("{}")}})
	if err != nil || lines[0].Outcome != plan.Skip || lines[0].Reason != "unmatched" {
		t.Errorf("a topic that nobody reads: %+v, %v", lines, err)
	}
	file, err := pipeline.Parse([]byte(shop))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := plan.New(file, ingester.DefaultConfig(), "c", nil); err == nil {
		t.Error("a --topic that nobody reads is taken")
	}
	file.Pipelines[0].Source.Topics = []string{"shop.*"}
	if _, err := plan.New(file, ingester.DefaultConfig(), "shop.c", nil); err != nil {
		t.Errorf("a topic of a pattern: %v", err)
	}
}

func TestSummary_reckonsByTheMean(t *testing.T) {
	s := plan.NewSummary(func(text string) (int, bool) { return len(text), len(text) > 4 })
	document := func(id, text string) []plan.Line {
		return []plan.Line{{Outcome: plan.Document, Format: pipeline.Rows, Collection: "P", ID: id, Text: text}}
	}
	for _, lines := range [][]plan.Line{
		document("1", "abcd"), document("1", "abcd"), document("1", "wxyz"), document("1", "wxyz"), document("1", "wxyz"), document("2", "abcde"),
		{{Outcome: plan.Delete, ID: "1"}},
		{{Outcome: plan.Skip, Reason: "heartbeat"}},
		{{Outcome: plan.Reject, Reason: "malformed"}},
		{{Outcome: plan.Partial}},
	} {
		s.Add(lines)
	}
	if s.Events != 10 || s.Documents != 6 || s.Items() != 2 || s.Tokens != 25 || s.Oversize != 1 || s.Again != 4 || s.Same != 3 {
		t.Errorf("%+v", s)
	}
	load := plan.Load{Rate: 1000, Freshness: time.Second, Request: 300 * time.Millisecond, InFlight: 8, Batch: 256, Price: 2, Priced: true, Currency: "USD"}
	n := s.Needs(load)
	// 600 documents a second, a quarter of which has a new text of 25/6 tokens; 100 documents of a partition take half a
	// second; 150 texts a second are 45 in the time of a request, which 8 requests share.
	if n.Texts != 150 || n.Tokens != 54_000_000 || n.Money != 108 || n.Partitions != 6 || n.Replicas != 2 {
		t.Errorf("%+v", n)
	}
	load.Freshness = 999 * time.Millisecond
	if n := s.Needs(load); n.Partitions != 0 || !strings.Contains(s.Describe(load), "out of reach") {
		t.Errorf("two rounds of half a second within less than one: %+v", n)
	}
	if n := plan.NewSummary(nil).Needs(load); n.Tokens != 0 {
		t.Errorf("of nothing: %+v", n)
	}
}
