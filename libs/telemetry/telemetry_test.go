package telemetry_test

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/grpc"

	"github.com/freshet-io/freshet/libs/telemetry"
)

// sink is an OTLP collector that remembers the names of the spans it got.
type sink struct {
	collector.UnimplementedTraceServiceServer
	mu    sync.Mutex
	spans []string
}

func (s *sink) Export(_ context.Context, r *collector.ExportTraceServiceRequest) (*collector.ExportTraceServiceResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, resource := range r.GetResourceSpans() {
		for _, scope := range resource.GetScopeSpans() {
			for _, span := range scope.GetSpans() {
				s.spans = append(s.spans, span.GetName())
			}
		}
	}
	return &collector.ExportTraceServiceResponse{}, nil
}

func TestTraces_goToTheCollectorThatTheStandardVariablesName(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server, got := grpc.NewServer(), &sink{}
	collector.RegisterTraceServiceServer(server, got)
	go func() { _ = server.Serve(l) }()
	t.Cleanup(server.Stop)
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://"+l.Addr().String())

	tel, err := telemetry.New(t.Context(), telemetry.Config{Exporter: "otlp", SampleRatio: 1}, "test", "test")
	if err != nil {
		t.Fatal(err)
	}
	item := tel.Begin(t.Context(), "embed", nil, nil, time.Now())
	item.End("embedded", nil)
	if err := tel.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(got.spans) != 1 || got.spans[0] != "process embed" {
		t.Errorf("the collector has %v", got.spans)
	}
}

func TestBegin_aProducersSampledFlagFillsNoBackEnd(t *testing.T) {
	tel, err := telemetry.New(t.Context(), telemetry.Config{Exporter: "none", SampleRatio: 0}, "test", "test")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tel.Close(t.Context()) }()
	const sampled = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	item := tel.Begin(t.Context(), "ingest", []byte(sampled), nil, time.Now())
	defer item.End("upsert", nil)
	if parent := item.AppendParent(nil); !strings.HasPrefix(string(parent), "00-0af7651916cd43dd8448eb211c80319c-") {
		t.Errorf("the trace of the producer is not continued: %s", parent)
	}
}

func TestHeaders_carryOnWhatAnItemCameWith(t *testing.T) {
	tel, err := telemetry.New(t.Context(), telemetry.Config{Exporter: "none", SampleRatio: 0}, "test", "test")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tel.Close(t.Context()) }()
	const parent, state = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "vendor=1"
	item := tel.Begin(t.Context(), "ingest", []byte(parent), []byte(state), time.Now())
	defer item.End("upsert", nil)
	if gotParent := string(item.AppendParent(nil)); gotParent != parent || item.State() != state {
		t.Errorf("got %s and %q", gotParent, item.State())
	}
}

func TestBegin_aHeaderThatIsNoTraceparentBeginsATrace(t *testing.T) {
	tel, err := telemetry.New(t.Context(), telemetry.Config{Exporter: "none", SampleRatio: 0}, "test", "test")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tel.Close(t.Context()) }()
	const id = "0af7651916cd43dd8448eb211c80319c"
	for parent, continued := range map[string]bool{
		"00-" + id + "-b7ad6b7169203331-00":        true,
		"01-" + id + "-b7ad6b7169203331-00-more":   true, // of a later version
		"00-" + id + "-b7ad6b7169203331-00-more":   false,
		"ff-" + id + "-b7ad6b7169203331-00":        false,
		"00-" + id + "-0000000000000000-00":        false,
		"00-" + id + "-b7ad6b7169203331-0":         false,
		"00-" + id + "-b7ad6b716920333x-00":        false,
		"00_" + id + "_b7ad6b7169203331_00":        false,
		"00-" + id[1:] + "--b7ad6b7169203331-0-00": false,
		"": false,
	} {
		item := tel.Begin(t.Context(), "ingest", []byte(parent), nil, time.Now())
		got := string(item.AppendParent(nil))
		if strings.Contains(got, id) != continued || len(got) != 55 || strings.Contains(got, strings.Repeat("0", 16)) {
			t.Errorf("%q is carried on as %s", parent, got)
		}
		item.End("upsert", nil)
	}
}

func TestMetrics_showWhatAStageCounted(t *testing.T) {
	tel, err := telemetry.New(t.Context(), telemetry.Config{Exporter: "none"}, "test", "test")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tel.Close(t.Context()) }()
	m := tel.Metrics
	m.Items(t.Context(), "embed", "reused", 3)
	m.DeadLetter(t.Context(), "ingest", "malformed")
	m.Fresh(t.Context(), telemetry.Freshness{Collection: "Product", Lane: telemetry.Live, Outcome: "written", Age: time.Second})
	m.Unfinished("write", telemetry.Live, func() time.Duration { return 90 * time.Second })
	if err := m.Counter(telemetry.ProviderTokens, func() int64 { return 7 }); err != nil {
		t.Fatal(err)
	}
	page := httptest.NewRecorder()
	tel.Handler().ServeHTTP(page, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	for _, line := range []string{
		`freshet_items_total{outcome="reused",stage="embed"} 3`,
		`freshet_deadletters_total{reason="malformed",stage="ingest"} 1`,
		`freshet_freshness_duration_seconds_count{collection="Product",lane="live",outcome="written"} 1`,
		`freshet_stage_oldest_unfinished_age_seconds{lane="live",stage="write"} 90`,
		`freshet_provider_tokens_total 7`,
	} {
		if !strings.Contains(page.Body.String(), line) {
			t.Errorf("no line %s in\n%s", line, page.Body)
		}
	}
}
