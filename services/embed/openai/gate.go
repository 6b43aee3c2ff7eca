package openai

import (
	"context"
	"math/rand/v2"
	"net/http"
	"strconv"
	"sync"
	"time"
)

const (
	minGate   = 50 * time.Millisecond  // a server that says "now" is asked again after this
	firstGate = 500 * time.Millisecond // where the server names no time; doubles
)

// gate is where all requests to one endpoint wait after it has told one of them to
// slow down: the others would be told the same, and would keep the limit used up.
type gate struct {
	longest time.Duration

	mu      sync.Mutex
	opens   time.Time
	moved   time.Time // when it was last moved
	strikes int       // moves without a time from the server since the last answer
}

// move keeps the gate shut for as long as the server asks, or, where after is
// negative, for a time that doubles. sent is when the refused request was: the requests
// of one burst are refused together and count once.
func (g *gate) move(after time.Duration, sent time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if after < 0 {
		if sent.Before(g.moved) {
			return
		}
		after = firstGate << min(g.strikes, 16)
		g.strikes++
	}
	now := time.Now()
	g.moved = now
	if opens := now.Add(min(max(after, minGate), g.longest)); opens.After(g.opens) {
		g.opens = opens
	}
}

// passed says that the endpoint answers again.
func (g *gate) passed() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.strikes = 0
}

// shut returns how long the gate stays shut.
func (g *gate) shut() time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	return max(time.Until(g.opens), 0)
}

// wait returns when the gate is open, or with ctx's error. Those who waited leave one
// after the other within a tenth of the wait, so that they do not arrive as a burst.
func (g *gate) wait(ctx context.Context) error {
	for {
		shut := g.shut()
		if shut == 0 {
			return ctx.Err()
		}
		timer := time.NewTimer(shut + rand.N(min(shut/10, time.Second)+1))
		select {
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		case <-timer.C:
		}
	}
}

// retryAfter returns the wait that a response asks for, or -1 where it names none:
// retry-after-ms in milliseconds (OpenAI and Azure), or Retry-After in seconds, also
// fractions, or as a date (RFC 9110, 10.2.3).
func retryAfter(h http.Header, now time.Time) time.Duration {
	if ms, ok := number(h.Get("Retry-After-Ms")); ok {
		return scale(ms, time.Millisecond)
	}
	value := h.Get("Retry-After")
	if s, ok := number(value); ok {
		return scale(s, time.Second)
	}
	if date, err := http.ParseTime(value); err == nil {
		return max(date.Sub(now), 0)
	}
	return -1
}

// number returns a finite number that is not negative.
func number(s string) (float64, bool) {
	f, err := strconv.ParseFloat(s, 64)
	return f, err == nil && f >= 0
}

// scale returns f units, at most a day: more would overflow, and means the same.
func scale(f float64, unit time.Duration) time.Duration {
	const most = 24 * time.Hour
	return time.Duration(min(f*float64(unit), float64(most)))
}
