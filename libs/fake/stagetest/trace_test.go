package stagetest

import (
	"context"
	"encoding/hex"
	"strings"
	"sync"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/freshet-io/freshet/libs/fault"
	"github.com/freshet-io/freshet/libs/record"
	"github.com/freshet-io/freshet/libs/stage"
	"github.com/freshet-io/freshet/libs/telemetry"
)

const (
	traceID   = "0af7651916cd43dd8448eb211c80319c"
	producers = "00-" + traceID + "-b7ad6b7169203331-01"
)

// tells has the world's process export to a collector.
func (w *world) tells(cfg telemetry.Config) *collector {
	w.Helper()
	c := startCollector(w.T)
	cfg.Exporter = "otlp"
	tel, err := telemetry.New(w.Context(), cfg, "test", "test")
	if err != nil {
		w.Fatal(err)
	}
	w.closeTelemetry = sync.OnceValue(func() error { return tel.Close(context.WithoutCancel(w.Context())) })
	w.Cleanup(func() { _ = w.closeTelemetry() })
	w.process.Telemetry = tel
	return c
}

func (w *world) sendTraced(value string) {
	w.Helper()
	r := &kgo.Record{Topic: w.source, Key: []byte("a"), Value: []byte(value), Headers: []kgo.RecordHeader{{Key: "traceparent", Value: []byte(producers)}}}
	if err := w.client.ProduceSync(w.Context(), r).FirstErr(); err != nil {
		w.Fatal(err)
	}
}

// ingesting is the first stage of the pipeline.
func (w *world) ingesting(h handler) *stage.Stage[string, string] {
	s := w.stage(h)
	s.Received, s.Left = record.IngestReceived, record.IngestProduced
	return s
}

func TestStage_carriesTheTraceOfAnItemOnward(t *testing.T) {
	eachBroker(t, func(t *testing.T, w *world) {
		spans := w.tells(telemetry.Config{SampleRatio: 1})
		w.sendTraced("1")
		stop := w.run(w.ingesting(copies))
		out := w.read(w.topics.DocumentsLive(), 1)[0]
		if got := headerOf(out, "traceparent"); got != producers {
			t.Errorf("traceparent %q, want %q", got, producers)
		}
		stamps, err := record.DecodeStamps([]byte(headerOf(out, record.HeaderStamps)))
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := stamps.At(record.IngestProduced); !ok {
			t.Error("the hop has no time stamp")
		}
		if err := stop(); err != nil {
			t.Fatal(err)
		}
		if err := w.closeTelemetry(); err != nil {
			t.Fatal(err)
		}
		if told := spans.Spans(); len(told) > 0 {
			t.Errorf("a half of its trace is told: %v", told)
		}
	})
}

func TestStage_tellsTheWholeTraceOfADeadLetter(t *testing.T) {
	eachBroker(t, func(t *testing.T, w *world) {
		spans := w.tells(telemetry.Config{SlowPerSecond: 1})
		w.sendTraced("malformed")
		w.run(w.ingesting(copies))
		w.await("the trace has come", func(context.Context) (bool, error) { return len(spans.Spans()[traceID]) > 0, nil })
		trace := spans.Spans()[traceID]
		if got, want := story(trace), "ingest: freshet item\ningest: source lag\ningest: process"; got != want {
			t.Errorf("got\n%s\nwant\n%s", got, want)
		}
		root := trace[0]
		if hex.EncodeToString(root.GetParentSpanId()) != "b7ad6b7169203331" || attribute(root.GetAttributes(), "error.type") != string(fault.Malformed) {
			t.Errorf("the root is %v", root.Span)
		}
		if !strings.Contains(root.GetStatus().GetMessage(), "not what it should be") {
			t.Errorf("its status is %v", root.GetStatus())
		}
	})
}

// The record is read once more where its offset is not committed, by whoever comes next: until then nobody may be told.
func TestStage_tellsNothingBeforeTheOffsetIsCommitted(t *testing.T) {
	eachBroker(t, func(t *testing.T, w *world) {
		spans := w.tells(telemetry.Config{SampleRatio: 1})
		w.sendTraced("skipped")
		w.sendTraced("fatal")
		first := w.ingesting(func(_ context.Context, batch []string) ([]stage.Outcome[string], error) {
			out := make([]stage.Outcome[string], len(batch))
			for i, in := range batch {
				if out[i] = stage.Skip[string]("skipped"); in == "a=fatal" {
					return nil, fault.Halt("the process ends")
				}
			}
			return out, nil
		})
		first.Settings.Items = 2 // both are in a batch, and none of it is settled
		if err := first.Run(t.Context(), w.process); fault.ClassOf(err) != fault.Fatal {
			t.Fatal(err)
		}
		if told := spans.Spans(); len(told) > 0 {
			t.Errorf("told before it was committed: %v", told)
		}
		skips := func(_ context.Context, batch []string) ([]stage.Outcome[string], error) {
			out := make([]stage.Outcome[string], len(batch))
			for i := range out {
				out[i] = stage.Skip[string]("skipped")
			}
			return out, nil
		}
		w.run(w.ingesting(skips))
		w.await("both traces have come", func(context.Context) (bool, error) { return len(spans.Spans()[traceID]) >= 6, nil })
		ids := map[string]bool{}
		for _, span := range spans.Spans()[traceID] {
			ids[string(span.GetSpanId())] = true
		}
		if len(ids) != 6 || len(spans.Spans()[traceID]) != 6 {
			t.Errorf("the two items of one trace id are not two roots with two children each: %v", spans.Spans())
		}
	})
}
