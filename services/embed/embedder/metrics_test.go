package embedder

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/freshet-io/freshet/libs/telemetry"
)

func TestMetrics_tellWhatARequestCostsAndWhyItHadNoMoreTexts(t *testing.T) {
	tel, err := telemetry.New(t.Context(), telemetry.Config{}, "embed", "test")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tel.Close(t.Context()) }()
	e := newEmbedder(t, &charging{}, &fakeIndex{}, func(c *Config) { c.BatchItems = 2 })
	if err := e.publish(tel.Metrics); err != nil {
		t.Fatal(err)
	}
	handle(t, e, upsert("1", "shoe", 6), upsert("2", "boot", 7), upsert("3", "sock", 8)) // a request of two texts, and one of one
	w := httptest.NewRecorder()
	tel.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	for _, want := range []string{
		`freshet_provider_batch_wait_seconds_count{closed="full"} 1`,
		`freshet_provider_batch_wait_seconds_count{closed="due"} 1`,
		`gen_ai_client_token_usage_count{gen_ai_operation_name="embeddings",gen_ai_request_model="` + space.Model + `",gen_ai_token_type="input"} 2`,
		`gen_ai_client_token_usage_sum{gen_ai_operation_name="embeddings",gen_ai_request_model="` + space.Model + `",gen_ai_token_type="input"} 30`,
	} {
		if !strings.Contains(w.Body.String(), want+"\n") {
			t.Errorf("no %s", want)
		}
	}
	if t.Failed() {
		t.Log(w.Body.String())
	}
}
