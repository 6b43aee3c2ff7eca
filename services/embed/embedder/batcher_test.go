package embedder

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/freshet-io/freshet/libs/fault"
)

// slow is a provider that takes its time, and notes when each request came and how
// large it was.
type slow struct {
	fakeProvider
	took time.Duration

	noted sync.Mutex
	sizes []int
	at    []time.Duration
	most  int // at the same time
	now   int
	ended []error
}

func newSlow(took time.Duration) *slow {
	s := &slow{took: took}
	began := time.Now()
	s.before = func(ctx context.Context, texts []string) error {
		var took time.Duration
		s.note(func() {
			took = s.took
			s.sizes = append(s.sizes, len(texts))
			s.at = append(s.at, time.Since(began))
			s.now++
			s.most = max(s.most, s.now)
		})
		var err error
		select {
		case <-time.After(took):
		case <-ctx.Done():
			err = ctx.Err()
		}
		s.note(func() { s.now--; s.ended = append(s.ended, err) })
		return err
	}
	return s
}

func (s *slow) note(f func()) {
	s.noted.Lock()
	defer s.noted.Unlock()
	f()
}

func batcherOf(p Provider, change ...func(*Config)) *batcher {
	cfg := settings()
	for _, c := range change {
		c(&cfg)
	}
	return newBatcher(&halver{provider: p, dimensions: dims, ledger: newLedger(cfg, "model")}, newCache(cfg.CacheBytes, dims), cfg)
}

func asksOf(texts []string) []ask {
	asks := make([]ask, len(texts))
	for i, text := range texts {
		asks[i] = ask{fitted: fitted{text: text, tokens: 10}, fingerprint: print16(text)}
	}
	return asks
}

// numbered returns n texts that differ.
func numbered(from, n int) []ask {
	texts := make([]string, n)
	for i := range texts {
		texts[i] = fmt.Sprintf("text %d", from+i)
	}
	return asksOf(texts)
}

// Requests of 80 ms, eight at a time: none begins within 10 ms of another, unless it is full, and no text waits longer.
func TestRequestsAreSpreadOverTheTimeThatOneTakes(t *testing.T) {
	for _, gap := range []time.Duration{12 * time.Millisecond, 3 * time.Millisecond, time.Millisecond / 2} {
		t.Run(gap.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newSlow(80 * time.Millisecond)
				b := batcherOf(p, func(c *Config) { c.InFlight, c.BatchItems = 8, 100 })
				for i := range 30 { // what a request takes is learnt
					_, _ = b.embed(t.Context(), numbered(-i, 1))
				}
				p.sizes, p.at = nil, nil
				var all sync.WaitGroup
				for i := range 100 {
					all.Go(func() {
						began := time.Now()
						_, _ = b.embed(t.Context(), numbered(i, 1))
						if took := time.Since(began); took > 90*time.Millisecond || gap > 10*time.Millisecond && took > 80*time.Millisecond {
							t.Errorf("text %d took %s", i, took)
						}
					})
					time.Sleep(gap)
				}
				all.Wait()
				for i := 1; i < len(p.at); i++ {
					if pause := p.at[i] - p.at[i-1]; pause < 9900*time.Microsecond {
						t.Errorf("request %d began %s after the one before", i, pause)
					}
				}
			})
		})
	}
}

func TestTextsThatComeWhileARequestIsInFlightGoTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newSlow(60 * time.Millisecond)
		b := batcherOf(p)
		var all sync.WaitGroup
		for i := range 6 { // 24 partitions would do the same
			all.Go(func() { _, _ = b.embed(t.Context(), numbered(i, 1)) })
			time.Sleep(time.Millisecond)
		}
		all.Wait()
		if !slices.Equal(p.sizes, []int{1, 5}) {
			t.Errorf("sizes are %v", p.sizes)
		}
	})
}

