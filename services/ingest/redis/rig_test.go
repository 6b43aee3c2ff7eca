package redis_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"github.com/tidwall/gjson"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/freshet-io/freshet/libs/fake"
	"github.com/freshet-io/freshet/libs/kafka"
	"github.com/freshet-io/freshet/libs/pipeline"
	"github.com/freshet-io/freshet/libs/service"
	"github.com/freshet-io/freshet/libs/telemetry"
	"github.com/freshet-io/freshet/services/ingest/redis"
)

const (
	stream = "product:update:stream"
	topic  = "products"
	group  = "freshet"
	lease  = "{" + stream + "}:freshet-lease:" + group

	// patience bounds a test that would wait for ever.
	patience = 4 * time.Minute
)

// readerEnv makes this test binary a reader: a process of its own that can be stopped.
const readerEnv = "FRESHET_TEST_READER"

func TestMain(m *testing.M) {
	if os.Getenv(readerEnv) == "" {
		os.Exit(m.Run())
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	if err := runFromEnvironment(ctx); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func runFromEnvironment(ctx context.Context) error {
	var cfg struct {
		Kafka kafka.Config
		Redis redis.Config
	}
	if err := service.Load(os.Environ(), &cfg); err != nil {
		return err
	}
	p, err := newProcess(ctx, os.Stderr)
	if err != nil {
		return err
	}
	return redis.Run(ctx, p, cfg.Redis, cfg.Kafka, "freshet", feeds(stream, topic))
}

func feeds(stream, topic string) []pipeline.Feed {
	return []pipeline.Feed{{Redis: pipeline.Redis{Stream: stream}, Topic: topic}}
}

func newProcess(ctx context.Context, log interface{ Write([]byte) (int, error) }) (*service.Process, error) {
	tel, err := telemetry.New(ctx, telemetry.Config{Exporter: "none"}, "test", "test")
	if err != nil {
		return nil, err
	}
	return &service.Process{Name: "test", Log: slog.New(slog.NewTextHandler(log, nil)), Telemetry: tel, Health: service.NewHealth()}, nil
}

// rig is a Kafka with a topic, and a Redis.
type rig struct {
	t       *testing.T
	brokers string
	client  *kgo.Client
	redis   goredis.UniversalClient // of the test itself
	log     *buffer
	cfg     redis.Config
}

// buffer is a log that readers write at one time.
type buffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

func startKfake(t *testing.T) string {
	t.Helper()
	broker, err := fake.StartBroker("")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(broker.Close)
	return broker.Brokers()
}

// newRig makes the topics, of two partitions, and uses the client for what a test does itself.
func newRig(t *testing.T, brokers, url string, client goredis.UniversalClient, topics ...string) *rig {
	t.Helper()
	r := &rig{t: t, brokers: brokers, redis: client, log: &buffer{}, cfg: redis.Config{URL: url, Group: group, Batch: 100, Lease: time.Second}}
	var err error
	if r.client, err = kgo.NewClient(kgo.SeedBrokers(brokers)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.client.Close)
	t.Cleanup(func() { _ = client.Close() })
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(r.log.String())
		}
	})
	answers, err := kadm.NewClient(r.client).CreateTopics(t.Context(), 2, 1, map[string]*string{"max.message.bytes": new("200000")}, append(topics, topic)...)
	if err == nil {
		err = answers.Error()
	}
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func connect(t *testing.T, address string) goredis.UniversalClient {
	t.Helper()
	return goredis.NewClient(&goredis.Options{Addr: address, Protocol: 2, MaxRetries: -1, ReadTimeout: time.Minute})
}

