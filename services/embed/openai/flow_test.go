package openai

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/freshet-io/freshet/libs/fault"
	"github.com/freshet-io/freshet/services/embed/builtin"
)

func TestRequestHasWhatWasAskedFor(t *testing.T) {
	tests := []struct {
		name       string
		model      string
		change     func(*Config)
		dimensions int
		encoding   string
		header     string
		value      string
		uri        string
	}{
		{"OpenAI", "text-embedding-3-small", nil, dims, "base64", "Authorization", "Bearer " + secret, "/v1/embeddings"},
		{"gateway with a vendor in the model", "openai/text-embedding-3-small", nil, dims, "base64", "Authorization", "Bearer " + secret, "/v1/embeddings"},
		{"server that takes no dimensions", "bge-m3", func(c *Config) { c.Encoding = "none" }, 0, "", "Authorization", "Bearer " + secret, "/v1/embeddings"},
		{"dimensions by order", "bge-m3", func(c *Config) { c.SendDimensions = "always"; c.Encoding = "float" }, dims, "float", "Authorization", "Bearer " + secret, "/v1/embeddings"},
		{"Azure", "text-embedding-3-large", func(c *Config) {
			c.SendDimensions = "never"
			c.KeyHeader = "api-key"
			c.URL += "/openai/deployments/d?api-version=2024-10-21"
		}, 0, "base64", "Api-Key", secret, "/v1/openai/deployments/d/embeddings?api-version=2024-10-21"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := serve(t, func(w http.ResponseWriter, r *http.Request, req asked) {
				if req.Model != tt.model || req.Dimensions != tt.dimensions || req.Encoding != tt.encoding {
					t.Errorf("request is %+v", req)
				}
				if r.Header.Get(tt.header) != tt.value || r.RequestURI != tt.uri {
					t.Errorf("%s: %s at %s", tt.header, r.Header.Get(tt.header), r.RequestURI)
				}
				ok()(w, r, req)
			})
			cfg := settings(s.URL)
			if tt.change != nil {
				tt.change(&cfg)
			}
			c, err := New(cfg, Options{Model: tt.model, Dimensions: dims, Keys: func() string { return secret }})
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if _, err := c.Embed(t.Context(), []string{"a"}); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func TestLongerVectorsAreCutOnlyWhereThatIsAllowed(t *testing.T) {
	s := serve(t, ok(setVector(0, []float32{3, 4, 0, 0, 9, 9})))
	cfg := settings(s.URL)
	if _, err := client(t, cfg).Embed(t.Context(), []string{"a"}); fault.ClassOf(err) != fault.Fatal {
		t.Fatalf("not cut: %v", err)
	}
	cfg.Cut = true
	got, err := client(t, cfg).Embed(t.Context(), []string{"a"})
	if err != nil {
		t.Fatal(err)
	}
	if v := got.Vectors[0]; len(v) != dims || v[0] != 0.6 || v[1] != 0.8 {
		t.Fatalf("cut to %v", v)
	}
}

func TestAnswersAsAnotherNameWhereThatIsSet(t *testing.T) {
	for _, name := range []string{"any", "tei"} {
		cfg := settings(serve(t, ok(setModel("tei"))).URL)
		cfg.AnswersAs = name
		if _, err := client(t, cfg).Embed(t.Context(), []string{"a"}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAllRequestsWaitAtOneGate(t *testing.T) {
	var mu sync.Mutex
	var first time.Time
	s := serve(t, func(w http.ResponseWriter, r *http.Request, req asked) {
		mu.Lock()
		if first.IsZero() {
			first = time.Now()
		}
		mu.Unlock()
		ok()(w, r, req)
	})
	c := client(t, settings(s.URL))
	now := time.Now()
	c.line.gates[0].slow(150*time.Millisecond, now, now)
	opens := c.line.gates[0].opens
	var calls sync.WaitGroup
	for range 6 {
		calls.Go(func() {
			if _, err := c.Embed(t.Context(), []string{"a"}); err != nil {
				t.Error(err)
			}
		})
	}
	calls.Wait()
	if n := s.calls.Load(); first.Before(opens) || n != 6 {
		t.Errorf("%d requests, the first %s before the gate opened", n, opens.Sub(first))
	}
}

func TestOneRefusedRequestMovesTheGateOfAll(t *testing.T) {
	s := serve(t, status(429, "", "Retry-After", "90"))
	cfg := settings(s.URL)
	cfg.MaxRetryAfter = 2 * time.Minute
	c := client(t, cfg)
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	var calls sync.WaitGroup
	for range 6 {
		calls.Go(func() {
			if _, err := c.Embed(ctx, []string{"a"}); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("error is %v", err)
			}
		})
	}
	calls.Wait()
	if shut := time.Until(c.line.gates[0].opens); shut < time.Minute || s.calls.Load() > 6 {
		t.Errorf("the gate is shut for %s after %d requests", shut, s.calls.Load())
	}
}

func TestCallerWhoLeavesIsNotKeptAtTheGate(t *testing.T) {
	s := serve(t, status(429, "", "Retry-After", "0.2"))
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := client(t, settings(s.URL)).Embed(ctx, []string{"a"})
	if err == nil || fault.ClassOf(err) != fault.Transient {
		t.Fatalf("error is %v", err)
	}
}

func TestCancelledCallSaysSo(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	s := serve(t, func(w http.ResponseWriter, r *http.Request, req asked) { cancel(); hang(w, r, req) })
	_, err := client(t, settings(s.URL)).Embed(ctx, []string{"a"})
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("error is %v", err)
	}
}

// TestPoolSurvivesRefusals: retryablehttp empties the pool after each refused request.
func TestPoolSurvivesRefusals(t *testing.T) {
	s := serve(t, status(400, "{}"))
	c := client(t, settings(s.URL))
	for range 20 {
		if _, err := c.Embed(t.Context(), []string{"a"}); fault.ClassOf(err) != fault.Permanent {
			t.Fatal(err)
		}
	}
	if n := s.conns.Load(); n != 1 {
		t.Errorf("%d connections for 20 requests, one after the other", n)
	}
}

func TestLogHoldsNeitherKeyNorText(t *testing.T) {
	var out bytes.Buffer
	s := serve(t, status(500, text1), apiError(500, "x", "y"), ok())
	c, err := New(settings(s.URL), Options{
		Model: "m", Dimensions: dims, Keys: func() string { return secret },
		Log: slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Embed(t.Context(), []string{text1}); err != nil {
		t.Fatal(err)
	}
	log := out.String()
	if !strings.Contains(log, "retry=true") || strings.Contains(log, secret) || strings.Contains(log, text1) {
		t.Errorf("log is\n%s", log)
	}
}

func TestWrongSettingsAreAllNamedAtOnceAndNoneIsQuoted(t *testing.T) {
	cfg := Config{URL: "https://user:" + secret + "@host/v1", SendDimensions: "maybe", Encoding: "xml"}
	_, err := New(cfg, Options{Model: "m", Dimensions: dims})
	if err == nil {
		t.Fatal("no error")
	}
	for _, word := range []string{"URL", "KEY_HEADER", "SEND_DIMENSIONS", "ENCODING", "TIMEOUT", "MAX_TRIES", "MIN_BACKOFF", "MAX_RETRY_AFTER", "MAX_CONNECTIONS"} {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("%s is not named", word)
		}
	}
	if strings.Contains(err.Error(), secret) {
		t.Errorf("the URL is quoted: %v", err)
	}
	for _, url := range []string{"", "host/v1", "ftp://host", "http://", "http://a b", "://x"} {
		cfg := settings("")
		cfg.URL = url
		if cfg.Validate() == nil {
			t.Errorf("URL %q is accepted", url)
		}
	}
	if _, err := New(settings("http://h"), Options{}); err == nil {
		t.Error("no model and no dimensions are accepted")
	}
}

// TestRetryAfterIsReadInRareForms: TestProviderFaults has the others.
func TestRetryAfterIsReadInRareForms(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	tests := []struct {
		name, value string
		want        time.Duration
	}{
		{"date of RFC 850", "Friday, 02-Jan-26 03:04:15 GMT", 10 * time.Second},
		{"date in the past", "Fri, 02 Jan 2026 03:04:00 GMT", 0},
		{"a number that would overflow", "1e300", 24 * time.Hour},
		{"infinity", "Inf", 24 * time.Hour},
		{"no number", "NaN", -1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := retryAfter(http.Header{"Retry-After": {tt.value}}, now); got != tt.want {
				t.Errorf("%s, not %s", got, tt.want)
			}
		})
	}
}

func TestGateWithoutATimeDoublesOnceABurst(t *testing.T) {
	now := time.Now()
	g := newGate("", Config{MaxRetryAfter: time.Minute}, now)
	for _, want := range []time.Duration{firstGate, 2 * firstGate, 4 * firstGate} {
		sent := now
		now = now.Add(time.Millisecond)
		g.slow(-1, sent, now)
		g.slow(-1, sent, now) // refused in the same burst
		if got := g.wait(1, false, now); got != want {
			t.Errorf("shut for %s, not %s", got, want)
		}
		now = now.Add(want)
	}
	g.passed()
	now = now.Add(time.Minute)
	g.slow(-1, now, now)
	if got := g.wait(1, false, now); got != firstGate {
		t.Errorf("after an answer shut for %s, not %s", got, firstGate)
	}
	g.slow(time.Hour, now, now)
	if got := g.wait(1, false, now); got != time.Minute {
		t.Errorf("shut for %s, more than the clamp", got)
	}
}

func TestThoseWhoWaitedAtTheGateDoNotLeaveAsABurst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLine(Config{MaxRetryAfter: time.Minute}, nil)
		l.gates[0].slow(10*time.Second, time.Now(), time.Now())
		began := time.Now()
		var mu sync.Mutex
		left := map[time.Duration]bool{}
		var all sync.WaitGroup
		for range 20 {
			all.Go(func() {
				_ = l.enter(t.Context(), &trial{})
				mu.Lock()
				left[time.Since(began)] = true
				mu.Unlock()
			})
		}
		all.Wait()
		if len(left) < 10 {
			t.Errorf("20 left at %d moments", len(left))
		}
		for at := range left {
			if at < 10*time.Second || at > 12*time.Second {
				t.Errorf("left after %s", at)
			}
		}
	})
}

// TestBuiltinModelIsServedLikeAnyOther runs the real client against builtin.Handler.
func TestBuiltinModelIsServedLikeAnyOther(t *testing.T) {
	m, err := builtin.New()
	if err != nil {
		t.Fatal(err)
	}
	s := serveHandler(t, builtin.Handler(m))
	texts := []string{"running shoes", "无线降噪蓝牙耳机"}
	want, err := m.Embed(t.Context(), texts)
	if err != nil {
		t.Fatal(err)
	}
	for _, encoding := range []string{"base64", "float", "none"} {
		cfg := settings(s)
		cfg.Encoding = encoding
		cfg.Timeout = 5 * time.Second
		c, err := New(cfg, Options{Model: builtin.Name, Dimensions: builtin.Dimensions})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		got, err := c.Embed(t.Context(), texts)
		if err != nil {
			t.Fatal(err)
		}
		if got.Tokens != want.Tokens || got.Model != builtin.Name {
			t.Errorf("%d tokens of %q, not %d", got.Tokens, got.Model, want.Tokens)
		}
		for i := range texts {
			for j := range want.Vectors[i] {
				if got.Vectors[i][j] != want.Vectors[i][j] {
					t.Fatalf("%s: vector %d differs", encoding, i)
				}
			}
		}
		if _, err := c.Embed(t.Context(), []string{"a", ""}); fault.ClassOf(err) != fault.Permanent {
			t.Errorf("empty text: %v", err)
		}
	}
	for name, opt := range map[string]Options{
		"another model":     {Model: "text-embedding-3-large", Dimensions: builtin.Dimensions},
		"another dimension": {Model: builtin.Name, Dimensions: 100},
	} {
		c, err := New(settings(s), opt)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if _, err := c.Embed(t.Context(), texts); fault.ClassOf(err) != fault.Fatal {
			t.Errorf("%s: %v", name, err)
		}
	}
}
