package inspect

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"
)

// page is the metrics of a replica that had so many items of up to 0.1 s, 1 s and 10 s, and one that took longer.
func page(tenth, second, ten int) string {
	var b strings.Builder
	fmt.Fprintln(&b, "# TYPE "+metricFreshness+" histogram")
	for _, bucket := range []struct {
		le    string
		count int
	}{{"0.1", tenth}, {"1", tenth + second}, {"10", tenth + second + ten}, {"+Inf", tenth + second + ten + 1}} {
		fmt.Fprintf(&b, "%s_bucket{collection=\"Product\",outcome=\"written\",le=%q} %d\n", metricFreshness, bucket.le, bucket.count)
	}
	fmt.Fprintf(&b, "%s_sum{collection=\"Product\",outcome=\"written\"} 1\n%s_count{collection=\"Product\",outcome=\"written\"} %d\n", metricFreshness, metricFreshness, tenth+second+ten+1)
	fmt.Fprintf(&b, "# TYPE %s counter\n%s{outcome=\"written\",stage=\"write\"} %d\n", metricItems, metricItems, tenth)
	fmt.Fprintf(&b, "# TYPE %s gauge\n%s{stage=\"write\"} 0\n", metricUnfinished, metricUnfinished)
	return b.String()
}

// replicas serves metrics pages as services do, and returns an inspector that knows them.
func replicas(t *testing.T, pages ...string) *Inspector {
	t.Helper()
	i := &Inspector{http: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}}
	for _, text := range pages {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/metrics" {
				fmt.Fprint(w, text)
				return
			}
			w.WriteHeader(http.StatusServiceUnavailable)
			fmt.Fprintln(w, "index of Product: read-only")
		}))
		t.Cleanup(server.Close)
		i.cfg.Admin = append(i.cfg.Admin, server.Listener.Addr().String())
	}
	return i
}

func TestScrape_addsReplicasUp(t *testing.T) {
	i := replicas(t, page(50, 0, 0), page(0, 40, 8))
	i.cfg.Admin = append(i.cfg.Admin, "127.0.0.1:1", "no address")
	var unknown notes
	s := i.scrape(t.Context(), &unknown)
	if len(s.services) != 3 || len(s.samples[metricItems]) != 2 || len(unknown.lines) != 2 || !slices.Equal(s.silent, []string{"127.0.0.1:1", "no address"}) {
		t.Fatalf("%d services, %d answered, silent %q, unknown %q", len(s.services), len(s.samples[metricItems]), s.silent, unknown.lines)
	}
	for _, x := range s.services {
		if len(x.Stages) > 0 && (x.Ready || x.Says != "index of Product: read-only") {
			t.Errorf("a service that is not ready: %+v", x)
		}
	}
	if n, ok := s.sum(metricItems, "stage", "write"); n != 50 || !ok {
		t.Errorf("%f items, %t", n, ok)
	}
	if _, ok := s.sum(metricItems, "stage", "embed"); ok {
		t.Error("a stage that nobody shows has items")
	}
	h := s.histograms(metricFreshness, "collection", func(map[string]string) bool { return true })["Product"]
	for q, want := range map[float64]time.Duration{.25: 50 * time.Millisecond, .5: 100 * time.Millisecond, .9: time.Second, .999: 10 * time.Second} {
		if got := time.Duration(h.quantile(q)); got < want*97/100 || got > want*103/100 {
			t.Errorf("quantile %g is %s, want about %s", q, got, want)
		}
	}
}

// Prometheus' format has NaN and infinities, JSON has not.
func TestScrape_whatIsNoNumberBreaksNoAnswer(t *testing.T) {
	text := page(3, 0, 0) + "# TYPE " + metricRequests + " counter\n" + metricRequests + " NaN\n# TYPE " + metricTokens + " counter\n" + metricTokens + " 5\n" +
		"# TYPE " + metricShut + " gauge\n" + metricShut + "{endpoint=\"first\",key=\"1\"} +Inf\n# TYPE " + metricRefused + " gauge\n" + metricRefused + "{endpoint=\"first\",key=\"1\"} 0\n" +
		"# TYPE " + metricUnfinished + "_x gauge\n" + metricUnfinished + "_x NaN\n"
	i := replicas(t, text, "# TYPE "+metricRequests+" counter\n"+metricRequests+" 7\n")
	at := func(second int) *look {
		return &look{metrics: i.scrape(t.Context(), &notes{}), at: time.Unix(int64(second), 0)}
	}
	w := window{earlier: at(0), now: at(2)}
	w.oldest = w.earlier
	if n, ok := w.now.sum(metricRequests); n != 7 || !ok {
		t.Errorf("%g requests, want those of the service that has counted them", n)
	}
	answer, err := json.Marshal(Status{Provider: w.provider(), Freshness: w.freshness(), Services: w.now.services})
	if err != nil || !strings.Contains(string(answer), `"gate":"open"`) {
		t.Errorf("as JSON: %s %v", answer, err)
	}
}