// start runs a reader until stop is called, which returns its error.
func (r *rig) start(cfg redis.Config, feeds []pipeline.Feed) (stop func() error) {
	r.t.Helper()
	p, err := newProcess(r.t.Context(), r.log)
	if err != nil {
		r.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(r.t.Context())
	done := make(chan error, 1)
	cluster := kafkaAt(r.t, r.brokers)
	go func() {
		err := redis.Run(ctx, p, cfg, cluster, "freshet", feeds)
		p.Log.Info("the reader has ended", "error", err)
		done <- err
	}()
	stop = sync.OnceValue(func() error {
		cancel()
		return <-done
	})
	r.t.Cleanup(func() { _ = stop() })
	return stop
}

// begin runs a reader of the one stream.
func (r *rig) begin() (stop func() error) { return r.start(r.cfg, feeds(stream, topic)) }

// add appends entries whose field seq counts from one number to another, and tries those again that Redis does not take.
func (r *rig) add(from, to int) {
	r.t.Helper()
	deadline := time.Now().Add(patience)
	for from <= to {
		next := min(from+499, to)
		_, err := r.redis.Pipelined(r.t.Context(), func(p goredis.Pipeliner) error {
			for n := from; n <= next; n++ {
				p.XAdd(r.t.Context(), &goredis.XAddArgs{Stream: stream, Values: []string{"product_id", strconv.Itoa(n % 50), "seq", strconv.Itoa(n)}})
			}
			return nil
		})
		switch {
		case err == nil:
			from = next + 1
		case time.Now().After(deadline):
			r.t.Fatal(err)
		default:
			time.Sleep(20 * time.Millisecond)
		}
	}
}

// read returns what a topic has for readers of committed records.
func (r *rig) read(topic string) []*kgo.Record {
	r.t.Helper()
	ends, err := kadm.NewClient(r.client).ListCommittedOffsets(r.t.Context(), topic)
	if err != nil {
		r.t.Fatal(err)
	}
	end, _ := ends.Lookup(topic, 0)
	reader, err := kgo.NewClient(kgo.SeedBrokers(r.brokers), kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.KeepControlRecords(),
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: {0: kgo.NewOffset().AtStart()}}))
	if err != nil {
		r.t.Fatal(err)
	}
	defer reader.Close()
	ctx, cancel := context.WithTimeout(r.t.Context(), patience)
	defer cancel()
	var records []*kgo.Record
	for at := int64(0); at < end.Offset; {
		fetches := reader.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			r.t.Fatal(err)
		}
		fetches.EachRecord(func(record *kgo.Record) {
			if at = record.Offset + 1; !record.Attrs.IsControl() {
				records = append(records, record)
			}
		})
	}
	return records
}

func seqOf(record *kgo.Record) int { return int(gjson.GetBytes(record.Value, "seq").Int()) }

// await returns when the topic has the entry.
func (r *rig) await(topic string, seq int) {
	r.t.Helper()
	r.until(fmt.Sprintf("entry %d is in %s", seq, topic), func() bool {
		records := r.read(topic)
		return len(records) > 0 && seqOf(records[len(records)-1]) == seq
	})
}

func (r *rig) until(what string, holds func() bool) {
	r.t.Helper()
	until(r.t, what, holds)
}

func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !holds(); time.Sleep(200 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("it does not come to pass that %s", what)
		}
	}
}

// inOrder wants all entries from the first to the last, in their order. A part may come again, from some entry on, and then
// all that follows it does too: so the last state of each item is its newest.
func (r *rig) inOrder(records []*kgo.Record, first, last int) {
	r.t.Helper()
	highest, before := first-1, first-1
	for i, record := range records {
		n := seqOf(record)
		if n < first || n > highest+1 || n > before+1 {
			r.t.Fatalf("record %d is entry %d, behind %d", i, n, before)
		}
		highest, before = max(highest, n), n
	}
	if before != last {
		r.t.Fatalf("the last record is entry %d of %d", before, last)
	}
}

// settled waits until the group owes nothing.
func (r *rig) settled() {
	r.t.Helper()
	r.until("nothing is pending", func() bool {
		pending, err := r.redis.XPending(r.t.Context(), stream, group).Result()
		return err == nil && pending.Count == 0
	})
}

func header(record *kgo.Record, name string) string {
	for _, h := range record.Headers {
		if h.Key == name {
			return string(h.Value)
		}
	}
	return ""
}
