package openai

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"math"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/freshet-io/freshet/libs/fault"
	"github.com/freshet-io/freshet/libs/telemetry"
	"github.com/freshet-io/freshet/services/embed/provider"
)

// endpoint is a server whose replies can be changed.
type endpoint struct {
	calls atomic.Int64 // but for those of Check
	keys  atomic.Value // of the last request
	model atomic.Value
	reply atomic.Pointer[reply]
}

func newEndpoint(r reply) *endpoint {
	e := &endpoint{}
	e.is(r)
	return e
}

func (e *endpoint) is(r reply) { e.reply.Store(&r) }

func (e *endpoint) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var req asked
	_ = json.NewDecoder(r.Body).Decode(&req)
	if len(req.Input) != 1 || req.Input[0] != checkText {
		e.calls.Add(1)
	}
	e.keys.Store(r.Header.Get("Api-Key"))
	e.model.Store(req.Model)
	(*e.reply.Load())(w, r, req)
}

// pairOf returns a pair of two servers in the bubble of the test; its log is in out.
func pairOf(t *testing.T, one, two *endpoint, change ...func(*Backup)) (p *Pair, out *bytes.Buffer) {
	t.Helper()
	out = &bytes.Buffer{}
	b := Backup{URL: "http://backup.test/v1?api-version=2", Model: "deployed", KeyHeader: "api-key", SendDimensions: "auto"}
	for _, c := range change {
		c(&b)
	}
	p, err := NewPair(virtual(), Options{
		Model: "text-embedding-3-large", Dimensions: dims, Keys: func() string { return secret },
		Log: slog.New(slog.NewTextHandler(out, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}, b, func() string { return "backup-" + secret })
	if err != nil {
		t.Fatal(err)
	}
	connect(t, p.first.Client, one)
	connect(t, p.backup.Client, two)
	return p, out
}

// asSpace answers as the backup must: with the model of the space, whatever it calls it.
func asSpace(changes ...change) reply {
	return ok(append([]change{setModel("text-embedding-3-large")}, changes...)...)
}

// embed embeds a text as the stage would: again until it passes.
func (p *Pair) embed(t *testing.T, text string) {
	t.Helper()
	for range 20 {
		got, err := p.Embed(t.Context(), []string{text})
		switch {
		case err == nil && got.Vectors[0][0] == float32(len(text)):
			return
		case fault.ClassOf(err) != fault.Transient:
			t.Fatalf("%v, %v", got.Vectors, err)
		}
		time.Sleep(max(time.Second, fault.AfterOf(err)))
	}
	t.Fatal("it does not pass")
}

func TestBackupTakesOverAndTheFirstReturns(t *testing.T) {
	for name, away := range map[string]reply{
		"500":       status(500, ""),
		"no answer": hang,
		"no quota":  apiError(429, "insufficient_quota", "insufficient_quota"),
		"401":       status(401, ""),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				one, two := newEndpoint(asSpace()), newEndpoint(asSpace())
				p, out := pairOf(t, one, two)
				if err := p.Check(t.Context()); err != nil {
					t.Fatal(err)
				}
				p.embed(t, "a")
				if one.calls.Load() != 1 || two.calls.Load() != 0 {
					t.Fatalf("%d and %d calls while both are well", one.calls.Load(), two.calls.Load())
				}
				one.is(away)
				for range 5 {
					p.embed(t, "bb")
				}
				if two.calls.Load() != 5 || two.keys.Load() != "backup-"+secret || two.model.Load() != "deployed" {
					t.Errorf("the backup had %d calls, the last with %v for %v", two.calls.Load(), two.keys.Load(), two.model.Load())
				}
				before := one.calls.Load()
				p.embed(t, "ccc")
				if one.calls.Load() != before {
					t.Error("the first one is asked while its breaker is open")
				}
				one.is(asSpace())
				time.Sleep(askAgain) // a refused key is tried again then, a breaker sooner
				p.embed(t, "dddd")
				synctest.Wait() // it has the first one tried
				before, backup := one.calls.Load(), two.calls.Load()
				for range 5 {
					p.embed(t, "dddd")
				}
				if one.calls.Load() != before+5 || two.calls.Load() != backup {
					t.Errorf("of 5 calls the first one had %d when it was well again", one.calls.Load()-before)
				}
				if s := out.String(); !strings.Contains(s, "out of use") || !strings.Contains(s, "in use again") || strings.Contains(s, secret) || strings.Contains(s, "api-version") {
					t.Errorf("log is\n%s", s)
				}
			})
		})
	}
}

func TestSlowedDownEndpointIsNotAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		one, two := newEndpoint(status(429, "", "Retry-After", "20")), newEndpoint(asSpace())
		p, _ := pairOf(t, one, two)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
		defer cancel()
		if _, err := p.Embed(ctx, []string{"a"}); err == nil || two.calls.Load() != 0 || !p.first.breaker.IsClosed() {
			t.Errorf("the backup had %d calls: %v", two.calls.Load(), err)
		}
	})
}

