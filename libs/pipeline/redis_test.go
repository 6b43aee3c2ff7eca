package pipeline_test

import (
	"strings"
	"testing"

	"github.com/freshet-io/freshet/libs/pipeline"
)

const fed = `apiVersion: freshet/v1
space: {provider: hash, dimensions: 8}
pipelines:
- name: one
  source: {topics: [a], format: rows, redis: {stream: "product:update:stream"}}
  collection: One
  id: {from: [id]}
  text: {template: "{{name}}"}
- name: two
  source: {topics: [b], format: debezium, redis: {stream: cdc, value: value, key: key}}
  collection: Two
  id: {from: [id]}
  text: {template: "{{name}}"}
`

func TestFile_feeds(t *testing.T) {
	file, err := pipeline.Parse([]byte(fed))
	if err != nil {
		t.Fatal(err)
	}
	feeds := file.Feeds()
	if len(feeds) != 2 || feeds[0].Topic != "a" || feeds[0].Stream != "product:update:stream" || feeds[1] != (pipeline.Feed{
		Redis: pipeline.Redis{Stream: "cdc", Value: "value", Key: "key"}, Topic: "b",
	}) {
		t.Errorf("feeds: %+v", feeds)
	}
}

func TestRedis_aNeighbourIsInTheSlotOfTheStream(t *testing.T) {
	for stream, want := range map[string]string{
		"a:b": "{a:b}:x", "{a}:b": "{a}:b:x", "a{b}c{d}": "a{b}c{d}:x",
	} {
		if got := (pipeline.Redis{Stream: stream}).Neighbour(":x"); got != want {
			t.Errorf("%s: %s, want %s", stream, got, want)
		}
	}
}

func TestParse_impossibleStreams(t *testing.T) {
	for change, want := range map[[2]string]string{
		{`{stream: cdc`, `{stream: ""`}:                                `pipelines[1].source.redis.stream: is empty`,
		{`{stream: cdc`, `{stream: "a}b"`}:                             `pipelines[1].source.redis.stream: "a}b" has a brace`,
		{`{stream: cdc`, `{stream: "{}b"`}:                             `pipelines[1].source.redis.stream: "{}b" has a brace`,
		{`{stream: cdc`, `{steam: cdc`}:                                `pipelines[1].source.redis.steam: unknown key, did you mean stream?`,
		{`[b]`, `["b*"]`}:                                              `pipelines[1].source.redis: needs one topic`,
		{`[b]`, `[b, c]`}:                                              `pipelines[1].source.redis: needs one topic`,
		{`value: value, key: key`, ``}:                                 `pipelines[1].source.redis.value: is missing: without it the fields of an entry are columns`,
		{`value: value, `, ``}:                                         `pipelines[1].source.redis.key: is for entries`,
		{`stream: cdc`, `stream: "product:update:stream"`}:             `pipelines[1].source.redis.stream: product:update:stream is read for pipeline one already`,
		{`[b], format: debezium`, `[a], format: rows`}:                 `pipelines[1].source.redis: the topic has the stream of pipeline one already`,
		{`[b], format: debezium`, `[b], http: true, format: debezium`}: `pipelines[1].source.redis: the topic takes changes over HTTP for pipeline`,
	} {
		_, err := pipeline.Parse([]byte(strings.Replace(fed, change[0], change[1], 1)))
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "line 10") {
			t.Errorf("%v: %v", change, err)
		}
	}
}
