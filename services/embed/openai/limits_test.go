package openai

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/freshet-io/freshet/libs/fake/embeddings"
	"github.com/freshet-io/freshet/libs/fault"
	"github.com/freshet-io/freshet/services/embed/provider"
)

// connect has a client speak real HTTP to a handler, in the bubble of the test.
func connect(t *testing.T, c *Client, h http.Handler) {
	t.Helper()
	listener, dial := embeddings.Listen()
	s := &http.Server{Handler: h}
	go func() { _ = s.Serve(listener) }()
	c.Dial(dial)
	t.Cleanup(func() {
		c.Close()
		_ = s.Close()
	})
}

// account is a server's view of one key: a bucket of a minute's requests and tokens.
type account struct {
	requests, tokens float64
	at               time.Time
}

// limited is a server that holds each key to its limits, and counts what it was asked.
type limited struct {
	perMinute, tokens float64 // 0: no limit
	headers           bool    // whether it tells of its limits
	before            func(w http.ResponseWriter, key string) bool

	mu       sync.Mutex
	accounts map[string]*account
	paid     map[string]int // texts
	byKey    map[string]int // right answers
	refused  int            // 429
	size     map[bool]int   // tokens paid, by whether the text is a bulk one
}

func newLimited(perMinute, tokens float64) *limited {
	return &limited{perMinute: perMinute, tokens: tokens, accounts: map[string]*account{}, paid: map[string]int{}, byKey: map[string]int{}, size: map[bool]int{}}
}

func (s *limited) account(key string) *account {
	a := s.accounts[key]
	if a == nil {
		a = &account{requests: s.perMinute, tokens: s.tokens, at: time.Now()}
		s.accounts[key] = a
	}
	minutes := time.Since(a.at).Minutes()
	a.at = time.Now()
	a.requests = min(a.requests+minutes*s.perMinute, s.perMinute)
	a.tokens = min(a.tokens+minutes*s.tokens, s.tokens)
	return a
}

// tokensOf is what the server charges: a token for two bytes.
func tokensOf(texts []string) int { return len(strings.Join(texts, "")) / 2 }

func (s *limited) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var req asked
	_ = json.NewDecoder(r.Body).Decode(&req)
	key := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.before != nil && !s.before(w, key) {
		return
	}
	a := s.account(key)
	cost := tokensOf(req.Input)
	if s.headers {
		w.Header().Set("X-Ratelimit-Limit-Requests", fmt.Sprint(s.perMinute))
		w.Header().Set("X-Ratelimit-Remaining-Requests", fmt.Sprint(math.Floor(max(a.requests-1, 0))))
		w.Header().Set("X-Ratelimit-Reset-Requests", "20s")
	}
	// The bucket may go into debt by one request, as OpenAI's does.
	short := max((1-a.requests)/s.perMinute, -a.tokens/s.tokens)
	if s.tokens == 0 {
		short = (1 - a.requests) / s.perMinute
	}
	if s.perMinute > 0 && short > 1e-9 {
		s.refused++
		w.Header().Set("Retry-After", strconv.FormatFloat(short*60, 'f', 3, 64))
		w.WriteHeader(http.StatusTooManyRequests)
		return
	}
	a.requests--
	a.tokens -= float64(cost)
	s.byKey[key]++
	for _, text := range req.Input {
		s.paid[text]++
		s.size[strings.HasPrefix(text, "bulk")] += tokensOf([]string{text})
	}
	ok(embeddings.SetUsage(map[string]any{"total_tokens": cost}))(w, r, req)
}

// embedAll embeds texts, each in a request of its own, so many at a time, and returns how
// long it took.
func embedAll(t *testing.T, c *Client, texts []string, atATime int) time.Duration {
	t.Helper()
	began := time.Now()
	next := make(chan string, len(texts))
	for _, text := range texts {
		next <- text
	}
	close(next)
	var all sync.WaitGroup
	for range atATime {
		all.Go(func() {
			for text := range next {
				got, err := c.Embed(t.Context(), []string{text})
				if err != nil || fmt.Sprint(got.Vectors[0]) != fmt.Sprint(vectorOf(text)) {
					t.Errorf("%s: %v, %v", text, got.Vectors, err)
				}
			}
		})
	}
	all.Wait()
	return time.Since(began)
}

func chunks(n, size int) []string {
	texts := make([]string, n)
	for i := range texts {
		texts[i] = fmt.Sprintf("%-*s", size, fmt.Sprintf("chunk %d", i))
	}
	return texts
}