func TestBackupOfAnotherSpaceIsRefused(t *testing.T) {
	for _, tt := range []struct {
		name   string
		reply  reply
		change func(*Backup)
		says   string // "": it is taken
	}{
		{"the same", asSpace(), nil, ""},
		{"another length", asSpace(setVector(0, []float32{1, 2, 3})), nil, "3 dimensions, not 4"},
		{"another model", ok(setModel("bge-m3")), nil, "bge-m3"},
		{"its own name for the model", ok(), nil, "deployed"},
		{"its own name for the model, by setting", ok(), func(b *Backup) { b.AnswersAs = "deployed" }, ""},
		{"vectors that are not alike", asSpace(setVector(0, []float32{1, -2, 3, -4})), nil, "cosine"},
		{"vectors that are nearly alike", asSpace(setVector(0, []float32{22, 22, 23, 22})), nil, ""},
	} {
		for _, when := range []string{"at start", "before its first use"} {
			t.Run(tt.name+" "+when, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					one, two := newEndpoint(asSpace()), newEndpoint(tt.reply)
					p, out := pairOf(t, one, two, func(b *Backup) {
						if tt.change != nil {
							tt.change(b)
						}
					})
					if when == "at start" {
						check(t, p.Check(t.Context()), tt.says)
						return
					}
					two.is(status(503, ""))
					if err := p.Check(t.Context()); err != nil || !strings.Contains(out.String(), "it is checked before its first use") {
						t.Fatalf("a backup that is away: %v\n%s", err, out)
					}
					two.is(tt.reply)
					one.is(status(500, ""))
					var err error
					for range failures {
						_, err = p.Embed(t.Context(), []string{checkText})
					}
					check(t, err, tt.says)
				})
			})
		}
	}
}

// check fails where err is not a fatal one that says so, or none where says is empty.
func check(t *testing.T, err error, says string) {
	t.Helper()
	if says == "" && err == nil {
		return
	}
	if says == "" || fault.ClassOf(err) != fault.Fatal || !strings.Contains(err.Error(), says) || !strings.Contains(err.Error(), "backup") {
		t.Errorf("error is %v, and should say %q", err, says)
	}
}

func TestEachEndpointHasCapsOfItsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		one, two := newEndpoint(status(413, `{"error_type":"Validation"}`)), newEndpoint(asSpace())
		p, _ := pairOf(t, one, two)
		_, err := p.Embed(t.Context(), []string{"a", "b"})
		refusal, ok := errors.AsType[provider.TooLarge](err)
		if !ok {
			t.Fatal(err)
		}
		refusal.Fits(provider.Size{Texts: 1})
		if n := p.Largest().Texts; n != 1 {
			t.Errorf("%d texts for the first one", n)
		}
		one.is(status(401, ""))
		p.embed(t, "a")
		if n := p.Largest().Texts; n != math.MaxInt {
			t.Errorf("%d texts for the backup", n)
		}
	})
}

func TestBothEndpointsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		one, two := newEndpoint(status(500, "")), newEndpoint(status(401, ""))
		p, _ := pairOf(t, one, two)
		var err error
		for range failures {
			_, err = p.Embed(t.Context(), []string{"a"})
		}
		if fault.ClassOf(err) != fault.Transient || fault.AfterOf(err) <= 0 {
			t.Errorf("one of them may return, and the error is %v", err)
		}
		asked := one.calls.Load() + two.calls.Load()
		if _, err = p.Embed(t.Context(), []string{"a"}); fault.ClassOf(err) != fault.Transient || one.calls.Load()+two.calls.Load() != asked {
			t.Errorf("asked while both breakers are open: %v", err)
		}
		one.is(status(403, ""))
		time.Sleep(pause)
		_, _ = p.Embed(t.Context(), []string{"a"})
		synctest.Wait() // it has both tried
		if _, err = p.Embed(t.Context(), []string{"a"}); fault.ClassOf(err) != fault.Fatal || !strings.Contains(err.Error(), "both") {
			t.Errorf("none takes its key, and the error is %v", err)
		}
	})
}

func TestRefusedTextIsTheTextsFaultAtAnyEndpoint(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		one, two := newEndpoint(status(400, "{}")), newEndpoint(asSpace())
		p, _ := pairOf(t, one, two)
		for range 2 * failures {
			if _, err := p.Embed(t.Context(), []string{"a"}); fault.ClassOf(err) != fault.Permanent {
				t.Fatalf("error is %v", err)
			}
		}
		if two.calls.Load() != 0 {
			t.Errorf("the backup was asked %d times", two.calls.Load())
		}
	})
}