func TestCounted_aStageThatNobodyShowsHasNoFigures(t *testing.T) {
	l := &look{metrics: replicas(t, page(5, 0, 0)).scrape(t.Context(), &notes{}), at: time.Unix(0, 0)}
	w := window{earlier: l, now: l}
	if s := w.counted(lane{stage: stageWrite}); s.Rate != 0 || s.Retries != 0 || s.Replicas != 1 {
		t.Errorf("of write, which shows its metrics: %+v", s)
	}
	if s := w.counted(lane{stage: stageEmbed}); s.Rate != -1 || s.Retries != -1 || s.Replicas != 0 {
		t.Errorf("of embed, which shows none: %+v", s)
	}
}

func TestTakesWrites_isNotKnownWhereNeitherWeaviateNorWriteSays(t *testing.T) {
	for broken, want := range map[string]*bool{"0": nil, "1": new(false)} {
		text := "# TYPE " + metricIndexBroken + " gauge\n" + metricIndexBroken + "{collection=\"Product\"} " + broken + "\n"
		s, err := takesWrites(t.Context(), nil, &look{metrics: replicas(t, text).scrape(t.Context(), &notes{})}, "Product")
		if err != nil || (s.Writable == nil) != (want == nil) || want != nil && *s.Writable || len(s.trouble()) > 0 != (want != nil) {
			t.Errorf("where write shows %s: %+v, %v", broken, s, err)
		}
	}
}

func TestProvider_oneThatFailsShowsBetweenTwoOfItsTries(t *testing.T) {
	at := func(second int, failing string) *look {
		text := "# TYPE " + metricRequests + " counter\n" + metricRequests + " 9\n# TYPE " + metricRefused + " gauge\n" + metricRefused + "{endpoint=\"first\",key=\"1\"} 0\n" +
			"# TYPE " + metricFailing + " gauge\n" + metricFailing + "{endpoint=\"first\"} " + failing + "\n"
		return &look{metrics: replicas(t, text).scrape(t.Context(), &notes{}), at: time.Unix(int64(second), 0)}
	}
	for failing, want := range map[string]int{"0": 0, "4.9": 0, "30": 1} {
		trouble := window{earlier: at(0, failing), now: at(2, failing)}.provider().trouble(everyPipeline)
		if len(trouble) != want || want > 0 && (trouble[0].Code != CauseProviderAway || !strings.Contains(trouble[0].Detail, "30.0s")) {
			t.Errorf("one that has been failing for %s s: %+v", failing, trouble)
		}
	}
}

func TestProvider_oneThatRefusesATextIsNotAway(t *testing.T) {
	at := func(second int, status string, answers int, failing float64) *look {
		text := "# TYPE " + metricRequests + " counter\n" + metricRequests + " 9\n# TYPE " + metricRefused + " gauge\n" + metricRefused + "{endpoint=\"first\",key=\"1\"} 0\n" +
			fmt.Sprintf("# TYPE %s histogram\n%s_count{endpoint=\"first\",status=%q} %d\n", metricOperations, metricOperations, status, answers) +
			fmt.Sprintf("# TYPE %s gauge\n%s{endpoint=\"first\"} %g\n", metricFailing, metricFailing, failing)
		return &look{metrics: replicas(t, text).scrape(t.Context(), &notes{}), at: time.Unix(int64(second), 0)}
	}
	for _, tt := range []struct {
		status  string
		failing float64 // seconds, as embed shows them
		failed  float64 // requests a second
		want    int
	}{
		{"200", 0, 0, 0},
		{"400", 0, 0, 0},
		{"413", 0, 0, 0},
		{"429", 0, 0, 0},
		{"408", 30, .5, 1},
		{"503", 30, .5, 1},
		{"error", 30, .5, 1},
		{"error", 2.4, .5, 0}, // the next try may be answered
		{"200", 30, 0, 0},     // another replica's are answered
	} {
		p := window{earlier: at(0, tt.status, 3, tt.failing), now: at(2, tt.status, 4, tt.failing)}.provider()
		if trouble := p.trouble(everyPipeline); len(trouble) != tt.want || p.Endpoints[0].Failed != tt.failed {
			t.Errorf("one that answers %s, and has answered nothing for %g s: %+v of %+v", tt.status, tt.failing, trouble, p.Endpoints)
		}
	}
}