// within fails where not each text was paid once, or the time is more than a tenth beyond
// what the limit's pace allows. That it is not shorter is the server's business.
func within(t *testing.T, s *limited, texts int, took, allowed time.Duration) {
	t.Helper()
	t.Logf("took %s of %s (%.1f %%), %d times refused", took, allowed, 100*took.Seconds()/allowed.Seconds(), s.refused)
	if len(s.paid) != texts {
		t.Errorf("%d of %d texts were embedded", len(s.paid), texts)
	}
	for text, n := range s.paid {
		if n != 1 {
			t.Errorf("%q was paid %d times", text, n)
		}
	}
	if took > allowed*11/10 {
		t.Errorf("took %s, where the limit allows %s", took, allowed)
	}
}

func virtual() Config {
	cfg := settings("http://provider.test")
	cfg.MaxRetryAfter = time.Minute
	cfg.Timeout, cfg.TotalTimeout = 30*time.Second, 2*time.Minute
	return cfg
}

func TestFortySevenChunksAtThreeRequestsAMinute(t *testing.T) {
	for _, tt := range []struct {
		name       string
		setting    int
		headers    bool
		mayRefused int
	}{
		{"limit by setting", 3, false, 0},
		{"limit by headers", 0, true, 7},         // those sent before the first answer
		{"limit by 429 alone", 0, false, 47 * 8}, // each of those who wait, once for each that passes
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newLimited(3, 0)
				s.headers = tt.headers
				cfg := virtual()
				cfg.RequestsPerMinute = tt.setting
				c := client(t, cfg)
				connect(t, c, s)
				took := embedAll(t, c, chunks(47, 20), 8)
				within(t, s, 47, took, 47*20*time.Second)
				if s.refused > tt.mayRefused {
					t.Errorf("refused %d times", s.refused)
				}
			})
		})
	}
}

func TestNineOfTenRequestsAnswer429ForHalfAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const perMinute, texts = 60, 600
		s := newLimited(perMinute, 0)
		began := time.Now()
		random := rand.New(rand.NewPCG(1, 2))
		s.before = func(w http.ResponseWriter, _ string) bool {
			at := time.Since(began) - time.Minute
			if at < 0 || at > 30*time.Second || random.IntN(10) == 0 {
				return true
			}
			s.refused++
			w.WriteHeader(http.StatusTooManyRequests)
			return false
		}
		cfg := virtual()
		cfg.RequestsPerMinute = perMinute
		c := client(t, cfg)
		connect(t, c, s)
		took := embedAll(t, c, chunks(texts, 20), 8)
		within(t, s, texts, took, texts*time.Second+27*time.Second)
		if s.refused == 0 || s.refused > 30 {
			t.Errorf("refused %d times", s.refused)
		}
	})
}

func TestTokensAMinuteHoldForTextsThatAreLargerThanTheBucket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newLimited(600, 6000) // 100 tokens a second
		cfg := virtual()
		cfg.TokensPerMinute = 6000
		c := client(t, cfg)
		connect(t, c, s)
		took := embedAll(t, c, chunks(60, 2000), 8) // 1,000 tokens each, estimated to be 600 at first
		within(t, s, 60, took, 60*10*time.Second)
		if s.refused > 0 {
			t.Errorf("refused %d times", s.refused)
		}
	})
}

func TestReplicasShareTheLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newLimited(60, 0)
		s.headers = true
		cfg := virtual()
		cfg.Replicas = 3
		var all sync.WaitGroup
		began := time.Now()
		for replica := range 3 {
			c := client(t, cfg)
			connect(t, c, s)
			all.Go(func() { embedAll(t, c, chunks(300, 20)[100*replica:100*replica+100], 8) })
		}
		all.Wait()
		within(t, s, 300, time.Since(began), 300*time.Second)
		if s.refused > 0 {
			t.Errorf("refused %d times", s.refused)
		}
	})
}

