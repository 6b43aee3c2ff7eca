package stagetest

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/freshet-io/freshet/libs/kafka"
	"github.com/freshet-io/freshet/libs/record"
	"github.com/freshet-io/freshet/libs/service"
	"github.com/freshet-io/freshet/libs/stage"
	"github.com/freshet-io/freshet/libs/telemetry"
)

const (
	bound = 20 * time.Second
	// clusterBound is that of brokers that fail: a client gives a request up after 20 s that a cut network has swallowed.
	clusterBound = 90 * time.Second
)

// world is the pipeline's topics and a source topic on a broker.
type world struct {
	*testing.T
	cluster  kafka.Config
	topics   kafka.Topics
	source   string // the topic
	group    string
	identity kafka.Identity
	client   *kgo.Client
	process  *service.Process
	bound    time.Duration // of each wait

	closeTelemetry func() error
}

// newWorld makes a world on a stand-in broker of its own.
func newWorld(t *testing.T) *world {
	t.Helper()
	return newWorldOn(t, standIn(t))
}

func newWorldOn(t *testing.T, b broker) *world {
	t.Helper()
	w := &world{
		T: t, cluster: kafka.Config{Brokers: b.seeds, ClientID: "test", MetadataMinAge: 50 * time.Millisecond},
		topics: kafka.Topics{Prefix: "t" + b.mark}, source: "source" + b.mark, group: "group" + b.mark, bound: bound,
	}
	if b.slow {
		w.bound = clusterBound
	}
	log := slog.New(slog.DiscardHandler)
	tel, err := telemetry.New(t.Context(), telemetry.Config{Exporter: "none"}, "test", "test")
	if err != nil {
		t.Fatal(err)
	}
	w.process = &service.Process{Name: "test", Log: log, Telemetry: tel, Health: service.NewHealth()}
	if w.client, err = kafka.Producer(t.Context(), w.cluster, w.topics, true, log); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.client.Close)
	if b.mark != "" {
		t.Cleanup(w.clear)
	}
	if _, err := w.topics.Apply(t.Context(), w.client, b.layout); err != nil {
		t.Fatal(err)
	}
	if w.identity, err = w.topics.Check(t.Context(), w.client); err != nil {
		t.Fatal(err)
	}
	adm := kadm.NewClient(w.client)
	if _, err := adm.CreateTopic(t.Context(), sourcePartitions, b.layout.Replication, nil, w.source); err != nil {
		t.Fatal(err)
	}
	w.await("the source topic has its leaders", func(ctx context.Context) (bool, error) {
		ends, err := adm.ListEndOffsets(ctx, w.source)
		return err == nil && ends.Error() == nil, nil
	})
	return w
}

const sourcePartitions = 2

// clear removes what the world has on a broker that outlives it.
func (w *world) clear() {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(w.Context()), bound)
	defer cancel()
	adm := kadm.NewClient(w.client)
	topics, err := adm.ListTopics(ctx)
	if err != nil {
		w.Errorf("listing the topics of this test: %v", err)
		return
	}
	names := slices.DeleteFunc(topics.Names(), func(name string) bool {
		return name != w.source && !strings.HasPrefix(name, w.topics.Prefix+".")
	})
	if _, err := adm.DeleteTopics(ctx, names...); err != nil {
		w.Errorf("deleting the topics of this test: %v", err)
	}
	if deleted, err := adm.DeleteGroups(ctx, w.group); err != nil || deleted.Error() != nil && !errors.Is(deleted.Error(), kerr.GroupIDNotFound) {
		w.Errorf("deleting the group of this test: %v, %v", err, deleted.Error())
	}
}

// await asks until the answer is yes, and fails the test on an error or after the bound.
func (w *world) await(what string, ask func(context.Context) (bool, error)) {
	w.Helper()
	ctx, cancel := context.WithTimeout(w.Context(), w.bound)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		yes, err := ask(ctx)
		switch {
		case err != nil:
			w.Fatalf("waiting until %s: %v", what, err)
		case yes:
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			w.Fatalf("waiting until %s: not within %s", what, w.bound)
		}
	}
}