func TestProvider_oneIsAwayAndTheOtherAnswers(t *testing.T) {
	at := func(second, failed, answered int) *look {
		text := "# TYPE " + metricRequests + " counter\n" + metricRequests + " 9\n# TYPE " + metricRefused + " gauge\n" +
			metricRefused + "{endpoint=\"first\",key=\"1\"} 0\n" + metricRefused + "{endpoint=\"backup\",key=\"1\"} 0\n" +
			fmt.Sprintf("# TYPE %s histogram\n%s_count{endpoint=\"first\",status=\"503\"} %d\n%s_count{endpoint=\"backup\",status=\"200\"} %d\n",
				metricOperations, metricOperations, failed, metricOperations, answered) +
			fmt.Sprintf("# TYPE %s gauge\n%s{endpoint=\"first\"} 30\n", metricFailing, metricFailing)
		return &look{metrics: replicas(t, text).scrape(t.Context(), &notes{}), at: time.Unix(int64(second), 0)}
	}
	for answered, want := range map[int]string{0: "no request succeeds", 5: "the first server of the embeddings provider fails, and the other one answers"} {
		trouble := window{earlier: at(0, 3, 0), now: at(2, 4, answered)}.provider().trouble(everyPipeline)
		if len(trouble) != 1 || !strings.Contains(trouble[0].Summary, want) {
			t.Errorf("where the backup has answered %d: %+v", answered, trouble)
		}
	}
}

func TestProvider_anotherPipelinesBudgetIsNoTrouble(t *testing.T) {
	text := "# TYPE " + metricRequests + " counter\n" + metricRequests + " 9\n# TYPE " + metricBudgetWaiting + " gauge\n" + metricBudgetWaiting + " 0\n" +
		metricBudgetWaiting + "{pipeline=\"offers\"} 2\n"
	now := &look{metrics: replicas(t, text).scrape(t.Context(), &notes{})}
	of := func(name string) func(string) bool { return func(pipeline string) bool { return pipeline == name } }
	for name, want := range map[string]int{"offers": 1, "products": 0} {
		if trouble := (window{earlier: now, now: now}).provider().trouble(of(name)); len(trouble) != want || want > 0 && trouble[0].Code != CauseBudget {
			t.Errorf("what keeps up pipeline %s is %+v", name, trouble)
		}
	}
	// A partition of embed that stands is trouble, too: what a pipeline cannot pay for is let pass.
	s := Status{Provider: window{earlier: now, now: now}.provider(), Stages: []Stage{{Name: stageEmbed, Members: 1, Stuck: []Place{{Topic: "documents"}}}}}
	if codes := s.trouble(); len(codes) != 2 || codes[0].Code != CauseBudget || codes[1].Code != CauseStuck {
		t.Errorf("the trouble is %+v", codes)
	}
}

func TestHistogram_sinceALookBefore(t *testing.T) {
	of := func(tenth, second, ten int) *histogram {
		s := replicas(t, page(tenth, second, ten)).scrape(t.Context(), &notes{})
		return s.histograms(metricFreshness, "collection", func(map[string]string) bool { return true })["Product"]
	}
	before := of(10, 0, 0)
	if d := of(10, 20, 0).since(before); d.count() != 20 || d.quantile(.5) < Seconds(100*time.Millisecond) {
		t.Errorf("of 20 items of up to a second since then: %v", d)
	}
	if d := of(3, 0, 0).since(before); d.count() != 4 {
		t.Errorf("a service that was started since has 4 items, and not %v", d)
	}
	if d := of(10, 0, 0).since(nil); d.count() != 11 {
		t.Errorf("where nobody looked before, all count: %v", d)
	}
}

func TestSeconds_inAtMostTwoUnits(t *testing.T) {
	for span, want := range map[time.Duration]string{
		0: "0s", 412 * time.Microsecond: "412µs", 1499 * time.Microsecond: "1ms", 8700 * time.Millisecond: "8.7s",
		59*time.Second + 999*time.Millisecond: "60.0s", 63 * time.Second: "1m03s", 26*time.Hour + 5*time.Minute: "26h05m", 75 * time.Hour: "3d03h",
	} {
		if got := Seconds(span).String(); got != want {
			t.Errorf("%d ns is %q, want %q", span, got, want)
		}
	}
}

// An admin port may say anything.
func TestProvider_aBreakerThatIsNoStateIsNotBelieved(t *testing.T) {
	for value, want := range map[string]string{"1": "open", "1e300": "half-open", "-1e300": "closed"} {
		text := "# TYPE " + metricRequests + " counter\n" + metricRequests + " 9\n# TYPE " + metricRefused + " gauge\n" + metricRefused + "{endpoint=\"first\",key=\"1\"} 0\n" +
			"# TYPE " + metricBreaker + " gauge\n" + metricBreaker + "{endpoint=\"first\"} " + value + "\n"
		l := &look{metrics: replicas(t, text).scrape(t.Context(), &notes{}), at: time.Unix(0, 0)}
		if got := (window{earlier: l, now: l}).provider().Endpoints; len(got) != 1 || got[0].Breaker != want {
			t.Errorf("%s: %+v", value, got)
		}
	}
}
