package telemetry_test

import (
	"strings"
	"testing"

	"github.com/freshet-io/freshet/libs/telemetry"
)

const (
	producers = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	traceID   = "0af7651916cd43dd8448eb211c80319c"
)

// quiet is a telemetry that exports nothing.
func quiet(tb testing.TB, ratio float64) *telemetry.Telemetry {
	tb.Helper()
	tel, err := telemetry.New(tb.Context(), telemetry.Config{Exporter: "none", SampleRatio: ratio}, "test", "test")
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = tel.Close(tb.Context()) })
	return tel
}

func TestBegin_aProducersSampledFlagFillsNoBackEnd(t *testing.T) {
	item := quiet(t, 0).Begin([]byte(producers), nil, nil, true)
	if got, want := string(item.AppendParent(nil)), strings.TrimSuffix(producers, "1")+"0"; got != want {
		t.Errorf("handed on as %s, want %s", got, want)
	}
}

// An id whose last half is zero is sampled at any ratio.
func TestBegin_aProducerThatPicksItsTraceIdsFillsNoBackEnd(t *testing.T) {
	const items, ratio = 100_000, 0.005
	chosen := []byte("00-0af7651916cd43dd0000000000000000-b7ad6b7169203331-00")
	picked, random := quiet(t, ratio), quiet(t, ratio)
	sampled := func(tel *telemetry.Telemetry, traceparent []byte) (n int) {
		for range items {
			item := tel.Begin(traceparent, nil, nil, true)
			if strings.HasSuffix(string(item.AppendParent(nil)), "-01") {
				n++
			}
		}
		return n
	}
	if n := sampled(picked, chosen); n > 2*items*ratio+100 {
		t.Errorf("%d of %d are sampled, all with an id that a producer has chosen", n, items)
	}
	if n := sampled(random, nil); n < items*ratio/2 || n > 2*items*ratio {
		t.Errorf("%d of %d are sampled at a ratio of %g", n, items, ratio)
	}
}

func TestBegin_theFirstStageDecidesAndTheOthersFollow(t *testing.T) {
	everything, nothing := quiet(t, 1), quiet(t, 0)
	first := everything.Begin(nil, nil, nil, true)
	parent := first.AppendParent(nil)
	if !strings.HasSuffix(string(parent), "-01") {
		t.Fatalf("at a ratio of 1: %s", parent)
	}
	for _, tel := range []*telemetry.Telemetry{everything, nothing} {
		next := tel.Begin(parent, nil, nil, false)
		if got := next.AppendParent(nil); string(got) != string(parent) {
			t.Errorf("handed on as %s, want %s", got, parent)
		}
	}
}

func TestBegin_carriesOnWhatAnItemCameWith(t *testing.T) {
	tel := quiet(t, 0)
	for state, carried := range map[string]string{"vendor=1": "vendor=1", "": "", "no tracestate": ""} {
		first := tel.Begin([]byte(producers), []byte(state), nil, true)
		next := tel.Begin(first.AppendParent(nil), []byte(first.State()), []byte("batch"), false)
		if !strings.Contains(string(next.AppendParent(nil)), traceID) || next.State() != carried || string(next.Batch()) != "batch" {
			t.Errorf("%q: got %s, %q and %q", state, next.AppendParent(nil), next.State(), next.Batch())
		}
	}
}

func TestBegin_aHeaderThatIsNoTraceparentBeginsATrace(t *testing.T) {
	tel := quiet(t, 0)
	for parent, continued := range map[string]bool{
		"00-" + traceID + "-b7ad6b7169203331-00":        true,
		"01-" + traceID + "-b7ad6b7169203331-00-more":   true, // of a later version
		"00-" + traceID + "-b7ad6b7169203331-00-more":   false,
		"ff-" + traceID + "-b7ad6b7169203331-00":        false,
		"00-" + traceID + "-0000000000000000-00":        false,
		"00-" + traceID + "-b7ad6b7169203331-0":         false,
		"00-" + traceID + "-b7ad6b716920333x-00":        false,
		"00_" + traceID + "_b7ad6b7169203331_00":        false,
		"00-" + traceID[1:] + "--b7ad6b7169203331-0-00": false,
		"": false,
	} {
		item := tel.Begin([]byte(parent), nil, nil, true)
		got := string(item.AppendParent(nil))
		if strings.Contains(got, traceID) != continued || len(got) != 55 || strings.Contains(got, strings.Repeat("0", 16)) {
			t.Errorf("%q is carried on as %s", parent, got)
		}
	}
}
