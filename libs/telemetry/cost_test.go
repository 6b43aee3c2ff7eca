package telemetry

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	otlp "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/freshet-io/freshet/libs/record"
)

// scales is a collector that weighs what it is sent.
type scales struct{ bytes atomic.Int64 }

func (*scales) Start(context.Context) error { return nil }
func (*scales) Stop(context.Context) error  { return nil }

func (s *scales) UploadTraces(_ context.Context, spans []*tracepb.ResourceSpans) error {
	b, err := proto.Marshal(&otlp.ExportTraceServiceRequest{ResourceSpans: spans})
	s.bytes.Add(int64(len(b)))
	return err
}

// pipeline is three stages' telemetry, of which the last one tells.
func pipeline(tb testing.TB, ratio float64) (*Telemetry, *scales) {
	tb.Helper()
	t, err := New(tb.Context(), Config{Exporter: "none", SampleRatio: ratio, SlowAfter: 5 * time.Second}, "bench", "bench")
	if err != nil {
		tb.Fatal(err)
	}
	s := &scales{}
	if t.outbox, err = newOutbox(tb.Context(), s, "bench", 1, t.Metrics); err != nil {
		tb.Fatal(err)
	}
	return t, s
}

// headers are what a record has of its item's trace.
type headers struct{ parent, stamps []byte }

// hopTime is how long each part of an item's way takes.
const hopTime = 10 * time.Millisecond

// pass takes an item through a stage, as far as its trace is concerned, and returns what its output has.
func pass(t *Telemetry, h headers, key string, received, left record.Hop, room []byte) headers {
	now := time.Now().Add(time.Duration(received+1) * hopTime)
	item := t.Begin(h.parent, nil, nil, received == record.IngestReceived)
	stamps, err := record.DecodeStamps(h.stamps)
	if err != nil {
		stamps = record.NewStamps(now.Add(-hopTime))
	}
	stamps.Pass(received, now)
	now = now.Add(time.Duration(left-received) * hopTime)
	if left == record.Written {
		w := Way{Identity: Identity{Item: &item}, Stamps: stamps, Ended: left, At: now, Arrived: true, Outcome: "written", Topic: "freshet.vectors.live"}
		if t.Tells(&w) {
			w.Key, w.Version = key, 7
			t.Export(t.Tell(&w))
		}
		return headers{}
	}
	if left == record.Embedded {
		stamps.Pass(record.EmbedAsked, now.Add(-2*hopTime))
		stamps.Pass(record.EmbedAnswered, now.Add(-hopTime))
	}
	stamps.Pass(left, now)
	room = item.AppendParent(room[:0])
	parent := slices.Clip(room)
	return headers{parent, stamps.Append(room[len(room):])}
}

var ways = [][2]record.Hop{
	{record.IngestReceived, record.IngestProduced}, {record.EmbedReceived, record.Embedded}, {record.WriteReceived, record.Written},
}

func TestHop_ofAnItemThatIsNotToldAllocatesNextToNothing(t *testing.T) {
	tel, _ := pipeline(t, 0)
	defer func() { _ = tel.outbox.close(t.Context()) }()
	room := make([]byte, 0, 128)
	for _, producer := range [][]byte{nil, []byte("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")} {
		h := headers{parent: producer}
		for _, way := range ways {
			in := headers{append([]byte(nil), h.parent...), append([]byte(nil), h.stamps...)}
			allocations := testing.AllocsPerRun(100, func() { h = pass(tel, in, "key", way[0], way[1], room) })
			if allocations > 3 {
				t.Errorf("traceparent %q: hop %d costs %.0f allocations, want 3 at most", producer, way[0], allocations)
			}
		}
	}
}

func BenchmarkHop_ofAnItemThatIsNotTold(b *testing.B) {
	tel, _ := pipeline(b, 0)
	defer func() { _ = tel.outbox.close(b.Context()) }()
	room := make([]byte, 0, 128)
	first := pass(tel, headers{}, "key", ways[0][0], ways[0][1], make([]byte, 0, 128))
	for i, in := range []headers{{}, first, pass(tel, first, "key", ways[1][0], ways[1][1], make([]byte, 0, 128))} {
		b.Run([]string{"ingest", "embed", "write"}[i], func(b *testing.B) {
			b.ReportAllocs()
			before := processor(b)
			for b.Loop() {
				pass(tel, in, "key", ways[i][0], ways[i][1], room)
			}
			b.ReportMetric(float64(processor(b)-before)/float64(b.N), "cpu-ns/hop")
		})
	}
}

// BenchmarkItem takes items through all three stages, and says what of the processor and of the network their traces
// cost, export included.
func BenchmarkItem(b *testing.B) {
	for _, ratio := range []float64{0, 0.005, 1} {
		b.Run(fmt.Sprintf("%g%%", 100*ratio), func(b *testing.B) {
			tel, s := pipeline(b, ratio)
			room, n := [2][]byte{make([]byte, 0, 128), make([]byte, 0, 128)}, 0
			before := processor(b)
			b.ReportAllocs()
			for b.Loop() {
				key := strconv.Itoa(n)
				h := headers{}
				for i, way := range ways {
					h = pass(tel, h, key, way[0], way[1], room[i%2])
				}
				if n++; len(tel.outbox.traces) == outboxTraces {
					<-time.After(time.Millisecond) // else the queue drops, which costs less
				}
			}
			if err := tel.outbox.close(b.Context()); err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(float64(processor(b)-before)/float64(n), "cpu-ns/item")
			b.ReportMetric(float64(s.bytes.Load())/float64(n), "bytes/item")
		})
	}
}

func processor(b *testing.B) time.Duration {
	b.Helper()
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		b.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}