func TestLiveGoesBeforeBulkThatKeepsItsFloor(t *testing.T) {
	for _, size := range []int{20, 400} { // of a bulk text, in bytes; live ones have 20
		t.Run(strconv.Itoa(size), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newLimited(6000, 6000)
				cfg := virtual()
				cfg.TokensPerMinute = 6000
				c := client(t, cfg)
				connect(t, c, s)
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
				defer cancel()
				var all sync.WaitGroup
				for i := range 8 {
					for _, bulk := range []bool{false, true} {
						all.Go(func() {
							for n := 0; ctx.Err() == nil; n++ {
								if bulk {
									_, _ = c.Embed(provider.WithLane(ctx, provider.NewLane(true, nil)), []string{fmt.Sprintf("bulk%*d", size-4, 1000*i+n)})
								} else {
									_, _ = c.Embed(ctx, []string{fmt.Sprintf("live%*d", 16, 1000*i+n)})
								}
							}
						})
					}
				}
				all.Wait()
				share := float64(s.size[true]) / float64(s.size[true]+s.size[false])
				t.Logf("bulk has %.1f %% of %d tokens", 100*share, s.size[true]+s.size[false])
				if share < 0.07 || share > 0.13 {
					t.Errorf("bulk has %.1f %% of the tokens", 100*share)
				}
			})
		})
	}
}

func TestLiveRequestOvertakesTheBulkOnesThatWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newLimited(6, 0)
		cfg := virtual()
		cfg.RequestsPerMinute = 6
		c := client(t, cfg)
		connect(t, c, s)
		ctx, cancel := context.WithCancel(t.Context())
		hurried := provider.NewLane(true, nil)
		var all sync.WaitGroup
		for i := range 20 {
			all.Go(func() {
				_, _ = c.Embed(provider.WithLane(ctx, provider.NewLane(true, nil)), []string{fmt.Sprintf("bulk %d", i)})
			})
		}
		time.Sleep(30 * time.Second)
		all.Go(func() {
			began := time.Now()
			if _, err := c.Embed(provider.WithLane(ctx, hurried), []string{"bulk that a live caller joins"}); err != nil || time.Since(began) > 35*time.Second {
				t.Errorf("the one that was made live waited %s: %v", time.Since(began), err)
			}
		})
		synctest.Wait()
		began := time.Now()
		if _, err := c.Embed(ctx, []string{"live"}); err != nil || time.Since(began) > 12*time.Second {
			t.Errorf("waited %s behind bulk: %v", time.Since(began), err)
		}
		hurried.Hurry()
		time.Sleep(25 * time.Second)
		cancel()
		all.Wait()
	})
}

func TestLiveRequestNeedNotWaitForTheDebtOfALargeBulkOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newLimited(6000, 6000)
		cfg := virtual()
		cfg.TokensPerMinute = 6000
		c := client(t, cfg)
		connect(t, c, s)
		if most := c.Largest().Tokens; most != 600 {
			t.Fatalf("a request may have %d tokens", most)
		}
		bulk := provider.WithLane(t.Context(), provider.NewLane(true, nil))
		embed := func(ctx context.Context, text string) time.Duration {
			began := time.Now()
			if _, err := c.Embed(ctx, []string{text}); err != nil {
				t.Error(err)
			}
			return time.Since(began)
		}
		embed(bulk, strings.Repeat("b", 1200)) // 600 tokens: six seconds' worth
		if took := embed(t.Context(), "live"); took > time.Second {
			t.Errorf("a live request waited %s", took)
		}
		hurried := provider.NewLane(true, nil) // a live caller joins it after a second
		time.AfterFunc(time.Second, hurried.Hurry)
		if took := embed(provider.WithLane(t.Context(), hurried), "joined"); took > 1100*time.Millisecond {
			t.Errorf("a bulk request that a live caller has joined waited %s", took)
		}
		if took := embed(bulk, "bulk"); took < 3*time.Second {
			t.Errorf("the next bulk request waited %s", took)
		}
	})
}

func withKeys(t *testing.T, cfg Config, keys func() string) *Client {
	t.Helper()
	c, err := New(cfg, Options{Model: "text-embedding-3-large", Dimensions: dims, Keys: keys})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func TestEachKeyHasItsOwnLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newLimited(3, 0)
		cfg := virtual()
		cfg.RequestsPerMinute = 3
		c := withKeys(t, cfg, func() string { return "a, b\n" })
		connect(t, c, s)
		took := embedAll(t, c, chunks(46, 20), 8)
		within(t, s, 46, took, 23*20*time.Second)
		if s.refused > 0 || s.byKey["a"] < 20 || s.byKey["b"] < 20 {
			t.Errorf("%v, refused %d times", s.byKey, s.refused)
		}
	})
}

// refuseKeys answers requests with some keys as the server does that does not take them.
func refuseKeys(bad map[string]reply) func(http.ResponseWriter, string) bool {
	return func(w http.ResponseWriter, key string) bool {
		if r := bad[key]; r != nil {
			r(w, nil, asked{})
			return false
		}
		return true
	}
}

