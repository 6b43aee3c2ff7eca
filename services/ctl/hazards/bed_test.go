package hazards_test

import (
	"bytes"
	"context"
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
	"github.com/freshet-io/freshet/libs/weaviate"
	"github.com/freshet-io/freshet/services/ctl/rig"
)

const (
	partitions = 4
	group      = "freshet-write"
	// doubt must be longer than a call of a killed write goes on: that ends with its connection.
	doubt = 5 * time.Second
)

// bed is a Weaviate, a broker and the write service, with all that one case needs to hurt them.
type bed struct {
	t         *testing.T
	dir       string
	options   local.WeaviateOptions
	server    *local.Weaviate
	index     *weaviate.Client // straight to the server
	client    *kgo.Client
	adm       *kadm.Client
	topics    kafka.Topics
	load      *load
	proxy     *proxy // before the gRPC port
	write     *process
	authority *authority // of the certificates, where there are any
}

func newBed(t *testing.T, h hazard) *bed {
	t.Helper()
	b := &bed{t: t, dir: t.TempDir(), load: newLoad()}
	if h.server != nil {
		b.options = h.server(t)
	}
	b.server = localtest.Weaviate(t, b.options)
	broker, err := fake.StartBroker("")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(broker.Close)
	path := filepath.Join(b.dir, "pipeline.yaml")
	if err := os.WriteFile(path, []byte(pipelineFile), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := b.layOut(broker.Brokers()); err != nil {
		t.Fatal(err)
	}
	b.proxy = &proxy{upstream: b.server.GRPC, delay: h.delay}
	env := []string{
		"FRESHET_KAFKA_BROKERS=" + broker.Brokers(), "FRESHET_KAFKA_METADATA_MIN_AGE=250ms", "FRESHET_PIPELINE=" + path,
		"FRESHET_WEAVIATE_URL=http://" + b.server.REST, "FRESHET_WEAVIATE_API_KEY=" + b.server.APIKey,
		"FRESHET_ADMIN_ADDRESS=127.0.0.1:0", fmt.Sprint("FRESHET_WRITE_DOUBT=", doubt),
		"FRESHET_SESSION_TIMEOUT=6s", "FRESHET_DRAIN=5s", "FRESHET_REBALANCE_TIMEOUT=10s",
	}
	if h.prepare != nil {
		env = append(env, h.prepare(b)...)
	}
	address := b.proxy.start(t).address
	if h.naive != nil {
		address = h.naive().start(t, address)
	}
	b.write = &process{t: t, env: append(env, "FRESHET_WEAVIATE_GRPC="+address)}
	return b
}

// layOut makes topics and collections as `freshet topics apply` does.
func (b *bed) layOut(brokers string) error {
	var cfg struct {
		Kafka    kafka.Config
		Topics   kafka.Topics `inline:"true"`
		Weaviate weaviate.Config
	}
	err := service.Load([]string{
		"FRESHET_KAFKA_BROKERS=" + brokers,
		"FRESHET_WEAVIATE_URL=http://" + b.server.REST, "FRESHET_WEAVIATE_GRPC=" + b.server.GRPC, "FRESHET_WEAVIATE_API_KEY=" + b.server.APIKey,
	}, &cfg)
	if err != nil {
		return err
	}
	b.topics = cfg.Topics
	ctx := b.t.Context()
	if b.client, err = kafka.Producer(ctx, cfg.Kafka, cfg.Topics, true, slog.New(slog.DiscardHandler)); err != nil {
		return err
	}
	b.t.Cleanup(b.client.Close)
	b.adm = kadm.NewClient(b.client)
	if _, err := b.topics.Apply(ctx, b.client, kafka.Layout{Partitions: partitions, Replication: 1}); err != nil {
		return err
	}
	identity, err := rig.RaiseEpoch(ctx, b.client, b.topics)
	if err != nil {
		return err
	}
	if b.index, err = weaviate.Open(ctx, cfg.Weaviate); err != nil {
		return err
	}
	b.t.Cleanup(func() { _ = b.index.Close() })
	file, err := pipeline.Parse([]byte(pipelineFile))
	if err != nil {
		return err
	}
	if _, err := b.index.CreateAll(ctx, file, identity); err != nil {
		return err
	}
	_, err = b.index.CheckAll(ctx, file, identity)
	return err
}

// startWrite starts the service, which ends with the test.
func (b *bed) startWrite() {
	b.t.Helper()
	b.write.start()
	b.t.Cleanup(func() {
		if code := b.write.stop(); code != 0 {
			b.t.Errorf("write ended with code %d", code)
		}
		if b.t.Failed() {
			log := b.write.log.String()
			b.t.Logf("the end of the log of write:\n%s", log[max(0, len(log)-6000):])
		}
	})
	b.write.awaitReady()
}

// send has n more changes in the topics.
func (b *bed) send(n int) {
	b.t.Helper()
	records := make([]*kgo.Record, n)
	for i := range records {
		records[i] = b.load.next(b.topics, partitions)
	}
	if err := b.client.ProduceSync(b.t.Context(), records...).FirstErr(); err != nil {
		b.t.Fatalf("sending %d changes: %v", n, err)
	}
}

// inPut sends changes and calls f in the midst of the put of many of them: so long after its first
// bytes have passed the proxy.
func (b *bed) inPut(after time.Duration, f func()) {
	b.t.Helper()
	seen := make(chan struct{})
	b.proxy.atNextPut(func() {
		wait(after)
		f()
		close(seen)
	})
	b.send(burst)
	select {
	case <-seen:
	case <-time.After(time.Minute):
		b.t.Fatal("write puts nothing")
	}
}

// committed returns the offsets of the group.
func (b *bed) committed() (kadm.OffsetResponses, error) {
	ctx, cancel := context.WithTimeout(b.t.Context(), 5*time.Second)
	defer cancel()
	offsets, err := b.adm.FetchOffsetsForTopics(ctx, group, b.topics.VectorsLive(), b.topics.VectorsBulk())
	return offsets, errors.Join(err, offsets.Error())
}

// isCommitted reports whether a record is below its partition's committed offset.
func isCommitted(offsets kadm.OffsetResponses, r *kgo.Record) bool {
	at, ok := offsets.Lookup(r.Topic, r.Partition)
	return ok && at.At > r.Offset
}

// checkCommitted fails the test where a record is committed and not in the index.
func (b *bed) checkCommitted() {
	b.t.Helper()
	offsets, err := b.committed()
	if err != nil {
		b.t.Fatal(err)
	}
	var items []record.Item
	var records []*record.Vector
	for _, r := range b.load.sent {
		if !isCommitted(offsets, r) {
			continue
		}
		v, err := record.DecodeVector(r.Value)
		if err != nil {
			b.t.Fatal(err)
		}
		items, records = append(items, v.GetDocument().Item()), append(records, v)
	}
	if len(records) == 0 || len(records) == len(b.load.sent) {
		b.t.Errorf("%d of %d records are committed: it was not in the midst of a load", len(records), len(b.load.sent))
	}
	for i, v := range records {
		stored, err := b.index.Load(b.t.Context(), collection, items[i:i+1], false)
		if err != nil {
			b.t.Fatal(err)
		}
		if stored[0].State.Judge(v) == record.TakenNew {
			b.t.Errorf("version %d of %s is committed and not in the index", v.GetVersion(), items[i])
		}
	}
}

// settle waits until all that was sent is committed.
func (b *bed) settle() {
	b.t.Helper()
	left := 0
	await(b.t, 8*time.Minute, "all is committed", func() (bool, error) {
		offsets, err := b.committed()
		if err != nil {
			return false, b.write.failure()
		}
		left = 0
		for _, r := range b.load.sent {
			if !isCommitted(offsets, r) {
				left++
			}
		}
		return left == 0, b.write.failure()
	})
}

// verdict reads every item, and searches for it by its own vector.
func (b *bed) verdict() verdict {
	b.t.Helper()
	var v verdict
	var ids []string
	var items, live []record.Item
	for id := range b.load.states {
		ids, items = append(ids, id), append(items, itemOf(id))
	}
	stored, err := b.index.Load(b.t.Context(), collection, items, true)
	if err != nil {
		b.t.Fatal(err)
	}
	for i, id := range ids {
		if v.judge(id, b.load.states[id], stored[i]) {
			live = append(live, items[i])
		}
	}
	letters, err := b.adm.ListEndOffsets(b.t.Context(), b.topics.DeadLetters())
	if err := errors.Join(err, letters.Error()); err != nil {
		b.t.Fatal(err)
	}
	letters.Each(func(o kadm.ListedOffset) {
		if o.Offset > 0 {
			b.t.Errorf("%d dead letters of changes that are all right", o.Offset)
		}
	})
	for _, it := range b.unfound(live) {
		v.unfound = append(v.unfound, it.String()+" is there and not found by its own vector")
	}
	return v
}

// unfound returns the items that are not found by their own vectors in three looks: after an outage write does the last
// minute again, and while Weaviate indexes an item anew, no search finds it.
func (b *bed) unfound(items []record.Item) []record.Item {
	b.t.Helper()
	for look := 0; len(items) > 0 && look < 3; look++ {
		if look > 0 {
			wait(5 * time.Second)
		}
		var err error
		if items, err = b.index.SelfFound(b.t.Context(), collection, items, nil); err != nil {
			b.t.Fatal(err)
		}
	}
	return items
}

// rest calls Weaviate's HTTP API as an operator would, and returns the answer.
func (b *bed) rest(method, path, body string) []byte {
	b.t.Helper()
	req, err := http.NewRequestWithContext(b.t.Context(), method, "http://"+b.server.REST+"/v1/"+path, bytes.NewReader([]byte(body)))
	if err != nil {
		b.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+b.server.APIKey)
	req.Header.Set("Content-Type", "application/json")
	resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
	if err != nil {
		b.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode >= 300 {
		b.t.Fatalf("%s %s: %s %s %v", method, path, resp.Status, answer, err)
	}
	return answer
}
