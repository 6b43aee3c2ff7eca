package cluster_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/freshet-io/freshet/libs/fake"
	"github.com/freshet-io/freshet/libs/fake/local"
	"github.com/freshet-io/freshet/libs/fake/local/localtest"
	"github.com/freshet-io/freshet/libs/kafka"
	"github.com/freshet-io/freshet/libs/pipeline"
	"github.com/freshet-io/freshet/libs/record"
	"github.com/freshet-io/freshet/libs/service"
	"github.com/freshet-io/freshet/libs/telemetry"
	"github.com/freshet-io/freshet/libs/weaviate"
	"github.com/freshet-io/freshet/services/ctl/rig"
	"github.com/freshet-io/freshet/services/write/writer"
)

const (
	partitions = 4
	// bound is how long anything may take. A call that was under way when a node died takes up to a minute.
	bound = 3 * time.Minute
)

var pipelineFile = fmt.Sprintf(`apiVersion: freshet/v1
space: {provider: hash, model: hash, dimensions: %d}
pipelines:
- name: products
  source: {topics: [unused], format: rows}
  collection: %s
  id: {from: [id]}
  text: {template: "{{name}}"}
  properties: [{name: name, type: text}, {name: price, type: int}]
collections:
- {name: %s, replication: 3}
`, dimensions, collection, collection)

// bed is a cluster, a broker and the write service, which is connected to the cluster's first node.
type bed struct {
	*load

	t      *testing.T
	nodes  []*local.Weaviate
	topics kafka.Topics
	client *kgo.Client
	adm    *kadm.Client
	index  []*weaviate.Client // through each node
	bare   []*bare            // through each node
	env    []string
	table  []string
}

func newBed(t *testing.T) *bed {
	t.Helper()
	b := &bed{t: t, nodes: localtest.WeaviateCluster(t, local.WeaviateClusterOptions{}).Nodes()}
	broker, err := fake.StartBroker("")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(broker.Close)
	path := filepath.Join(t.TempDir(), "pipeline.yaml")
	if err := os.WriteFile(path, []byte(pipelineFile), 0o600); err != nil {
		t.Fatal(err)
	}
	b.env = []string{
		"FRESHET_KAFKA_BROKERS=" + broker.Brokers(), "FRESHET_KAFKA_METADATA_MIN_AGE=250ms", "FRESHET_PIPELINE=" + path,
		"FRESHET_WEAVIATE_URL=http://" + b.nodes[0].REST, "FRESHET_WEAVIATE_GRPC=" + b.nodes[0].GRPC,
		"FRESHET_WEAVIATE_API_KEY=" + b.nodes[0].APIKey,
	}
	if err := b.layOut(); err != nil {
		t.Fatal(err)
	}
	return b
}

// layOut makes topics and collections as `freshet topics apply` does.
func (b *bed) layOut() error {
	var cfg struct {
		Kafka    kafka.Config
		Topics   kafka.Topics `inline:"true"`
		Pipeline string
	}
	if err := service.Load(b.env, &cfg); err != nil {
		return err
	}
	file, err := pipeline.Load(cfg.Pipeline)
	if err != nil {
		return err
	}
	b.topics, b.load = cfg.Topics, newLoad(file.Space.String())
	ctx := b.t.Context()
	if b.client, err = kafka.Producer(ctx, cfg.Kafka, cfg.Topics, true, slog.New(slog.DiscardHandler)); err != nil {
		return err
	}
	b.t.Cleanup(b.client.Close)
	b.adm = kadm.NewClient(b.client)
	if _, err := rig.LayTopics(ctx, b.client, b.topics, file, rig.Partitions{Pipeline: partitions, Source: 1}); err != nil {
		return err
	}
	identity, err := rig.RaiseEpoch(ctx, b.client, b.topics)
	if err != nil {
		return err
	}
	for _, n := range b.nodes {
		index, err := rig.OpenIndex(ctx, weaviate.Config{URL: "http://" + n.REST, GRPC: n.GRPC, APIKey: service.NewSecret(n.APIKey)}, file, identity)
		if err != nil {
			return err
		}
		b.t.Cleanup(func() { _ = index.Close() })
		b.index, b.bare = append(b.index, index), append(b.bare, newBare(b.t, n))
	}
	return nil
}