func TestBatchesClose(t *testing.T) {
	few := numbered(0, 300)
	big := numbered(0, 10)
	for i := range big {
		big[i].tokens = 40_000
	}
	wide := numbered(0, 5)
	for i := range wide {
		wide[i].text += strings.Repeat("x", 3000)
	}
	giant := numbered(0, 2)
	giant[0].tokens, giant[1].tokens = 200_000, 200_000
	tests := []struct {
		name  string
		texts []ask
		sizes []int
	}{
		{"at 256 texts", few, []int{44, 256}},
		{"at 100,000 tokens", big, []int{2, 2, 2, 2, 2}},
		{"at their bytes", wide, []int{1, 2, 2}},
		{"and let a text through that is beyond them alone", giant, []int{1, 1}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newSlow(time.Millisecond)
				b := batcherOf(p, func(c *Config) { c.BatchBytes = 8000 })
				if _, err := b.embed(t.Context(), tt.texts); err != nil {
					t.Fatal(err)
				}
				slices.Sort(p.sizes)
				if !slices.Equal(p.sizes, tt.sizes) {
					t.Errorf("sizes are %v, not %v", p.sizes, tt.sizes)
				}
			})
		})
	}
}

func TestFixedWaitIsKeptEvenWhenIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newSlow(time.Millisecond)
		b := batcherOf(p, func(c *Config) { c.BatchItems = 100; c.BatchWait = 500 * time.Millisecond })
		var all sync.WaitGroup
		all.Go(func() { _, _ = b.embed(t.Context(), numbered(0, 1)) })
		time.Sleep(400 * time.Millisecond)
		all.Go(func() { _, _ = b.embed(t.Context(), numbered(1, 120)) })
		all.Wait()
		if !slices.Equal(p.sizes, []int{100, 21}) || p.at[0] != 400*time.Millisecond || p.at[1] != 900*time.Millisecond {
			t.Errorf("sizes are %v at %v", p.sizes, p.at)
		}
	})
}

func TestNoMoreRequestsAreInFlightThanAllowed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newSlow(50 * time.Millisecond)
		b := batcherOf(p, func(c *Config) { c.InFlight = 3; c.BatchItems = 10 })
		var all sync.WaitGroup
		for i := range 20 {
			all.Go(func() {
				answers, err := b.embed(t.Context(), numbered(100*i, 25))
				if err != nil {
					t.Error(err)
				}
				for j, a := range answers {
					if string(a.vector) != string(vectorOf(numbered(100*i, 25)[j].text)) {
						t.Errorf("text %d of caller %d has another's vector", j, i)
					}
				}
			})
		}
		all.Wait()
		if p.most != 3 || len(p.sizes) != 50 {
			t.Errorf("%d at the same time, %d in all", p.most, len(p.sizes))
		}
	})
}

func TestCallerWhoLeavesTakesNobodyElsesTexts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newSlow(100 * time.Millisecond)
		b := batcherOf(p, func(c *Config) { c.InFlight = 1 })
		leaver, leave := context.WithCancel(t.Context())
		var all sync.WaitGroup
		embed := func(ctx context.Context, texts []ask, want error) {
			all.Go(func() {
				answers, err := b.embed(ctx, texts)
				if !errors.Is(err, want) || want == nil && len(answers) != len(texts) {
					t.Errorf("%s: %d answers, %v", texts[0].text, len(answers), err)
				}
			})
			synctest.Wait()
		}
		embed(leaver, numbered(0, 1), context.Canceled) // under way
		embed(leaver, numbered(1, 3), context.Canceled) // waits
		embed(t.Context(), numbered(0, 1), nil)         // joins the first
		embed(t.Context(), numbered(3, 2), nil)         // joins one of the second's, and brings one
		leave()
		all.Wait()
		if !slices.Equal(p.sizes, []int{1, 2}) || p.ended[0] != nil {
			t.Errorf("requests of %v texts, the first ended with %v", p.sizes, p.ended[0])
		}
	})
}

func TestRequestThatNobodyWaitsForIsCancelledAndItsTextCanBeAskedForAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newSlow(time.Hour)
		b := batcherOf(p)
		ctx, leave := context.WithCancel(t.Context())
		var all sync.WaitGroup
		all.Go(func() { _, _ = b.embed(ctx, numbered(0, 2)) })
		synctest.Wait()
		leave()
		all.Wait()
		p.took = time.Millisecond
		if _, err := b.embed(t.Context(), numbered(0, 2)); err != nil {
			t.Fatal(err)
		}
		if len(p.ended) != 2 || !errors.Is(p.ended[0], context.Canceled) || p.ended[1] != nil || len(b.byText) != 0 || len(b.lanes[0].flights) != 0 {
			t.Errorf("requests ended with %v", p.ended)
		}
	})
}

