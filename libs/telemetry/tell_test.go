package telemetry_test

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/freshet-io/freshet/libs/fault"
	"github.com/freshet-io/freshet/libs/record"
	"github.com/freshet-io/freshet/libs/telemetry"
)

// sink is an OTLP collector that keeps the spans it got, and their services.
type sink struct {
	collector.UnimplementedTraceServiceServer

	mu       sync.Mutex
	spans    []*tracepb.Span
	services []string
	refuses  bool
	hold     chan struct{} // not nil: nothing is answered until it is closed
}

func (s *sink) Export(_ context.Context, r *collector.ExportTraceServiceRequest) (*collector.ExportTraceServiceResponse, error) {
	if s.hold != nil {
		<-s.hold
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.refuses {
		return nil, status.Error(codes.InvalidArgument, "the test says so")
	}
	for _, resource := range r.GetResourceSpans() {
		for _, scope := range resource.GetScopeSpans() {
			for _, span := range scope.GetSpans() {
				s.spans = append(s.spans, span)
				s.services = append(s.services, resource.GetResource().GetAttributes()[0].GetValue().GetStringValue())
			}
		}
	}
	return &collector.ExportTraceServiceResponse{}, nil
}

// find returns the one span of a service and name.
func (s *sink) find(t *testing.T, service, name string) *tracepb.Span {
	t.Helper()
	var found []*tracepb.Span
	for i, span := range s.spans {
		if s.services[i] == service && span.GetName() == name {
			found = append(found, span)
		}
	}
	if len(found) != 1 {
		t.Fatalf("%d spans %s of %s among %v", len(found), name, service, s.spans)
	}
	return found[0]
}

// telling is a telemetry and the collector that has all it told once it is closed.
type telling struct {
	*telemetry.Telemetry

	sink  *sink
	close func()
}

func tells(t *testing.T, cfg telemetry.Config) telling {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server, got := grpc.NewServer(), &sink{}
	collector.RegisterTraceServiceServer(server, got)
	go func() { _ = server.Serve(l) }()
	t.Cleanup(server.Stop)
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://"+l.Addr().String())
	cfg.Exporter = "otlp"
	tel, err := telemetry.New(t.Context(), cfg, "test", "test")
	if err != nil {
		t.Fatal(err)
	}
	once := sync.OnceFunc(func() { _ = tel.Close(context.WithoutCancel(t.Context())) })
	t.Cleanup(once)
	return telling{tel, got, once}
}

var (
	committed = time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	boots     = record.Item{Collection: "Product", ID: []string{"4711"}}
)

// way is the way of an item that took 63 s, 60 of them at the provider, and reached the index.
func way(tel *telemetry.Telemetry, traceparent string) telemetry.Way {
	item := tel.Begin([]byte(traceparent), nil, nil, true)
	w := telemetry.Way{
		Identity: telemetry.Identity{Item: &item, Key: string(boots.Key()), Version: 7}, Stamps: record.NewStamps(committed),
		Ended: record.Written, Arrived: true, Outcome: "written", Topic: "freshet.vectors.live", Partition: 3, Offset: 11,
	}
	w.At = committed
	for hop, ms := range []int{900, 4, 1500, 480, 60000, 2, 12} {
		w.At = w.At.Add(time.Duration(ms) * time.Millisecond)
		w.Stamps.Pass(record.Hop(hop), w.At)
	}
	w.At = w.At.Add(35 * time.Millisecond)
	return w
}

func TestTell_aSlowItemsWholeWay(t *testing.T) {
	tel := tells(t, telemetry.Config{SlowAfter: 5 * time.Second, SlowPerSecond: 1})
	w := way(tel.Telemetry, producers)
	tel.Export(tel.Tell(&w))
	tel.close()

	root := tel.sink.find(t, "freshet-ingest", "freshet item")
	if got := hex.EncodeToString(root.GetTraceId()); got != traceID {
		t.Errorf("trace %s is not the producer's", got)
	}
	if got := hex.EncodeToString(root.GetParentSpanId()); got != "b7ad6b7169203331" {
		t.Errorf("the parent is %s, not the producer's span", got)
	}
	at := committed
	for _, child := range []struct {
		service, name string
		took          time.Duration
	}{
		{"freshet-ingest", "source lag", 900 * time.Millisecond},
		{"freshet-ingest", "process", 4 * time.Millisecond},
		{"freshet-embed", "queue", 1500 * time.Millisecond},
		{"freshet-embed", "batch wait", 480 * time.Millisecond},
		{"freshet-embed", "embeddings", time.Minute},
		{"freshet-embed", "process", 2 * time.Millisecond},
		{"freshet-write", "queue", 12 * time.Millisecond},
		{"freshet-write", "write", 35 * time.Millisecond},
	} {
		span := tel.sink.find(t, child.service, child.name)
		if begin := time.Unix(0, int64(span.GetStartTimeUnixNano())); !begin.Equal(at) {
			t.Errorf("%s %s begins at %s, want %s", child.service, child.name, begin, at)
		}
		at = at.Add(child.took)
		if end := time.Unix(0, int64(span.GetEndTimeUnixNano())); !end.Equal(at) {
			t.Errorf("%s %s ends at %s, want %s", child.service, child.name, end, at)
		}
		if string(span.GetParentSpanId()) != string(root.GetSpanId()) {
			t.Errorf("%s %s is no child of the root", child.service, child.name)
		}
	}
	if len(tel.sink.spans) != 9 || !time.Unix(0, int64(root.GetEndTimeUnixNano())).Equal(at) {
		t.Errorf("%d spans until %d, want 9 until %s", len(tel.sink.spans), root.GetEndTimeUnixNano(), at)
	}
	for _, want := range []string{`"freshet.told"`, `"slow"`, `"` + boots.UUID().String() + `"`, `"written"`} {
		if text := fmt.Sprint(root.GetAttributes()); !strings.Contains(text, want) {
			t.Errorf("the root does not tell %s: %s", want, text)
		}
	}
}

func TestTell_aRedeliveryHasTheSameSpans(t *testing.T) {
	tel := tells(t, telemetry.Config{SlowAfter: time.Second, SlowPerSecond: 10})
	for range 2 {
		w := way(tel.Telemetry, producers)
		tel.Export(tel.Tell(&w))
	}
	another := way(tel.Telemetry, producers) // of the same request of a producer
	another.Version++
	tel.Export(tel.Tell(&another))
	tel.close()
	ids := map[string]int{}
	for _, span := range tel.sink.spans {
		ids[string(span.GetSpanId())]++
	}
	once := 0
	for _, n := range ids {
		if n == 1 {
			once++
		}
	}
	if len(tel.sink.spans) != 27 || len(ids) != 18 || once != 9 {
		t.Errorf("%d spans with %d ids, %d of them once", len(tel.sink.spans), len(ids), once)
	}
}

func TestTell_whatIsTold(t *testing.T) {
	cfg := telemetry.Config{SlowAfter: 5 * time.Second, SlowPerSecond: 1}
	always := cfg
	always.SampleRatio = 1
	never := cfg
	never.SlowAfter = 0
	for name, tt := range map[string]struct {
		cfg    telemetry.Config
		change func(*telemetry.Way)
		told   string
	}{
		"a slow item":                                {cfg, func(*telemetry.Way) {}, "slow"},
		"a quick item":                               {cfg, func(w *telemetry.Way) { w.At = committed.Add(5 * time.Second) }, ""},
		"a quick item that is sampled":               {always, func(w *telemetry.Way) { w.At = committed.Add(5 * time.Second) }, "sampled"},
		"a slow item that is sampled":                {always, func(*telemetry.Way) {}, "sampled"},
		"a slow item that reached nothing":           {cfg, func(w *telemetry.Way) { w.Arrived = false }, ""},
		"a sampled item that reached nothing":        {always, func(w *telemetry.Way) { w.Arrived = false }, "sampled"},
		"a row of a backfill":                        {cfg, func(w *telemetry.Way) { w.Backfill = true }, ""},
		"a quick dead letter":                        {cfg, func(w *telemetry.Way) { w.At, w.Err = committed, fault.Reject(fault.Oversize, "too long") }, "dead-letter"},
		"a slow item where slowness is not told":     {never, func(*telemetry.Way) {}, ""},
		"a dead letter where slowness is not told":   {never, func(w *telemetry.Way) { w.Err = errors.New("no") }, "dead-letter"},
		"a dead letter of a backfill that is quick ": {cfg, func(w *telemetry.Way) { w.Backfill, w.Err = true, errors.New("no") }, "dead-letter"},
	} {
		t.Run(name, func(t *testing.T) {
			tel := tells(t, tt.cfg)
			w := way(tel.Telemetry, producers)
			w.Stamps = record.NewStamps(committed)
			tt.change(&w)
			told := tel.Tell(&w)
			tel.Export(told)
			tel.close()
			if (told != nil) != (tt.told != "") || (len(tel.sink.spans) > 0) != (tt.told != "") || tel.Tells(&w) != (tt.told != "") {
				t.Fatalf("told %v as %d spans, want %q", told, len(tel.sink.spans), tt.told)
			}
			if tt.told != "" && !strings.Contains(fmt.Sprint(tel.sink.find(t, "freshet-ingest", "freshet item").GetAttributes()), `"`+tt.told+`"`) {
				t.Errorf("not told as %s", tt.told)
			}
		})
	}
}

func TestTell_theRootHasAParentOnlyWhereThatMayExist(t *testing.T) {
	for traceparent, parent := range map[string]string{
		producers:                                "b7ad6b7169203331",
		strings.TrimSuffix(producers, "1") + "0": "", // the producer has not exported it
		"":                                       "",
	} {
		tel := tells(t, telemetry.Config{SlowAfter: time.Second, SlowPerSecond: 1})
		w := way(tel.Telemetry, traceparent)
		next := tel.Begin(w.Item.AppendParent(nil), nil, nil, false)
		w.Item = &next
		tel.Export(tel.Tell(&w))
		tel.close()
		if got := hex.EncodeToString(tel.sink.find(t, "freshet-ingest", "freshet item").GetParentSpanId()); got != parent {
			t.Errorf("traceparent %q: the root's parent is %q, want %q", traceparent, got, parent)
		}
	}
}

func TestTell_aStormIsBoundedAndCounted(t *testing.T) {
	tel := tells(t, telemetry.Config{SlowAfter: time.Second, SlowPerSecond: 0.05}) // three of them are saved up
	for range 10 {
		w := way(tel.Telemetry, "")
		tel.Export(tel.Tell(&w))
	}
	shows(t, tel.Telemetry, `freshet_traces_dropped_total{reason="budget"} 7`, `freshet_traces_exported_total 3`)
	tel.close()
	if len(tel.sink.spans) != 3*9 {
		t.Errorf("%d spans, want those of 3 traces", len(tel.sink.spans))
	}
}

func TestExport_whatTheCollectorRefusesIsCounted(t *testing.T) {
	tel := tells(t, telemetry.Config{SampleRatio: 1})
	tel.sink.refuses = true
	w := way(tel.Telemetry, "")
	tel.Export(tel.Tell(&w))
	shows(t, tel.Telemetry, `freshet_traces_dropped_total{reason="export"} 1`, `freshet_traces_exported_total 0`)
}

// shows waits until the metrics have the lines.
func shows(t *testing.T, tel *telemetry.Telemetry, lines ...string) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		page := httptest.NewRecorder()
		tel.Handler().ServeHTTP(page, httptest.NewRequest(http.MethodGet, "/metrics", nil))
		lacks := slices.DeleteFunc(slices.Clone(lines), func(line string) bool { return strings.Contains(page.Body.String(), "\n"+line+"\n") })
		if len(lacks) == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("no lines %v in\n%s", lacks, page.Body)
		}
	}
}

