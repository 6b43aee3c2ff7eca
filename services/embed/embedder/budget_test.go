package embedder

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/freshet-io/freshet/libs/fault"
	"github.com/freshet-io/freshet/libs/record"
)

func TestBudget_wantsAPrice(t *testing.T) {
	cfg := settings()
	cfg.PricePerMillion, cfg.BudgetPerDay = -1, 1
	if _, err := New(&fakeProvider{}, &fakeIndex{}, space, cfg); err == nil || !strings.Contains(err.Error(), "set FRESHET_EMBED_PRICE_PER_MILLION") {
		t.Error(err)
	}
}

// A budget of 40 tokens, at 10 a text.
func tight(c *Config) { c.PricePerMillion, c.BudgetPerDay, c.Currency = 1e6, 40, "tokens" }

// replica is one that runs until the test ends.
func replica(t *testing.T, shared *log, out *bytes.Buffer) *Embedder {
	t.Helper()
	e := newEmbedder(t, &charging{}, &fakeIndex{states: map[string]record.State{"Product/known": stored("shoe")}}, tight)
	j := &journal{shared: shared}
	if err := e.ledger.read(t.Context(), j); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	var all sync.WaitGroup
	all.Go(func() { _ = e.ledger.keep(ctx, j, slog.New(slog.NewTextHandler(out, nil))) })
	t.Cleanup(func() { stop(); all.Wait() })
	return e
}

func TestBudget_pausesPaidCallsUntilMidnightAndFailsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(20 * time.Hour)
		var out bytes.Buffer
		e := replica(t, &log{}, &out)
		for i := range int64(4) {
			handle(t, e, upsert(strconv.FormatInt(i, 10), fmt.Sprint("text ", i), 6+i))
		}
		began := time.Now()
		var paused time.Duration
		var all sync.WaitGroup
		all.Go(func() {
			outcomes, err := e.Handle(bounded(t), []Input{upsert("5", "one too many", 20)})
			paused = time.Since(began)
			if err != nil || outcomes[0].Label != Embedded {
				t.Errorf("%+v, %v", outcomes, err)
			}
		})
		time.Sleep(time.Hour)
		handle(t, e, upsert("known", "shoe", 21), remove("4", 22)) // what need not be paid for goes on
		if tokens, waiting := e.ledger.budget.state(); tokens != 40 || waiting != 1 || e.Counts().Requests != 4 {
			t.Errorf("spent %d, %d waiting, %d requests", tokens, waiting, e.Counts().Requests)
		}
		if said := e.ledger.pause(); !strings.Contains(said, "spent (40.0000 of 40.0000 tokens): 1 requests wait until 2000-01-02T00:00:00Z") {
			t.Errorf("readiness says %q", said)
		}
		all.Wait()
		if paused < 4*time.Hour || paused > 4*time.Hour+2*budgetLook {
			t.Errorf("paused for %s, and it was 20:00", paused)
		}
		if tokens, waiting := e.ledger.budget.state(); tokens != 10 || waiting != 0 || e.ledger.pause() != "" {
			t.Errorf("on the new day: spent %d, %d waiting, readiness says %q", tokens, waiting, e.ledger.pause())
		}
		if strings.Count(out.String(), "the embedding budget of the day is spent") != 1 || !strings.Contains(out.String(), "budget=40.0000 currency=tokens until=2000-01-02T00:00:00.000Z") {
			t.Errorf("it says\n%s", out.String())
		}
	})
}

func TestBudget_isThatOfAllReplicasAndOutlivesThem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared := &log{}
		var out bytes.Buffer
		a, b := replica(t, shared, &out), replica(t, shared, &out)
		handle(t, a, upsert("1", "one", 6), upsert("2", "two", 7))
		time.Sleep(2*keepEvery + time.Second)
		handle(t, b, upsert("3", "three", 8), upsert("4", "four", 9))
		time.Sleep(2*keepEvery + time.Second)
		for name, e := range map[string]*Embedder{"a": a, "b": b, "one that starts later": replica(t, shared, &out)} {
			ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
			if _, err := e.Handle(ctx, []Input{upsert("5", "five", 10)}); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%s goes on though all together have spent the budget: %v", name, err)
			}
			cancel()
		}
	})
}

func TestBudget_isNotExceededByCallsThatGoAtTheSameTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		e := replica(t, &log{}, &out)
		e.batcher.size.Texts = 1
		e.batcher.halver.provider.(*charging).before = func(context.Context, []string) error { time.Sleep(time.Minute); return nil }
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		var texts []Input
		for i := range int64(8) {
			texts = append(texts, upsert(strconv.FormatInt(i, 10), fmt.Sprint(strings.Repeat("x", 35), i), 6+i)) // estimated as 10
		}
		_, _ = e.Handle(ctx, texts)
		if n := e.Counts().Requests; n != 4 {
			t.Errorf("%d requests of 10 tokens, and the budget is 40", n)
		}
	})
}