// startWrite runs the service, which ends with the test.
func (b *bed) startWrite() {
	b.t.Helper()
	var cfg writer.Settings
	if err := service.Load(b.env, &cfg); err != nil {
		b.t.Fatal(err)
	}
	log := slog.New(slog.NewTextHandler(b.t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	p, err := rig.Process(b.t.Context(), "write", log, func(telemetry.Freshness) {})
	if err != nil {
		b.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(b.t.Context())
	ended := make(chan error, 1)
	go func() { ended <- writer.Run(ctx, p, cfg) }()
	b.t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil && !errors.Is(err, context.Canceled) {
			b.t.Errorf("write ended by itself: %v", err)
		}
		if err := p.Telemetry.Close(context.WithoutCancel(ctx)); err != nil {
			b.t.Error(err)
		}
	})
}

// send has changes in the topics.
func (b *bed) send(changes []*record.Vector) {
	b.t.Helper()
	records := make([]*kgo.Record, len(changes))
	for i, v := range changes {
		value, err := v.Encode()
		if err != nil {
			b.t.Fatal(err)
		}
		topic, key := b.topics.VectorsLive(), v.GetDocument().Item().Key()
		if v.GetVersionOrigin() == record.VersionOrigin_VERSION_ORIGIN_STAMP {
			topic = b.topics.VectorsBulk()
		}
		records[i] = &kgo.Record{Topic: topic, Partition: record.Partition(key, partitions), Key: key, Value: value}
	}
	if err := b.client.ProduceSync(b.t.Context(), records...).FirstErr(); err != nil {
		b.t.Fatalf("sending %d changes: %v", len(changes), err)
	}
}

// trickle sends n changes as a busy shop does: some at a time.
func (b *bed) trickle(n int) {
	b.t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for n > 0 {
		var some []*record.Vector
		for len(some) < 20 {
			some = append(some, b.next()...)
		}
		b.send(some)
		n -= len(some)
		<-tick.C
	}
}

// settle sends what is still to come, and waits until all is committed.
func (b *bed) settle() {
	b.t.Helper()
	b.send(b.overdue())
	lanes := []string{b.topics.VectorsLive(), b.topics.VectorsBulk()}
	b.await("all is committed", func(ctx context.Context) error {
		ends, err := b.adm.ListEndOffsets(ctx, lanes...)
		if err := errors.Join(err, ends.Error()); err != nil {
			return err
		}
		committed, err := b.adm.FetchOffsetsForTopics(ctx, b.topics.Prefix+"-write", lanes...)
		if err := errors.Join(err, committed.Error()); err != nil {
			return err
		}
		left := int64(0)
		ends.Each(func(end kadm.ListedOffset) {
			at, _ := committed.Lookup(end.Topic, end.Partition)
			left += end.Offset - max(at.At, 0)
		})
		if left > 0 {
			return fmt.Errorf("%d records are not", left)
		}
		return nil
	})
}

// await asks until the answer is no error.
func (b *bed) await(what string, ask func(context.Context) error) {
	b.t.Helper()
	var last error
	err := rig.Poll(b.t.Context(), bound, 100*time.Millisecond, func(ctx context.Context) (bool, error) {
		err := ask(ctx)
		if ctx.Err() == nil { // else it only says that the time is over
			last = err
		}
		return err == nil, nil
	})
	if err != nil {
		b.t.Fatalf("waiting until %s: %v: %v", what, err, last)
	}
}

// kill ends a node as kill -9 does.
func (b *bed) kill(node int) {
	b.t.Helper()
	if err := b.nodes[node].Kill(); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bed) restart(node int) {
	b.t.Helper()
	if err := b.nodes[node].Restart(b.t.Context()); err != nil {
		b.t.Fatal(err)
	}
}

// compareNothing keeps Weaviate from comparing copies by itself, as an operator would.
func (b *bed) compareNothing() {
	b.t.Helper()
	for _, name := range []string{class, class + "_side"} {
		var settings map[string]any
		if err := json.Unmarshal(b.rest(http.MethodGet, "schema/"+name, nil), &settings); err != nil {
			b.t.Fatal(err)
		}
		replication, ok := settings["replicationConfig"].(map[string]any)
		if !ok || replication["asyncEnabled"] != true {
			b.t.Fatalf("%s was made with the replicationConfig %v", name, settings["replicationConfig"])
		}
		replication["asyncEnabled"] = false
		body, err := json.Marshal(settings)
		if err != nil {
			b.t.Fatal(err)
		}
		b.rest(http.MethodPut, "schema/"+name, body)
	}
}

// rest calls the HTTP API of the first node and returns the answer, which must be good.
func (b *bed) rest(method, path string, body []byte) []byte {
	b.t.Helper()
	status, answer := b.ask(method, path, body)
	if status != http.StatusOK {
		b.t.Fatalf("%s %s: %d %s", method, path, status, answer)
	}
	return answer
}

// ask calls the HTTP API of the first node and returns the answer, whatever it is.
func (b *bed) ask(method, path string, body []byte) (status int, answer []byte) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, "http://"+b.nodes[0].REST+"/v1/"+path, bytes.NewReader(body))
	if err != nil {
		b.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+b.nodes[0].APIKey)
	req.Header.Set("Content-Type", "application/json")
	resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
	if err != nil {
		b.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }() // it was only read
	if answer, err = io.ReadAll(resp.Body); err != nil {
		b.t.Fatal(err)
	}
	return resp.StatusCode, answer
}