func TestBatch_isLinkedBothWaysWithItsItems(t *testing.T) {
	tel := tells(t, telemetry.Config{SlowAfter: 5 * time.Second, SlowPerSecond: 10})
	slow, quick := way(tel.Telemetry, producers), way(tel.Telemetry, "")
	request := tel.NewBatch("embeddings use-lite", record.EmbedAnswered, telemetry.Int(telemetry.AttrItems, 2))
	ctx := request.Into(t.Context())
	telemetry.Did(ctx, telemetry.Call{Name: "POST", Began: time.Now(), Err: errors.New("status 503")})
	telemetry.Note(ctx, telemetry.Int(telemetry.AttrTokens, 5))
	telemetry.Note(ctx, telemetry.Int(telemetry.AttrTokens, 7))
	request.End([]telemetry.Member{{Identity: quick.Identity, Began: time.Now()}, {Identity: slow.Identity, Began: committed}}, nil)

	written := tel.NewBatch("write batch", record.Written)
	next := tel.Begin(slow.Item.AppendParent(nil), nil, request.Header(), false)
	slow.Item, slow.Batch = &next, written
	tel.Export(tel.Tell(&slow))
	written.End([]telemetry.Member{{Identity: slow.Identity, Told: true}}, nil)
	tel.close()

	for _, pair := range [][2]*tracepb.Span{
		{tel.sink.find(t, "freshet-embed", "embeddings use-lite"), tel.sink.find(t, "freshet-embed", "embeddings")},
		{tel.sink.find(t, "freshet-write", "write batch"), tel.sink.find(t, "freshet-write", "write")},
	} {
		for i, span := range pair {
			other := pair[1-i]
			if len(span.GetLinks()) != 1 || string(span.GetLinks()[0].GetSpanId()) != string(other.GetSpanId()) || string(span.GetLinks()[0].GetTraceId()) != string(other.GetTraceId()) {
				t.Errorf("%s is linked to %v, want %s alone", span.GetName(), span.GetLinks(), other.GetName())
			}
		}
	}
	batch, try := tel.sink.find(t, "freshet-embed", "embeddings use-lite"), tel.sink.find(t, "freshet-embed", "POST")
	if string(try.GetParentSpanId()) != string(batch.GetSpanId()) || try.GetStatus().GetMessage() != "status 503" {
		t.Errorf("the try is %v", try)
	}
	if text := fmt.Sprint(batch.GetAttributes()); !strings.Contains(text, "int_value:12") {
		t.Errorf("12 tokens in two requests are told as %s", text)
	}
}

