package embedder

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/freshet-io/freshet/services/embed/provider"
)

// limited is a provider that takes a request each so often, live ones first, as package openai waits for a rate limit.
type limited struct {
	fakeProvider
	every time.Duration

	lanes   sync.Mutex
	waiting [2]int
	next    time.Time
}

func newLimited(every time.Duration) *limited {
	p := &limited{every: every}
	p.before = func(ctx context.Context, _ []string) error {
		own := provider.LaneOf(ctx)
		lane := 0
		if own.Bulk() {
			lane = 1
		}
		p.lanes.Lock()
		p.waiting[lane]++
		p.lanes.Unlock()
		own.Wait(true)
		defer own.Wait(false)
		for {
			p.lanes.Lock()
			now := time.Now()
			turn := !now.Before(p.next) && (lane == 0 || p.waiting[0] == 0)
			if turn {
				p.next = now.Add(p.every)
				p.waiting[lane]--
			}
			p.lanes.Unlock()
			if turn {
				return nil
			}
			select {
			case <-time.After(50 * time.Millisecond):
			case <-ctx.Done():
				p.lanes.Lock()
				p.waiting[lane]--
				p.lanes.Unlock()
				return ctx.Err()
			}
		}
	}
	return p
}

// flow has perSecond changes a second of new texts come for so long, in one partition, and waits until all have vectors.
func flow(t *testing.T, e *Embedder, perSecond int, lasts time.Duration) {
	t.Helper()
	var mu sync.Mutex
	var owed []Input
	done := false
	var all, live sync.WaitGroup
	flights := make(chan struct{}, 4)
	all.Go(func() {
		for {
			mu.Lock()
			batch := owed[:min(len(owed), 100)]
			over := done && len(owed) == 0
			mu.Unlock()
			if over {
				return
			}
			if len(batch) == 0 {
				time.Sleep(100 * time.Millisecond)
				continue
			}
			out, err := followers{e}.Handle(t.Context(), batch)
			if err != nil {
				t.Error(err)
				return
			}
			var rest []Input
			for i, o := range out {
				if o.Later {
					rest = append(rest, batch[i])
				}
			}
			mu.Lock()
			owed = append(rest, owed[len(batch):]...)
			mu.Unlock()
		}
	})
	n := 0
	for began := time.Now(); time.Since(began) < lasts; time.Sleep(time.Second) {
		var batch []Input
		for range perSecond {
			n++
			batch = append(batch, upsert(strconv.Itoa(n), fmt.Sprint("text ", n), int64(n)))
		}
		flights <- struct{}{}
		live.Go(func() {
			defer func() { <-flights }()
			out, err := e.Handle(t.Context(), batch)
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			for i, o := range out {
				if o.Later {
					owed = append(owed, batch[i])
				}
			}
		})
	}
	live.Wait()
	mu.Lock()
	done = true
	mu.Unlock()
	all.Wait()
}

// TestOvertake_whatComesLateIsPaidOnce: the documents of a request that comes late wait behind all that is owed before
// them, and what it brought is no longer remembered when they are handled again.
func TestOvertake_whatComesLateIsPaidOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newLimited(3 * time.Second)
		e := newEmbedder(t, p, &fakeIndex{}, overtaking, func(c *Config) { c.CacheBytes = 500 * (4*dims + overhead) })
		flow(t, e, 10, 4*time.Minute)
		texts, paid := map[string]bool{}, 0
		for _, request := range p.asked() {
			for _, text := range request {
				texts[text] = true
			}
			paid += len(request)
		}
		if most := len(texts) + len(texts)/100; len(texts) != 2400 || paid > most {
			t.Errorf("paid for %d texts, of %d", paid, len(texts))
		}
	})
}

// Who is late once is not late for ever, also where no request is ever quick.
func TestOvertake_aProviderThatWasLateIsAskedForLiveTextsAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newSlow(3 * time.Second)
		e := newEmbedder(t, p, &fakeIndex{}, overtaking)
		late := upsert("1", "boot", 7)
		expect(t, e, "pending:pending…", 2*time.Second, late)
		expect(t, followers{e}, "reused:present", time.Second, late)
		expect(t, e, "pending:pending…", 0, upsert("2", "sock", 8))
		p.note(func() { p.took = 100 * time.Millisecond })
		expect(t, followers{e}, "embedded:present", p.took, upsert("2", "sock", 8))
		expect(t, e, "embedded:present", p.took, upsert("3", "hat", 9)) // it is quick

		p.note(func() { p.took = 3 * time.Second })
		expect(t, e, "pending:pending…", 2*time.Second, upsert("4", "shoe", 10))
		p.note(func() { p.took = 1500 * time.Millisecond })
		time.Sleep(lateFor)
		expect(t, e, "embedded:present", p.took, upsert("5", "glove", 11)) // or has had time
	})
}

// TestOvertake_aRequestThatWaitsForTheBudgetEndsWithItsPartition: who has it now pays for its texts.
func TestOvertake_aRequestThatWaitsForTheBudgetEndsWithItsPartition(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &charging{}
		e := newEmbedder(t, p, &fakeIndex{}, tight, overtaking)
		e.ledger.budget.spend(40)
		owned, revoke := context.WithCancel(t.Context())
		if out, err := e.Handle(owned, []Input{upsert("1", "one", 6)}); err != nil || summary(out) != "pending:pending…" {
			t.Fatalf("%s, %v", summary(out), err)
		}
		revoke()
		time.Sleep(48 * time.Hour)
		if n := e.Counts().Requests; n != 0 {
			t.Errorf("%d requests for what is another owner's", n)
		}
	})
}
