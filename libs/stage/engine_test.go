package stage

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/freshet-io/freshet/libs/fault"
	"github.com/freshet-io/freshet/libs/kafka"
	"github.com/freshet-io/freshet/libs/record"
	"github.com/freshet-io/freshet/libs/service"
	"github.com/freshet-io/freshet/libs/telemetry"
)

const (
	batchItems = 100
	// mostAllocations bounds what an item costs in the runtime.
	mostAllocations = 3
)

// acknowledger is a broker that takes everything at once.
type acknowledger struct{ offset int64 }

func (a *acknowledger) Produce(_ context.Context, r *kgo.Record, promise func(*kgo.Record, error)) {
	r.Offset, a.offset = a.offset, a.offset+1
	promise(r, nil)
}

// copying emits every input as it is.
type copying struct{}

func (copying) Handle(_ context.Context, batch []Record) ([]Outcome[Output], error) {
	out := make([]Outcome[Output], len(batch))
	for i, in := range batch {
		out[i] = Emit("copied", Output{Key: in.Key, Value: in.Value})
	}
	return out, nil
}

// bringer brings batches from the queue to their mark, on the caller's goroutine.
type bringer struct {
	worker *worker
	engine *engine[Record, Output]
	batch  []*kgo.Record
}

func newBringer(tb testing.TB, headers ...kgo.RecordHeader) *bringer {
	tb.Helper()
	tel, err := telemetry.New(tb.Context(), telemetry.Config{Exporter: "none"}, "test", "test")
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = tel.Close(tb.Context()) })
	client, err := kgo.NewClient(kgo.SeedBrokers("127.0.0.1:1")) // nobody is there, and nobody is asked
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(client.Close)
	log := slog.New(slog.DiscardHandler)
	settings := Settings{Items: batchItems, QueueRecords: 2000, QueueBytes: 1 << 30, SessionTimeout: time.Minute}
	e := &engine[Record, Output]{
		stage: &Stage[Record, Output]{
			Name: "test", Settings: settings, Handler: copying{},
			To:       Sink{Topics: kafka.Topics{Prefix: "t"}, Topic: "t.documents.live", Identity: kafka.Identity{Partitions: 6, DeadLetters: 1}, Versioned: true},
			Decode:   func(r Record) (Record, error) { return r, nil },
			Encode:   func(o Output) (Output, error) { return o, nil },
			Describe: func(Record) Facts { return Facts{} },
		},
		log: log, telemetry: tel, send: &sender{client: &acknowledger{}, log: log}, storms: newStorms(true),
	}
	m := newMembers(memberOptions{
		from: Source{Topics: []string{"source"}}, settings: settings, log: log, process: e.process,
		storms: e.storms, places: new(service.Process).Places(),
	})
	b := &bringer{worker: newWorker(tb.Context(), m, client, 0), engine: e}
	b.worker.own("source")
	for i := range batchItems {
		b.batch = append(b.batch, &kgo.Record{
			Topic: "source", Offset: int64(i), Timestamp: time.Now(), Headers: headers,
			Key: fmt.Append(nil, "key ", i), Value: bytes.Repeat([]byte{'v'}, 1024),
		})
	}
	return b
}

func (b *bringer) bring(tb testing.TB) {
	tb.Helper()
	b.worker.push("source", [16]byte{}, b.batch, 0)
	batch := b.worker.next()
	v, err := b.engine.process(b.worker.tenure(batch), batch)
	if err != nil {
		tb.Fatal(err)
	}
	later, err := v.settle()
	if err != nil {
		tb.Fatal(err)
	}
	b.worker.mark(batch, later)
}

// ownHeaders are those of a record that another stage has produced.
func ownHeaders() []kgo.RecordHeader {
	stamps := record.NewStamps(time.Now())
	stamps.Pass(record.IngestProduced, time.Now())
	return []kgo.RecordHeader{
		{Key: record.HeaderSchema, Value: []byte(record.Schema)},
		{Key: record.HeaderContentType, Value: []byte(record.ContentType)},
		{Key: record.HeaderStamps, Value: stamps.Encode()},
		{Key: telemetry.HeaderTraceparent, Value: []byte("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00")},
	}
}

