package redis_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	goredis "github.com/redis/go-redis/v9"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/freshet-io/freshet/libs/fake/local"
	"github.com/freshet-io/freshet/libs/fake/local/localtest"
	"github.com/freshet-io/freshet/libs/kafka"
	"github.com/freshet-io/freshet/libs/record"
	"github.com/freshet-io/freshet/libs/service"
	"github.com/freshet-io/freshet/libs/stage"
	"github.com/freshet-io/freshet/services/ingest/ingester"
)

const pipelineFile = `
apiVersion: freshet/v1
space: {provider: hash, dimensions: 8}
pipelines:
- name: products
  source: {topics: [products], format: rows, redis: {stream: "product:update:stream", value: payload, key: sku}}
  collection: Product
  id: {from: [product_id]}
  text: {template: "{{name}}", require: [name]}
`

// The whole of ingest, from the stream to documents and dead letters.
func TestRun_aStreamBecomesDocumentsAndLetters(t *testing.T) {
	server := localtest.Redis(t, local.RedisOptions{})
	r := newRig(t, startKfake(t), "redis://"+server.Address, connect(t, server.Address))
	path := filepath.Join(t.TempDir(), "pipeline.yaml")
	if err := os.WriteFile(path, []byte(pipelineFile), 0o600); err != nil {
		t.Fatal(err)
	}
	var cfg ingester.Settings
	if err := service.Load([]string{"FRESHET_KAFKA_BROKERS=" + r.brokers, "FRESHET_PIPELINE=" + path, "FRESHET_REDIS_URL=" + r.cfg.URL}, &cfg); err != nil {
		t.Fatal(err)
	}
	p, err := newProcess(t.Context(), r.log)
	if err != nil {
		t.Fatal(err)
	}
	client, err := kafka.Producer(t.Context(), cfg.Kafka, cfg.Topics, true, p.Log)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if _, err := cfg.Topics.Apply(t.Context(), client, kafka.Layout{Partitions: 1, Replication: 1}); err != nil {
		t.Fatal(err)
	}
	add := func(fields ...string) string {
		id, err := r.redis.XAdd(t.Context(), &goredis.XAddArgs{Stream: stream, Values: fields}).Result()
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	add("payload", `{"product_id":"1","name":"old"}`)
	lacks := add("sku", "2", "text", "elsewhere")
	large := add("sku", "3", "payload", `{"product_id":"3","name":"`+strings.Repeat("x", 300_000)+`"}`)
	broken := add("sku", "4", "payload", `{"product_id":`)
	add("payload", `{"product_id":"1","name":"new"}`)
	add("payload", `{"product_id":"5","update_type":"delete"}`)

	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- ingester.Run(ctx, p, cfg) }()
	r.until("all documents are there", func() bool { return len(r.read(cfg.Topics.DocumentsLive())) >= 6 })
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	var said []string
	for _, made := range r.read(cfg.Topics.DocumentsLive()) {
		d, err := record.DecodeDocument(made.Value)
		if err != nil {
			t.Fatal(err)
		}
		said = append(said, strings.Join([]string{d.GetId()[0], d.GetOp().String(), d.GetText(), d.GetFailed().GetReason()}, " "))
	}
	if got, want := strings.Join(said, "; "), "1 OP_UPSERT old ; 2 OP_FAILED  format-mismatch; 3 OP_FAILED  oversize; 4 OP_FAILED  malformed; 1 OP_UPSERT new ; 5 OP_DELETE  "; got != want {
		t.Errorf("documents: %s\nwant: %s", got, want)
	}
	letters := r.read(cfg.Topics.DeadLetters())
	if len(letters) != 3 {
		t.Fatalf("%d letters", len(letters))
	}
	for i, want := range []struct{ id, reason, text string }{
		{lacks, "format-mismatch", "no field payload"}, {large, "oversize", "takes 200000"}, {broken, "malformed", "JSON"},
	} {
		letter := letters[i]
		if header(letter, record.HeaderRedisStream) != stream || header(letter, record.HeaderRedisID) != want.id ||
			header(letter, stage.HeaderReason) != want.reason || !strings.Contains(header(letter, stage.HeaderErrorText), want.text) {
			t.Errorf("letter %d: %v", i, names(letter))
		}
	}
	r.settled()
}

func names(r *kgo.Record) []string {
	var out []string
	for _, h := range r.Headers {
		out = append(out, h.Key+"="+string(h.Value))
	}
	return out
}
