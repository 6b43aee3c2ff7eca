package openai

import (
	"context"
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

// Else all live requests together would begin with six seconds' worth of tokens, which not every server takes.
func TestLiveRequestsAloneMakeNoDebt(t *testing.T) {
	now := time.Now()
	g := newGate("", Config{TokensPerMinute: 60_000}, now)
	for _, bulk := range []int{0, 2000} {
		g.admit(bulk, true, 0, now)
		passed := 0
		for ; g.wait(100, true, now) == 0; passed += 100 {
			g.admit(100, false, 0, now)
		}
		if passed != 1000 {
			t.Errorf("%d live tokens passed at once beside %d of a backfill, and the bucket holds 1000", passed, bulk)
		}
		now = now.Add(time.Minute)
		g.wait(0, true, now)
	}
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