// send produces key=value lines to the source topic, a key always to one partition.
func (w *world) send(lines ...string) {
	w.Helper()
	for _, line := range lines {
		key, value, _ := strings.Cut(line, "=")
		r := &kgo.Record{Topic: w.source, Partition: record.Partition([]byte(key), sourcePartitions), Key: []byte(key), Value: []byte(value)}
		if err := w.client.ProduceSync(w.Context(), r).FirstErr(); err != nil {
			w.Fatal(err)
		}
	}
}

type handler func(ctx context.Context, batch []string) ([]stage.Outcome[string], error)

func (h handler) Handle(ctx context.Context, batch []string) ([]stage.Outcome[string], error) {
	return h(ctx, batch)
}

// copies emits every input as it is.
func copies(_ context.Context, batch []string) ([]stage.Outcome[string], error) {
	out := make([]stage.Outcome[string], len(batch))
	for i, in := range batch {
		out[i] = stage.Emit("copied", in)
	}
	return out, nil
}

func (w *world) stage(h handler) *stage.Stage[string, string] {
	return &stage.Stage[string, string]{
		Name: "test",
		From: stage.Source{Cluster: w.cluster, Topics: []string{w.source}, Group: w.group},
		To:   stage.Sink{Cluster: w.cluster, Topics: w.topics, Identity: w.identity, Topic: w.topics.DocumentsLive(), Versioned: true},
		Settings: stage.Settings{
			Items: 10, Drain: 5 * time.Second, SessionTimeout: 10 * time.Second, RebalanceTimeout: 10 * time.Second,
			QueueRecords: 100, QueueBytes: 1 << 20,
		},
		Decode: func(r stage.Record) (string, error) {
			if string(r.Value) == "malformed" {
				return "", errors.New("not what it should be")
			}
			return string(r.Key) + "=" + string(r.Value), nil
		},
		Encode: func(s string) (stage.Output, error) {
			key, _, _ := strings.Cut(s, "=")
			return stage.Output{Key: []byte(key), Value: []byte(s)}, nil
		},
		Describe: func(string) stage.Facts { return stage.Facts{} },
		Handler:  h,
		Flights:  3,
	}
}

// run runs a stage in the background; stop ends it and returns its error.
func (w *world) run(s *stage.Stage[string, string]) (stop func() error) {
	ctx, cancel := context.WithCancel(w.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx, w.process) }()
	once := sync.OnceValue(func() error { cancel(); return <-done })
	w.Cleanup(func() { _ = once() })
	return once
}

// read returns the first n records of a topic.
func (w *world) read(topic string, n int) []*kgo.Record {
	w.Helper()
	reader, err := kgo.NewClient(kgo.SeedBrokers(w.cluster.Brokers...), kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		w.Fatal(err)
	}
	defer reader.Close()
	ctx, cancel := context.WithTimeout(w.Context(), w.bound)
	defer cancel()
	var records []*kgo.Record
	for len(records) < n {
		fetches := reader.PollFetches(ctx)
		if err := fetches.Err0(); err != nil {
			w.Fatalf("%d of %d records in %s: %v", len(records), n, topic, err)
		}
		records = append(records, fetches.Records()...)
	}
	return records
}

func (w *world) committed() int64 {
	w.Helper()
	offsets, err := kadm.NewClient(w.client).FetchOffsets(w.Context(), w.group)
	if err != nil {
		w.Fatal(err)
	}
	var sum int64
	offsets.Each(func(o kadm.OffsetResponse) { sum += o.At })
	return sum
}

// count returns how many records a topic has.
func (w *world) count(topic string) int64 {
	w.Helper()
	ends, err := kadm.NewClient(w.client).ListEndOffsets(w.Context(), topic)
	if err != nil {
		w.Fatal(err)
	}
	var sum int64
	ends.Each(func(o kadm.ListedOffset) { sum += o.Offset })
	return sum
}

func values(records []*kgo.Record) []string {
	var v []string
	for _, r := range records {
		v = append(v, string(r.Value))
	}
	slices.Sort(v)
	return v
}

func headerOf(r *kgo.Record, key string) string {
	for _, h := range r.Headers {
		if h.Key == key {
			return string(h.Value)
		}
	}
	return ""
}
