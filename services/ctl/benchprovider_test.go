package main

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"

	"github.com/freshet-io/freshet/services/ctl/loadtest"
)

func TestConfirm_onlyAYesSpends(t *testing.T) {
	for answer, goes := range map[string]bool{"y\n": true, "Y\n": true, "yes\n": true, "\n": false, "n\n": false, "": false, "yellow\n": false} {
		var out bytes.Buffer
		err := confirm(t.Context(), strings.NewReader(answer), &out, "about $5")
		if (err == nil) != goes || out.String() != "about $5. Go on? [y/N] " {
			t.Errorf("%q: %v after %q", answer, err, out.String())
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	waiting := make(reader)
	defer close(waiting)
	if err := confirm(ctx, waiting, &bytes.Buffer{}, ""); err == nil {
		t.Error("Ctrl-C at the question is not heard")
	}
}

// reader never has anything, until it is closed.
type reader chan struct{}

func (r reader) Read([]byte) (int, error) { <-r; return 0, context.Canceled }

func TestProviderReport_showsEveryColumnAndTheCost(t *testing.T) {
	ms := func(f float64) loadtest.Time { return loadtest.Time(f * float64(time.Millisecond)) }
	level := loadtest.Level{
		Concurrency: 200, Requests: 10_000, Failed: 25, SuccessRate: 0.9975, Error: "the provider answered 500",
		Mean: ms(123.456), P50: ms(7.891), P95: ms(61.23), P99: ms(12_345), Max: ms(29_999), Min: ms(7.001),
		RequestsPerSecond: 1234.56, TextsPerSecond: 123_456.7, Tokens: 2_000_000,
	}
	for _, tt := range []struct {
		flags benchProviderFlags
		cost  string
	}{
		{benchProviderFlags{model: "openai/text-embedding-3-large", price: -1}, "$0.26"},
		{benchProviderFlags{model: "text-embedding-3-large", price: 1}, "$2"},
		{benchProviderFlags{model: "bge-m3", price: -1}, "the price is not known"},
	} {
		tt.flags.plan.Texts = 100
		var out bytes.Buffer
		if err := tt.flags.report([]loadtest.Level{level}).write(&out, "table"); err != nil {
			t.Fatal(err)
		}
		want := "" +
			"AT ONCE  REQUESTS  SUCCESS  MEAN   P50     P95    P99     MAX  MIN  REQ/S   TEXTS/S\n" +
			"200      10000     99.75 %  123ms  7.89ms  61.2ms  12.35s  30s  7ms  1234.6  123456.7\n" +
			"  the provider answered 500\n" +
			tt.flags.model + ", 100 texts a request, 2M tokens: " + tt.cost + "\n"
		if strings.Join(strings.Fields(out.String()), " ") != strings.Join(strings.Fields(want), " ") {
			t.Errorf("got\n%swant\n%s", out.String(), want)
		}
	}
}