func TestBudget_isGivenInTheOrderInWhichCallsCame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := budget{allowance: allow(100, 1e6)}
		b.spend(50)
		var mu sync.Mutex
		var went []int64
		var all sync.WaitGroup
		for _, tokens := range []int64{60, 50, 50, 50} { // none goes beside the first
			all.Go(func() {
				if err := b.reserve(bounded(t), tokens); err != nil {
					t.Error(err)
				}
				mu.Lock()
				went = append(went, tokens)
				mu.Unlock()
				b.release(tokens)
			})
			synctest.Wait()
		}
		if _, waiting := b.state(); waiting != 4 {
			t.Errorf("%d wait: small ones have gone before the large one, which they may do for ever", waiting)
		}
		all.Wait()
		if went[0] != 60 {
			t.Errorf("they went as %v", went)
		}
	})
}

func TestBudget_isNotGivenTwiceWhereTheClockIsSetBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := budget{allowance: allow(100, 1e6)}
		b.spend(60)
		b.learn("another replica, an hour ahead", time.Now().Add(24*time.Hour), 30)
		for _, tt := range []struct {
			after time.Duration
			want  int64
		}{{0, 60}, {24 * time.Hour, 30}, {24 * time.Hour, 0}} {
			time.Sleep(tt.after)
			if tokens, _ := b.state(); tokens != tt.want {
				t.Errorf("on %s %d tokens are spent, not %d", time.Now(), tokens, tt.want)
			}
		}
		if len(b.spent) != 1 {
			t.Errorf("%v is remembered", b.spent)
		}
		if yesterday := b.spent["another replica, an hour ahead"]; yesterday.tokens != 30 {
			t.Error("what would count again with a clock that is set back is forgotten")
		}
	})
}

func TestBudget_withoutBoundsIsNotAToken(t *testing.T) {
	for _, perDay := range []float64{1e18, 1e300, math.Inf(1)} {
		l := newLedger(Config{PricePerMillion: 0.02, BudgetPerDay: perDay}, "model")
		if l.budget.limit < 1e18 {
			t.Errorf("%g a day are %d tokens", perDay, l.budget.limit)
		}
	}
	cfg := settings()
	cfg.PricePerMillion, cfg.BudgetPerDay = math.NaN(), math.NaN()
	if err := cfg.Validate(); err == nil || !strings.Contains(err.Error(), "PRICE_PER_MILLION") || !strings.Contains(err.Error(), "BUDGET_PER_DAY") {
		t.Errorf("NaN: %v", err)
	}
}

func TestBudget_smallerThanACallLetsOneADayGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := budget{allowance: allow(5, 1e6)}
		for range 3 {
			if err := b.reserve(bounded(t), 10); err != nil {
				t.Fatal(err)
			}
			b.spend(10)
			b.release(10)
		}
		if now := time.Now(); now.Day() != 3 {
			t.Errorf("three calls were made until %s", now)
		}
	})
}

func TestBudget_ofACallThatFailedIsFreeAgain(t *testing.T) {
	e := newEmbedder(t, &charging{fakeProvider: fakeProvider{before: func(context.Context, []string) error { return fault.Halt("no quota") }}}, &fakeIndex{}, tight)
	_, _ = e.Handle(t.Context(), []Input{upsert("1", "one", 6)})
	if e.ledger.budget.reserved != 0 {
		t.Errorf("%d tokens are set aside for nothing", e.ledger.budget.reserved)
	}
}

func TestBudget_holdsUpNoProcessThatStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEmbedder(t, &charging{}, &fakeIndex{}, tight)
		e.ledger.budget.spend(40)
		running, stop := context.WithCancel(t.Context())
		var all sync.WaitGroup
		all.Go(func() { _ = e.ledger.keep(running, &journal{shared: &log{}}, slog.New(slog.DiscardHandler)) })
		time.AfterFunc(time.Minute, stop)
		began := time.Now()
		_, err := e.Handle(bounded(t), []Input{upsert("1", "one", 6), upsert("2", "two", 7)})
		if waited := time.Since(began); waited != time.Minute || fault.ClassOf(err) != fault.Transient || err == nil {
			t.Errorf("after %s: %v", waited, err)
		}
		all.Wait()
	})
}