func TestBatch_ofQuickItemsIsNotTold(t *testing.T) {
	tel := tells(t, telemetry.Config{SlowAfter: time.Hour})
	w := way(tel.Telemetry, "")
	b := tel.NewBatch("embeddings", record.EmbedAnswered)
	b.End([]telemetry.Member{{Identity: w.Identity, Began: time.Now()}, {Identity: w.Identity}}, errors.New("refused"))
	tel.close()
	if len(tel.sink.spans) > 0 || b.Header() != nil {
		t.Errorf("it is told: %v", tel.sink.spans)
	}
}

func TestBatch_hasSoManyLinksAndCallsAndCountsTheOthers(t *testing.T) {
	tel := tells(t, telemetry.Config{})
	b := tel.NewBatch("embeddings", record.EmbedAnswered)
	var members []telemetry.Member
	for version := range int64(1500) {
		w := way(tel.Telemetry, producers)
		w.Version = version
		members = append(members, telemetry.Member{Identity: w.Identity, Told: true})
		telemetry.Did(b.Into(t.Context()), telemetry.Call{Name: "POST"})
	}
	b.End(members, nil)
	tel.close()
	span := tel.sink.find(t, "freshet-embed", "embeddings")
	if len(span.GetLinks()) != 1024 || span.GetDroppedLinksCount() != 476 || len(tel.sink.spans) != 65 {
		t.Errorf("%d links, %d dropped, %d spans", len(span.GetLinks()), span.GetDroppedLinksCount(), len(tel.sink.spans))
	}
	first := tel.NewBatch("embeddings", record.EmbedAnswered)
	first.End(members[:1], nil)
	if dropped := span.GetAttributes(); !slices.ContainsFunc(dropped, func(a telemetry.Attribute) bool { return a.GetValue().GetIntValue() == 1500-64 }) {
		t.Errorf("the calls that are left out are not counted: %v", dropped)
	}
}

