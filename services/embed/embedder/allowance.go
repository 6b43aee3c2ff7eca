package embedder

import (
	"sync"
	"time"
)

const day = 24 * time.Hour // a day of the budget is one of UTC, which has no shorter ones

func dayOf(t time.Time) time.Time { return t.UTC().Truncate(day) }

// allowance is how many tokens may be paid a day, by all replicas together, and what is gone of them. It counts in tokens
// at this replica's price, so that sums are exact. fits and today are for who holds the mutex, the others take it.
type allowance struct {
	mu       sync.Mutex
	limit    int64               // 0: none
	reserved int64               // of calls that are under way
	spent    map[string]spending // by key of an entry, and by day what this replica itself has paid
}

type spending struct {
	day    time.Time
	tokens int64
}

// allow returns the allowance of a day's budget at the price of a million tokens.
func allow(perDay, price float64) *allowance {
	a := &allowance{spent: map[string]spending{}}
	if perDay > 0 {
		a.limit = int64(min(max(1, perDay/price*1e6), 1<<62)) // beyond it would be none
	}
	return a
}

// fits reports whether tokens may be paid. The first ones of a day always may: an allowance smaller than one call would
// else end everything.
func (a *allowance) fits(tokens int64) bool {
	gone := a.today() + a.reserved
	return a.limit == 0 || gone == 0 || gone+tokens <= a.limit
}

func (a *allowance) release(tokens int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.reserved -= tokens
}

func (a *allowance) spend(tokens int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	today := dayOf(time.Now())
	key := today.String()
	a.spent[key] = spending{today, a.spent[key].tokens + tokens}
}

// learn replaces what is known of an entry of another replica.
func (a *allowance) learn(key string, hour time.Time, tokens int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.spent[key] = spending{dayOf(hour), tokens}
}

// today returns what was spent on the present day. Yesterday and tomorrow are remembered: a clock
// may be ahead, and be set back.
func (a *allowance) today() (tokens int64) {
	today := dayOf(time.Now())
	for key, s := range a.spent {
		switch {
		case s.day.Equal(today):
			tokens += s.tokens
		case s.day.Before(today.Add(-day)):
			delete(a.spent, key)
		}
	}
	return tokens
}