func TestSilentEndpointHoldsUpNoBatchWhileItIsOutOfUse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		one, two := newEndpoint(status(401, "")), newEndpoint(asSpace())
		p, _ := pairOf(t, one, two)
		p.embed(t, "a")
		one.is(hang)
		for range 20 {
			time.Sleep(pause)
			ctx, cancel := context.WithCancel(t.Context()) // as the batcher's, which ends with the call
			began := time.Now()
			if _, err := p.Embed(ctx, []string{"a"}); err != nil || time.Since(began) > time.Second {
				t.Fatalf("held up for %s: %v", time.Since(began), err)
			}
			cancel()
		}
		one.is(asSpace())
		time.Sleep(askAgain)
		p.embed(t, "a")
		synctest.Wait()
		p.embed(t, "a")
		if one.calls.Load() != 2 || two.calls.Load() != 22 {
			t.Errorf("%d calls of the first one, %d of the backup", one.calls.Load(), two.calls.Load())
		}
	})
}

// All who find the first one away ask whether the backup will do, and would wait for its silence one after the other.
func TestSilentBackupIsWaitedForByAllAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, _ := pairOf(t, newEndpoint(status(401, "")), newEndpoint(hang))
		began := time.Now()
		var all sync.WaitGroup
		for range 16 {
			all.Go(func() {
				if _, err := p.Embed(t.Context(), []string{"a"}); fault.ClassOf(err) != fault.Transient {
					t.Errorf("error is %v", err)
				}
			})
		}
		all.Wait()
		if took := time.Since(began); took > p.backup.cfg.TotalTimeout+p.backup.cfg.Timeout {
			t.Errorf("held up for %s", took)
		}
	})
}

func TestCallerWhoLeavesSaysNothingOfTheEndpoint(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, _ := pairOf(t, newEndpoint(hang), newEndpoint(asSpace()))
		for range failures {
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(time.Second, cancel)
			if _, err := p.Embed(ctx, []string{"a"}); err == nil {
				t.Fatal("no error")
			}
		}
		if !p.first.breaker.IsClosed() {
			t.Error("its breaker is open")
		}
	})
}

func TestWrongBackupSettingsAreRefused(t *testing.T) {
	_, err := NewPair(virtual(), Options{Model: "m", Dimensions: dims}, Backup{URL: "https://u:" + secret + "@h", KeyHeader: "x", SendDimensions: "auto"}, nil)
	if err == nil || !strings.Contains(err.Error(), "backup") || strings.Contains(err.Error(), secret) {
		t.Errorf("error is %v", err)
	}
}

// TestMetricsShowGatesAndBreakersAndNoKey reads what Prometheus would.
func TestMetricsShowGatesAndBreakersAndNoKey(t *testing.T) {
	limits := status(429, "", "X-Ratelimit-Limit-Requests", "600", "X-Ratelimit-Remaining-Requests", "0", "X-Ratelimit-Reset-Requests", "1s", "Retry-After", "60")
	one, two := serve(t, status(401, "")), serve(t, limits)
	cfg := settings(one.URL)
	cfg.MaxRetryAfter = time.Minute
	p, err := NewPair(cfg, Options{Model: "m", Dimensions: dims, Keys: func() string { return secret }},
		Backup{URL: two.URL, KeyHeader: "Authorization", SendDimensions: "auto"}, func() string { return secret + "1," + secret + "2" })
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	tel, err := telemetry.New(t.Context(), telemetry.Config{}, "test", "test")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tel.Close(t.Context()) }()
	if err := p.Publish(tel.Metrics); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var call sync.WaitGroup
	call.Go(func() { _, _ = p.Embed(ctx, []string{"a"}) })
	wanted := []string{
		`freshet_provider_breaker{endpoint="first"} 1`,
		`freshet_provider_breaker{endpoint="backup"} 0`,
		`freshet_provider_key_refused{endpoint="first",key="1"} 1`,
		`freshet_provider_key_refused{endpoint="backup",key="2"} 0`,
		`freshet_provider_gate_limit{endpoint="backup",key="2",unit="requests"} 378`,
		`freshet_provider_gate_shut_seconds{endpoint="backup",key="1"} 5`,
		`freshet_provider_gate_waiting{endpoint="backup",lane="live"} 1`,
		`freshet_provider_gate_waited_seconds{endpoint="backup",lane="bulk"} 0`,
	}
	var got string
	missing := func(want string) bool { return !strings.Contains(got, want) }
	for began := time.Now(); time.Since(began) < 20*time.Second; time.Sleep(time.Millisecond) {
		w := httptest.NewRecorder()
		tel.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
		if got = w.Body.String(); !slices.ContainsFunc(wanted, missing) {
			break
		}
	}
	cancel()
	call.Wait()
	for _, want := range wanted {
		if missing(want) {
			t.Errorf("no %s", want)
		}
	}
	if t.Failed() || strings.Contains(got, secret) {
		t.Errorf("metrics are\n%s", got)
	}
}