// A caller looks into the cache before it fits its texts: one may land in between.
func TestTextThatLandedSinceTheCacheWasLookedIntoIsNotAskedForAgain(t *testing.T) {
	p := &fakeProvider{}
	b := batcherOf(p)
	text := numbered(0, 1)
	for _, tt := range []struct {
		again, known bool
		requests     int
	}{{false, false, 1}, {false, true, 1}, {true, false, 2}} {
		text[0].again = tt.again
		answers, err := b.embed(t.Context(), text)
		if err != nil || answers[0].known != tt.known || string(answers[0].vector) != string(vectorOf(text[0].text)) || len(p.asked()) != tt.requests {
			t.Errorf("%+v: %d requests, %+v, %v", tt, len(p.asked()), answers, err)
		}
	}
}

func TestCallerWhoLeavesWithAKnownTextTakesNobodyElsesRequestForIt(t *testing.T) {
	b := batcherOf(&fakeProvider{})
	text := numbered(0, 1)
	if _, err := b.embed(t.Context(), text); err != nil {
		t.Fatal(err)
	}
	known, _ := b.join(text, nil)
	text[0].again = true
	asked, _ := b.join(text, nil)
	b.leave(known)
	b.mu.Lock()
	joined := b.byText[text[0].text]
	b.mu.Unlock()
	select {
	case <-asked[0].done: // sent by the request that ended before, and landed
	default:
		if joined != asked[0] {
			t.Error("the call of another cannot be joined any more")
		}
	}
}

func TestRefusedTextsAreFoundWithFewRequests(t *testing.T) {
	for _, tt := range []struct{ n, bad, requests int }{{256, 1, 17}, {256, 2, 33}, {2, 1, 3}, {1, 1, 2}, {100, 100, 200}} {
		t.Run(fmt.Sprintf("%d of %d", tt.bad, tt.n), func(t *testing.T) {
			isBad := func(text string) bool {
				var i int
				_, err := fmt.Sscanf(text, "text %d", &i)
				return err == nil && i < tt.bad*100 && i%100 == 0
			}
			texts := make([]string, tt.n)
			for i := range texts {
				texts[i] = fmt.Sprintf("text %d", i)
				if tt.bad == tt.n {
					texts[i] = fmt.Sprintf("text %d", 100*i)
				}
			}
			p := &fakeProvider{before: refuse(func(texts []string) bool { return slices.ContainsFunc(texts, isBad) })}
			answers := (&halver{provider: p, dimensions: dims, ledger: newLedger(settings(), "model")}).ask(t.Context(), asksOf(texts))
			for i, a := range answers {
				if isBad(texts[i]) != (fault.ClassOf(a.err) == fault.Permanent && a.err != nil) {
					t.Errorf("%s: %v", texts[i], a.err)
				}
				if a.err == nil && string(a.vector) != string(vectorOf(texts[i])) {
					t.Errorf("%s has another's vector", texts[i])
				}
			}
			if n := len(p.asked()); n > tt.requests {
				t.Errorf("%d requests, more than %d", n, tt.requests)
			}
		})
	}
}

func TestProviderThatRefusesEverythingStopsTheServiceInsteadOfEmptyingTheCatalogue(t *testing.T) {
	p := &fakeProvider{before: refuse(func([]string) bool { return true })}
	e := newEmbedder(t, p, &fakeIndex{})
	_, err := e.Handle(t.Context(), []Input{upsert("1", "shoe", 1), upsert("2", "boot", 2)})
	if fault.ClassOf(err) != fault.Fatal || !strings.Contains(err.Error(), "refuses every text") {
		t.Fatalf("error is %v", err)
	}
}

// TestPartitionsShareRequests is the whole handler under a day's usual load.
func TestPartitionsShareRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newSlow(60 * time.Millisecond)
		e := newEmbedder(t, p, &fakeIndex{})
		var all sync.WaitGroup
		for partition := range 24 {
			all.Go(func() {
				time.Sleep(time.Duration(partition) * 7 * time.Millisecond)
				for n := range 20 {
					id := fmt.Sprintf("%d-%d", partition, n)
					out, err := e.Handle(t.Context(), []Input{upsert(id, "text of "+id, int64(n+1))})
					if err != nil || out[0].Label != Embedded {
						t.Errorf("%s: %v, %v", id, out, err)
						return
					}
					check(t, upsert(id, "text of "+id, int64(n+1)), out[0].Out, nil, Embedded)
				}
			})
		}
		all.Wait()
		if n := len(p.sizes); n >= 24*20/2 || p.most > 8 {
			t.Errorf("%d requests for 480 texts, %d at the same time", n, p.most)
		}
	})
}
