package telemetry_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/freshet-io/freshet/libs/telemetry"
)

func newTelemetry(t *testing.T) *telemetry.Telemetry {
	t.Helper()
	tel, err := telemetry.New(t.Context(), telemetry.Config{Exporter: "none"}, "test", "test")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = tel.Close(t.Context()) })
	return tel
}

// page returns the lines of the metrics page, in the format that has exemplars.
func page(tel *telemetry.Telemetry) []string {
	request := httptest.NewRequest(http.MethodGet, "/metrics", nil)
	request.Header.Set("Accept", "application/openmetrics-text")
	got := httptest.NewRecorder()
	tel.Handler().ServeHTTP(got, request)
	return strings.Split(got.Body.String(), "\n")
}

func has(tel *telemetry.Telemetry, prefix string) bool {
	for _, line := range page(tel) {
		if strings.HasPrefix(line, prefix) {
			return true
		}
	}
	return false
}

func TestFresh_aClockThatIsAheadIsToldAndNotTakenForAFreshItem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tel := newTelemetry(t)
		ahead := func(d time.Duration) {
			tel.Metrics.Fresh(t.Context(), telemetry.Freshness{Collection: "Product", Lane: telemetry.Live, Outcome: "written", Age: -d})
		}
		shows := func(when, line string) {
			t.Helper()
			if !has(tel, line) {
				t.Errorf("%s there is no line %s", when, line)
			}
		}
		ahead(-2 * time.Second)
		shows("after an item of 2 s", `freshet_clock_skew_seconds{collection="Product"} 0.0`)
		ahead(90 * time.Second)
		ahead(200 * time.Millisecond)
		const counted = `freshet_freshness_duration_seconds_count{collection="Product",lane="live",outcome="written"} 2`
		shows("after one of 90 s in the future", `freshet_clock_skew_seconds{collection="Product"} 90.0`)
		shows("after one of 90 s in the future", `freshet_freshness_future_total{collection="Product"} 2.0`)
		shows("without the one of which nothing is known", counted)

		time.Sleep(6 * time.Minute)
		ahead(-time.Second)
		shows("six minutes later", `freshet_clock_skew_seconds{collection="Product"} 90.0`)
		time.Sleep(11 * time.Minute)
		shows("when the clock has been right for long", `freshet_clock_skew_seconds{collection="Product"} 0.0`)
	})
}

func TestFresh_onlyATraceThatExistsIsAnExemplar(t *testing.T) {
	tel := newTelemetry(t)
	item := func(id byte, flags trace.TraceFlags) {
		of := trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{id}, SpanID: trace.SpanID{id}, TraceFlags: flags})
		tel.Metrics.Fresh(trace.ContextWithSpanContext(t.Context(), of), telemetry.Freshness{
			Collection: "Product", Lane: telemetry.Live, Outcome: "written", Age: 7 * time.Second,
		})
	}
	item(0xaa, 0)
	for _, line := range page(tel) {
		if strings.Contains(line, "trace_id") {
			t.Errorf("a trace that was not sampled is an exemplar: %s", line)
		}
	}
	item(0xbb, trace.FlagsSampled)
	found := false
	for _, line := range page(tel) {
		found = found || strings.Contains(line, `le="10.0"`) && strings.Contains(line, `trace_id="bb0000`)
	}
	if !found {
		t.Error("the trace of the item of 7 s is no exemplar of the bucket up to 10 s")
	}
}

// What no caller does today, a later one may do by mistake.
func TestMetrics_aLabelThatHoldsAnIDFillsNoMemory(t *testing.T) {
	tel := newTelemetry(t)
	for id := range 20_000 {
		tel.Metrics.Items(t.Context(), "write", fmt.Sprint("outcome of item ", id), 1)
	}
	series, overflow := 0, false
	for _, line := range page(tel) {
		if strings.HasPrefix(line, "freshet_items_total{") {
			series++
			overflow = overflow || strings.Contains(line, "otel_metric_overflow")
		}
	}
	if series > 2000 || !overflow {
		t.Errorf("20,000 values of a label are %d series; one of them for what was too much: %v", series, overflow)
	}
}
