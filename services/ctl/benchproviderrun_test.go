package main_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/freshet-io/freshet/services/embed/builtin"
)

func TestBenchProvider_measuresTheBuiltInModelWithNoKeyAndNoQuestion(t *testing.T) {
	out, err := freshet(t.Context(), nil, "bench-provider", "--builtin", "--requests", "4", "--texts", "2", "--concurrency", "1,3", "-o", "json").Output()
	if err != nil {
		t.Fatal(err)
	}
	var report struct {
		Model  string
		Levels []struct {
			Concurrency, Requests int
			Success               float64 `json:"success_rate"`
			P99                   float64 `json:"p99_ms"`
			Texts                 float64 `json:"texts_per_second"`
		}
		Tokens int64
		Cost   *float64
	}
	if err := json.Unmarshal(out, &report); err != nil || len(report.Levels) != 2 {
		t.Fatalf("%v: %s", err, out)
	}
	for i, l := range report.Levels {
		if l.Concurrency != []int{1, 3}[i] || l.Requests != 4 || l.Success != 1 || l.P99 <= 0 || l.Texts <= 0 {
			t.Errorf("%s", out)
		}
	}
	if report.Model != builtin.Name || report.Tokens == 0 || report.Cost == nil || *report.Cost != 0 {
		t.Errorf("%s", out)
	}
}

// A server with a price, and with the settings that freshet-embed has.
func TestBenchProvider_spendsOnlyWhatIsAllowed(t *testing.T) {
	model, err := builtin.New()
	if err != nil {
		t.Fatal(err)
	}
	var asked atomic.Int64
	h := builtin.WithKey(builtin.Handler(model), func() string { return "right" })
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		h.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	for _, tt := range []struct {
		name, key string
		args      []string
		asked     int64
		fails     bool
		says      string
	}{
		{"no terminal and no --yes", "right", []string{"--price", "0.13"}, 0, true, "--yes"},
		{"a wrong key", "wrong", []string{"--yes"}, 1, true, "401"},
		{"a plan that cannot be", "right", []string{"--yes", "--concurrency", "0"}, 0, true, "--concurrency"},
		{"--yes", "right", []string{"--yes", "--price", "1000000"}, 6, false, "about $"},
		{"it costs nothing", "right", nil, 6, false, "about $0"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			asked.Store(0)
			args := append([]string{"bench-provider", "--model", builtin.Name, "--dimensions", "512", "--requests", "5", "--texts", "1", "--concurrency", "1"}, tt.args...)
			cmd := freshet(t.Context(), []string{"FRESHET_OPENAI_URL=" + server.URL + "/v1", "FRESHET_OPENAI_KEY=" + tt.key}, args...)
			out, err := cmd.CombinedOutput()
			text := strings.TrimSpace(string(out))
			if (err != nil) != tt.fails || asked.Load() != tt.asked || !strings.Contains(text, tt.says) {
				t.Errorf("%v after %d requests: %s", err, asked.Load(), text)
			}
			// With --yes the estimate is a line before.
			if lines := strings.Split(text, "\n"); tt.asked == 0 && len(lines) != 1 {
				t.Errorf("the refusal is not one line: %s", text)
			}
		})
	}
}
