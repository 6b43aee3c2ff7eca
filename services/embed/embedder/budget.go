package embedder

import (
	"context"
	"sync"
	"time"

	"github.com/freshet-io/freshet/libs/fault"
)

const (
	day = 24 * time.Hour // a day of the budget is one of UTC, which has no shorter ones
	// budgetLook is how often a call that waits looks whether it may go. It looks instead of
	// sleeping till midnight since the clock may be set, and the machine may sleep.
	budgetLook = time.Second
)

// budget is how many tokens may be paid a day, by all replicas together. It counts in tokens at
// this replica's price, so that sums are exact.
type budget struct {
	limit   int64         // 0: none
	stopped chan struct{} // closed: the process stops, and nobody is to wait

	mu       sync.Mutex
	day      time.Time
	own      int64               // paid today by this replica
	reserved int64               // of calls that are under way
	others   map[string]spending // by key of an entry; of today, or of tomorrow by a clock that is ahead
	waiting  int                 // calls
}

// spending is what an entry of another replica has of a day.
type spending struct {
	day    time.Time
	tokens int64
}

// reserve sets tokens aside for a call, until release. It returns when the budget of the day has
// room for them, or with an error where ctx ends or the process stops: it would else use up all the
// time that it has for what is under way. The first call of a day always goes: a budget smaller than
// one call would else end everything.
func (b *budget) reserve(ctx context.Context, tokens int64) error {
	if b.take(tokens) {
		return nil
	}
	b.wait(1)
	defer b.wait(-1)
	look := time.NewTicker(budgetLook)
	defer look.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-b.stopped:
			return fault.Wait(budgetLook, "the embedding budget of the day is spent")
		case <-look.C:
			if b.take(tokens) {
				return nil
			}
		}
	}
}

func (b *budget) take(tokens int64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if gone := b.today() + b.reserved; b.limit > 0 && gone > 0 && gone+tokens > b.limit {
		return false
	}
	b.reserved += tokens
	return true
}

func (b *budget) release(tokens int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.reserved -= tokens
}

func (b *budget) wait(n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.waiting += n
}

func (b *budget) spend(tokens int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.today()
	b.own += tokens
}

// learn replaces what is known of an entry of another replica.
func (b *budget) learn(key string, hour time.Time, tokens int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.today()
	if of := hour.UTC().Truncate(day); !of.Before(b.day) {
		b.others[key] = spending{of, tokens}
	}
}

// spent returns what all replicas have spent today, and how many calls wait because of it.
func (b *budget) spent() (tokens int64, waiting int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.today(), b.waiting
}

// today returns what was spent on the present day, and begins it where it is a new one.
func (b *budget) today() int64 {
	if now := time.Now().UTC().Truncate(day); !now.Equal(b.day) {
		b.day, b.own = now, 0
	}
	tokens := b.own
	for key, s := range b.others {
		switch {
		case s.day.Equal(b.day):
			tokens += s.tokens
		case s.day.Before(b.day):
			delete(b.others, key)
		}
	}
	return tokens
}
