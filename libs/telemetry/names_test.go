package telemetry

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"
)

const chart = "../../charts/freshet"

var (
	metricName = regexp.MustCompile(`\b(freshet|gen_ai)_[a-z_]+`)
	reserved   = regexp.MustCompile(`^freshet_(failed|truncated)`) // properties of objects in the index
)

// names returns what Prometheus calls each metric that this package can make.
func names(t *testing.T) map[string]bool {
	t.Helper()
	tel, err := New(t.Context(), Config{Exporter: "none"}, "test", "test")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tel.Close(t.Context()) }()
	m, ctx := tel.Metrics, t.Context()
	for _, of := range []Metric{
		ProviderRequests, ProviderTexts, ProviderTokens, ProviderAgainTokens, ProviderSavedTokens, ProviderFallbacks, ProviderCost,
		ProviderSavedCost, WriteRemembered, WriteLoaded, RedisPassed, RedisMissed,
	} {
		err = m.Counter(of, func() float64 { return 1 })
	}
	for _, of := range []Metric{
		ProviderLimit, ProviderShut, ProviderRefused, ProviderWaiting, ProviderWaited, ProviderBreaker, ProviderFailing,
		RegistryFailing, BudgetSpent, BudgetLimit, BudgetWaiting, StageLater, RedisLag, HTTPInFlight,
	} {
		err = m.Gauge(of, func(observe func(float64, ...string)) { observe(1) })
	}
	if err != nil {
		t.Fatal(err)
	}
	m.Begin(ctx, "write", "malformed")
	m.Items(ctx, "write", "written", 1)
	m.Batch(ctx, "write", "full", 1, time.Second)
	m.Sent(ctx, "due", time.Second)
	m.Charged(ctx, "model", 1)
	m.Rebalance(ctx, "write")
	m.IndexBroken(ctx, "Product", false)
	m.Asked(ctx, "first", "200", time.Second)
	m.HTTPAnswered(ctx, "items", "202", time.Second)
	m.Fresh(ctx, Freshness{Age: -time.Millisecond})
	m.Searchable(ctx, Freshness{})
	m.Unfinished("write", Live, func() time.Duration { return 0 })

	families, err := tel.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]bool{}
	for _, f := range families {
		all[f.GetName()] = true
		if f.GetType().String() == "HISTOGRAM" {
			for _, suffix := range []string{"_bucket", "_count", "_sum"} {
				all[f.GetName()+suffix] = true
			}
		}
		if f.GetHelp() == "" {
			t.Errorf("metric %s has no description", f.GetName())
		}
	}
	return all
}

func TestNames_everyMetricOfARuleADashboardOrTheReadmeExists(t *testing.T) {
	known := names(t)
	files, err := filepath.Glob(filepath.Join(chart, "dashboards", "*.json"))
	if err != nil || len(files) < 5 {
		t.Fatalf("%d dashboards, %v", len(files), err)
	}
	for _, file := range append(files, filepath.Join(chart, "rules", "freshet.yaml"), filepath.Join(chart, "rules", "freshet.test.yaml"), "../../README.md") {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		found := metricName.FindAllString(string(text), -1)
		if len(found) == 0 {
			t.Errorf("%s names no metric", file)
		}
		for _, name := range found {
			if !known[name] && !reserved.MatchString(name) {
				t.Errorf("%s names %s, which no service has", filepath.Base(file), name)
			}
		}
	}
}
