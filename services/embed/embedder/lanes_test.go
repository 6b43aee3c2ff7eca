package embedder

import (
	"context"
	"fmt"
	"math"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/freshet-io/freshet/libs/kafka"
	"github.com/freshet-io/freshet/libs/record"
	"github.com/freshet-io/freshet/libs/stage"
	"github.com/freshet-io/freshet/services/embed/provider"
)

// TestLiveTextsDoNotWaitForABackfill: all requests that a backfill may have wait at the
// provider's limit, as the lane that each of them has tells it.
func TestLiveTextsDoNotWaitForABackfill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		waiting := map[*provider.Lane][]string{}
		limit := make(chan struct{})
		p := &fakeProvider{before: func(ctx context.Context, texts []string) error {
			lane := provider.LaneOf(ctx)
			if !lane.Bulk() {
				return nil
			}
			mu.Lock()
			waiting[lane] = texts
			mu.Unlock()
			<-limit
			return nil
		}}
		b := batcherOf(p, func(c *Config) { c.InFlight, c.BatchItems = 2, 1 })
		bulk := provider.WithLane(t.Context(), provider.NewLane(true, nil))
		var all sync.WaitGroup
		all.Go(func() {
			if answers, err := b.embed(bulk, numbered(0, 5)); err != nil || !allPassed(answers) {
				t.Errorf("%v, %v", answers, err)
			}
		})
		synctest.Wait()
		began := time.Now()
		if _, err := b.embed(t.Context(), numbered(100, 3)); err != nil || time.Since(began) > time.Second {
			t.Errorf("live texts waited %s: %v", time.Since(began), err)
		}

		// One that waits in the queue: it goes with the live ones.
		if _, err := b.embed(t.Context(), numbered(4, 1)); err != nil || time.Since(began) > time.Second {
			t.Errorf("a bulk text that a live caller asks for waited %s: %v", time.Since(began), err)
		}
		// One under way: its request becomes a live one.
		all.Go(func() { _, _ = b.embed(t.Context(), numbered(0, 1)) })
		synctest.Wait()
		live := 0
		for lane, texts := range waiting {
			if !lane.Bulk() {
				live++
				if texts[0] != "text 0" {
					t.Errorf("the request for %v became live", texts)
				}
			}
		}
		if live != 1 || len(waiting) != 2 {
			t.Errorf("%d of %d requests of the backfill became live", live, len(waiting))
		}
		close(limit)
		all.Wait()
		asked := map[string]int{}
		for _, texts := range p.asked() {
			for _, text := range texts {
				asked[text]++
			}
		}
		for text, n := range asked {
			if n != 1 {
				t.Errorf("%q was asked for %d times", text, n)
			}
		}
		if len(asked) != 8 || len(b.lanes[0].flights)+len(b.lanes[1].flights) != 0 {
			t.Errorf("%d texts asked for, %d and %d requests left", len(asked), len(b.lanes[0].flights), len(b.lanes[1].flights))
		}
	})
}

// paced is a provider with one request each 20 seconds, and few tokens in each.
type paced struct {
	fakeProvider
	tokens int
}

func (p *paced) Largest() provider.Size {
	return provider.Size{Texts: math.MaxInt, Tokens: p.tokens, Bytes: math.MaxInt}
}

func newPaced(tokens int) *paced {
	p := &paced{tokens: tokens}
	var mu sync.Mutex
	next := time.Now()
	p.before = func(ctx context.Context, _ []string) error {
		mu.Lock()
		at := next
		next = later(next, time.Now()).Add(20 * time.Second)
		mu.Unlock()
		if wait := time.Until(at); wait > 0 {
			provider.LaneOf(ctx).Wait(true)
			time.Sleep(wait)
			provider.LaneOf(ctx).Wait(false)
		}
		return nil
	}
	return p
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// TestTextsThatComeWhileTheRateLimitIsWaitedForGoTogether: with all requests in flight
// waiting, each text would wait for all of them, and most would go nearly alone.
func TestTextsThatComeWhileTheRateLimitIsWaitedForGoTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPaced(math.MaxInt)
		b := batcherOf(p)
		var all sync.WaitGroup
		for i := range 600 {
			all.Go(func() {
				began := time.Now()
				if _, err := b.embed(t.Context(), numbered(i, 1)); err != nil || time.Since(began) > 45*time.Second {
					t.Errorf("text %d took %s: %v", i, time.Since(began), err)
				}
			})
			time.Sleep(time.Second)
		}
		all.Wait()
		if n := len(p.asked()); n > 35 {
			t.Errorf("%d requests", n)
		}
	})
}

func TestRequestHoldsNoMoreTokensThanTheRateLimitAllows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPaced(100)
		if _, err := batcherOf(p).embed(t.Context(), numbered(0, 35)); err != nil { // of 10 tokens each
			t.Fatal(err)
		}
		for _, texts := range p.asked() {
			if len(texts) > 10 {
				t.Errorf("%d texts in a request", len(texts))
			}
		}
	})
}

// TestTextThatHadToWaitForARequestIsNotForgotten: when that one ends it is not yet time.
func TestTextThatHadToWaitForARequestIsNotForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := batcherOf(newSlow(10*time.Millisecond), func(c *Config) { c.InFlight, c.BatchWait = 1, 500*time.Millisecond })
		var all sync.WaitGroup
		for i := range 2 {
			all.Go(func() { _, _ = b.embed(t.Context(), numbered(i, 1)) })
			time.Sleep(501 * time.Millisecond)
		}
		all.Wait()
	})
}

// TestRequestsDoNotInheritFromEachOther: each is started when another one ends, and would
// keep the memory of all before it.
func TestRequestsDoNotInheritFromEachOther(t *testing.T) {
	var sizes []int
	var mu sync.Mutex
	p := &fakeProvider{before: func(ctx context.Context, _ []string) error {
		mu.Lock()
		defer mu.Unlock()
		sizes = append(sizes, len(fmt.Sprint(ctx)))
		return nil
	}}
	b := batcherOf(p, func(c *Config) { c.InFlight, c.BatchItems = 1, 1 })
	if _, err := b.embed(t.Context(), numbered(0, 50)); err != nil {
		t.Fatal(err)
	}
	if last := sizes[len(sizes)-1]; last > sizes[0]+100 {
		t.Errorf("the first context is %d characters long, the last %d", sizes[0], last)
	}
}

// TestStageOfTheBackfillSaysSo: the lanes differ by their handlers alone.
func TestStageOfTheBackfillSaysSo(t *testing.T) {
	var lanes []bool
	p := &fakeProvider{before: func(ctx context.Context, _ []string) error {
		lanes = append(lanes, provider.LaneOf(ctx).Bulk())
		return nil
	}}
	live, bulk := NewStages(Settings{}, kafka.Identity{}, newEmbedder(t, p, &fakeIndex{}))
	for i, handler := range []stage.Handler[Input, *record.Vector]{live.Handler, bulk.Handler} {
		if _, err := handler.Handle(t.Context(), []Input{upsert("1", []string{"a", "b"}[i], 1)}); err != nil {
			t.Fatal(err)
		}
	}
	if !slices.Equal(lanes, []bool{false, true}) {
		t.Errorf("bulk is %v", lanes)
	}
}