func TestBatch_ofNoTelemetryDoesNothing(t *testing.T) {
	for _, tel := range []*telemetry.Telemetry{nil, quiet(t, 1)} {
		b := tel.NewBatch("embeddings", record.EmbedAnswered)
		telemetry.Did(b.Into(t.Context()), telemetry.Call{})
		telemetry.Note(b.Into(t.Context()), telemetry.Int("n", 1))
		telemetry.Waited(b.Into(t.Context()), "wait", time.Time{})
		b.End(nil, nil)
		stamps := record.NewStamps(committed)
		b.Stamp(&stamps, false)
		if b.Header() != nil || stamps != record.NewStamps(committed) {
			t.Error("it does something")
		}
	}
}

func TestTell_whatAnErrorQuotesNeverCostsOthersTheirTraces(t *testing.T) {
	tel := tells(t, telemetry.Config{SlowAfter: 5 * time.Second, SlowPerSecond: 10})
	quoting, other := way(tel.Telemetry, ""), way(tel.Telemetry, "")
	quoting.Arrived, quoting.Err = false, fault.Reject(fault.FormatMismatch, "no change: \xff%s", strings.Repeat("long ", 1<<18))
	tel.Export(tel.Tell(&quoting))
	tel.Export(tel.Tell(&other))
	tel.close()
	spans := map[string]*tracepb.Span{}
	for _, span := range tel.sink.spans {
		if span.GetName() == "freshet item" {
			spans[span.GetAttributes()[0].GetValue().GetStringValue()] = span
		}
	}
	if len(spans) != 2 {
		t.Fatalf("the collector has the roots of %d traces, want 2", len(spans))
	}
	if text := spans["dead-letter"].GetStatus().GetMessage(); !strings.Contains(text, "no change: \uFFFDlong") || len(text) > 1100 {
		t.Errorf("the error is told with %d bytes, as %.50s", len(text), text)
	}
}
