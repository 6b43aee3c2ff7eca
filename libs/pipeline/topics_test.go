package pipeline_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/freshet-io/freshet/libs/pipeline"
)

const twoSources = `apiVersion: freshet/v1
space: {provider: hash, dimensions: 8}
pipelines:
- name: one
  source: {topics: [shop.*, b], format: debezium}
  collection: One
  id: {from: [id]}
  text: {template: "{{name}}"}
- name: two
  source: {topics: ["*.stock", b], format: debezium}
  collection: Two
  id: {from: [id]}
  text: {template: "{{name}}"}
`

func TestFile_topicsAndPatterns(t *testing.T) {
	file, err := pipeline.Parse([]byte(twoSources))
	if err != nil {
		t.Fatal(err)
	}
	if got := file.Topics(); !slices.Equal(got, []string{"b"}) {
		t.Errorf("topics %v", got)
	}
	if got := file.Patterns(); !slices.Equal(got, []string{"*.stock", "shop.*"}) {
		t.Errorf("patterns %v", got)
	}
	for topic, want := range map[string][2]bool{
		"b": {true, true}, "shop.stock": {true, true}, "shop.a.b": {true, false}, "x.stock": {false, true}, "shop": {}, "B": {}, "": {},
	} {
		if got := [2]bool{file.Pipelines[0].Source.Reads(topic), file.Pipelines[1].Source.Reads(topic)}; got != want {
			t.Errorf("%s: read %v, want %v", topic, got, want)
		}
	}
}

func TestFile_oneFormatForATopic(t *testing.T) {
	other := strings.Replace(twoSources, `["*.stock", b], format: debezium`, `["*.stock"], format: rows`, 1)
	file, err := pipeline.Parse([]byte(other))
	if err != nil {
		t.Fatal(err) // patterns may meet, and need not
	}
	if err := file.CheckTopic("shop.a"); err != nil {
		t.Error(err)
	}
	if err := file.CheckTopic("shop.stock"); err == nil || err.Error() != "pipeline one reads topic shop.stock as debezium, pipeline two as rows" {
		t.Errorf("two formats: %v", err)
	}
	prefixed := strings.Replace(strings.ReplaceAll(twoSources, "debezium", "rows"), `["*.stock", b], format: rows`, "[b], format: rows, prefix: x_", 1)
	if _, err := pipeline.Parse([]byte(prefixed)); err == nil || !strings.Contains(err.Error(), "pipelines[1].source.format: pipeline one reads b as rows") {
		t.Errorf("two prefixes: %v", err)
	}
	named := strings.Replace(other, `["*.stock"]`, `["shop.stock"]`, 1)
	if _, err := pipeline.Parse([]byte(named)); err == nil || !strings.Contains(err.Error(), "pipelines[1].source.format: pipeline one reads shop.stock as debezium") {
		t.Errorf("a pattern and a name: %v", err)
	}
}