func TestRefusedKeyIsPutAsideAndTriedAgain(t *testing.T) {
	for name, refusal := range map[string]reply{
		"401":      apiError(401, "invalid_request_error", "invalid_api_key"),
		"403":      status(403, ""),
		"no quota": apiError(429, "insufficient_quota", "insufficient_quota"),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newLimited(0, 0)
				tried := 0
				bad := map[string]reply{"a": func(w http.ResponseWriter, r *http.Request, req asked) { tried++; refusal(w, r, req) }}
				s.before = refuseKeys(bad)
				keys := "a,b"
				c := withKeys(t, virtual(), func() string { return keys })
				connect(t, c, s)
				began := time.Now()
				embedAll(t, c, chunks(20, 20), 1)
				if tried != 1 || s.byKey["b"] != 20 || time.Since(began) > time.Second {
					t.Errorf("tried %d times, %v, in %s", tried, s.byKey, time.Since(began))
				}
				keys = "b,a" // the other one, with all the room there is, goes first
				time.Sleep(askAgain)
				embedAll(t, c, chunks(5, 21), 1)
				if tried != 2 {
					t.Errorf("tried %d times", tried)
				}
				delete(bad, "a")
				time.Sleep(askAgain)
				embedAll(t, c, chunks(5, 22), 1)
				if s.byKey["a"] != 1 {
					t.Errorf("%v when the key is taken again", s.byKey)
				}
			})
		})
	}
}

func TestOnlyWhenAllKeysAreRefusedItIsFatal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newLimited(0, 0)
		keys := "a,b"
		refusal := apiError(401, "invalid_request_error", "invalid_api_key")
		s.before = refuseKeys(map[string]reply{"a": refusal, "b": refusal})
		c := withKeys(t, virtual(), func() string { return keys })
		connect(t, c, s)
		for range 2 {
			_, err := c.Embed(t.Context(), []string{"x"})
			if fault.ClassOf(err) != fault.Fatal || !strings.Contains(err.Error(), "all 2 keys") {
				t.Fatalf("error is %v", err)
			}
		}
		keys = "a,new"
		if _, err := c.Embed(t.Context(), []string{"x"}); err != nil || s.byKey["new"] != 1 {
			t.Errorf("with a new key: %v, %v", s.byKey, err)
		}
	})
}

func TestLimitsAreLearntFromHeadersAndLoweredByRefusals(t *testing.T) {
	now := time.Now()
	g := newGate("", Config{MaxRetryAfter: time.Minute, Replicas: 2}, now)
	header := func(limit, remaining, reset string) http.Header {
		h := http.Header{}
		h.Set("X-Ratelimit-Limit-Requests", limit)
		h.Set("X-Ratelimit-Remaining-Requests", remaining)
		h.Set("X-Ratelimit-Reset-Requests", reset)
		return h
	}
	passes := func() float64 { return math.Round(float64(g.requests.limiter.Limit()) * 60) }
	g.learn(header("200", "199", "7m12s"), now) // a day's limit
	if g.requests.limiter != nil {
		t.Fatalf("a day's limit was taken for a minute's: %v", passes())
	}
	g.learn(header("-1", "-1", ""), now) // Azure, where it has none
	g.learn(header("0.0001", "0", ""), now)
	if g.wait(1, false, now) != 0 {
		t.Errorf("a header has us wait %s", g.wait(1, false, now))
	}
	g.learn(header("12000", "11999", "5ms"), now)
	if passes() != 5400 {
		t.Errorf("%v a minute pass, not 90 %% of half of 12,000", passes())
	}
	if g.wait(1, false, now) != 0 {
		t.Error("the bucket is empty")
	}
	g.learn(header("12000", "0", "1s"), now) // others have used it up
	if g.wait(1, false, now) == 0 {
		t.Error("nothing is left, and a request passes")
	}
	g.slow(0, now, now)
	g.slow(0, now.Add(-time.Second), now) // of the same burst
	if passes() != 3780 {
		t.Errorf("%v a minute pass after a 429, not 70 %% of 5,400", passes())
	}
	for i, want := range []float64{4080, 4380} {
		if g.wait(1, false, now.Add(time.Duration(i+1)*step)); passes() != want {
			t.Errorf("%v a minute pass after %d steps, not %v", passes(), i+1, want)
		}
	}
	if g.wait(1, false, now.Add(time.Hour)); passes() != 6000 {
		t.Errorf("%v a minute pass in the end, not 6,000", passes())
	}
}
