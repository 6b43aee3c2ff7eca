package telemetry_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/freshet-io/freshet/libs/telemetry"
)

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
	if err := m.Counter(telemetry.ProviderTokens, func() float64 { return 7 }); err != nil {
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