func TestEngine_anItemOfABatchCostsFewAllocations(t *testing.T) {
	for name, headers := range map[string][]kgo.RecordHeader{"of a producer": nil, "of another stage": ownHeaders()} {
		t.Run(name, func(t *testing.T) {
			b := newBringer(t, headers...)
			perBatch := testing.AllocsPerRun(50, func() { b.bring(t) })
			t.Logf("%.2f allocations an item", perBatch/batchItems)
			if perBatch > mostAllocations*batchItems {
				t.Errorf("an item costs %.1f allocations, want %d at most", perBatch/batchItems, mostAllocations)
			}
		})
	}
}

// What the labels hold must not depend on how many items, tenants or faults there are.
func TestEngine_aMillionItemsOfAThousandTenantsAreFewSeries(t *testing.T) {
	b := newBringer(t)
	ids := 1_000_000
	if testing.Short() {
		ids = 10_000
	}
	b.engine.stage.Describe = func(r Record) Facts {
		n := r.Offset % 1000
		return Facts{ItemKey: r.Key, Version: r.Offset, SourceOrder: string(r.Key), Collection: fmt.Sprint("C", n%3), CommittedAt: time.Now().Add(-time.Duration(n) * time.Second)}
	}
	inputs := make([]input[Record, Output], 1000)
	for id := 0; id < ids; id += len(inputs) {
		for i := range inputs {
			key := fmt.Appendf(nil, "tenant %d item %d", i, id+i)
			in := input[Record, Output]{record: arrival{Record: &kgo.Record{Topic: "source", Offset: int64(id + i), Key: key}}, decoded: true}
			in.value = toRecord(in.record)
			if in.outcome = Done[Output]("written"); i%100 == 0 {
				in.outcome = Reject[Output](fault.Reject(fault.Reasons[i/100], "item %s cannot be used", key))
			}
			inputs[i] = in
		}
		b.engine.count(t.Context(), inputs, time.Millisecond)
	}
	page := httptest.NewRecorder()
	b.engine.telemetry.Handler().ServeHTTP(page, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	lines := strings.Split(page.Body.String(), "\n")
	lines = slices.DeleteFunc(lines, func(line string) bool { return !strings.HasPrefix(line, "freshet_") })
	t.Logf("%d items are %d series", ids, len(lines))
	const most = 200 // 3 collections in a histogram of 16 series, 10 reasons, and what a stage has
	if len(lines) > most || strings.Contains(page.Body.String(), "tenant") {
		t.Errorf("%d items are %d series, want %d at most, without ids:\n%s", ids, len(lines), most, strings.Join(lines, "\n"))
	}
}

// A producer may have copied the headers of what it read, and that may have been a record of ours.
func TestEngine_aProducersStampsAreNotTheItems(t *testing.T) {
	stamps := record.NewStamps(time.Now().Add(-time.Hour))
	stamps.Pass(record.Written, time.Now().Add(-time.Hour))
	b := newBringer(t, kgo.RecordHeader{Key: record.HeaderStamps, Value: stamps.Encode()})
	b.engine.stage.Received, b.engine.stage.Left = record.IngestReceived, record.IngestProduced
	now := time.Now()
	first := b.engine.stamps(&input[Record, Output]{record: arrival{Record: b.batch[0]}}, now)
	if now.Sub(first.Start()) > time.Minute {
		t.Errorf("its way began %s ago, with another's", now.Sub(first.Start()))
	}
	if at, ok := first.At(record.IngestProduced); ok {
		t.Errorf("it has left ingest at %s before it was handled", at)
	}
	b.engine.stage.Received = record.EmbedReceived
	if own := b.engine.stamps(&input[Record, Output]{record: arrival{Record: b.batch[0]}}, now); own.Start() != stamps.Start() {
		t.Errorf("a stage behind begins at %s, want the stage's before, %s", own.Start(), stamps.Start())
	}
}

func BenchmarkStage_batchOf100(b *testing.B) {
	for name, headers := range map[string][]kgo.RecordHeader{"of a producer": nil, "of another stage": ownHeaders()} {
		b.Run(name, func(b *testing.B) {
			bringer := newBringer(b, headers...)
			b.ReportAllocs()
			for b.Loop() {
				bringer.bring(b)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/batchItems, "ns/item")
		})
	}
}
