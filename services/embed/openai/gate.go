package openai

import (
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"
)

const (
	minGate   = 50 * time.Millisecond  // a server that says "now" is asked again after this
	firstGate = 500 * time.Millisecond // where the server names no time; doubles

	// The share of the limit that passes: near it at first, less after a 429, and up to all
	// of it again. It goes down once a step at most, since 429s that have another reason
	// would keep us from working for long after it is gone.
	firstShare = 0.9
	leastShare = 0.1
	lowerBy    = 0.7
	raiseBy    = 0.05
	step       = 10 * time.Second

	// askAgain is when a refused key is tried again.
	askAgain = 3 * time.Minute
)

// gate is what one key may do and when: two buckets, and a time until which it is shut
// since one request was told to slow down: the others would be told the same, and would
// keep the limit used up. A line guards it.
type gate struct {
	key              string
	longest          time.Duration
	replicas         int
	requests, tokens bucket

	opens   time.Time
	spread  time.Duration // those who waited leave within this time
	next    time.Time     // when the next of them does
	moved   time.Time     // when it was last shut
	strikes int           // without a time from the server since the last answer

	share   float64
	stepped time.Time // when share was last set
	lowered time.Time

	aside time.Time // of a key that was refused: when it is tried again
}

func newGate(key string, cfg Config, now time.Time) *gate {
	g := &gate{
		key: key, longest: cfg.MaxRetryAfter, replicas: max(cfg.Replicas, 1), share: firstShare, stepped: now,
		requests: bucket{unit: "requests", fixed: cfg.RequestsPerMinute > 0},
		tokens:   bucket{unit: "tokens", fixed: cfg.TokensPerMinute > 0},
	}
	g.requests.limit(float64(cfg.RequestsPerMinute)/float64(g.replicas), g.share, now)
	g.tokens.limit(float64(cfg.TokensPerMinute)/float64(g.replicas), g.share, now)
	return g
}

// wait returns how long a request of so many tokens has to wait. An urgent one need not
// wait for the debt of a large bulk one.
func (g *gate) wait(tokens int, urgent bool, now time.Time) time.Duration {
	if steps := int(now.Sub(g.stepped) / step); steps > 0 && g.share < 1 {
		g.pace(min(g.share+raiseBy*float64(steps), 1), g.stepped.Add(time.Duration(steps)*step), now)
	}
	return max(g.opens.Sub(now), g.next.Sub(now), g.requests.wait(1, false, now), g.tokens.wait(tokens, urgent, now), 0)
}

func (g *gate) pace(share float64, stepped, now time.Time) {
	g.share, g.stepped = share, stepped
	g.requests.pace(share, now)
	g.tokens.pace(share, now)
}

// admit lets a request pass. others is how many wait: where the gate was shut, they leave
// one after the other, so that they do not arrive as a burst.
func (g *gate) admit(tokens int, bulk bool, others int, now time.Time) {
	g.requests.take(1, now)
	g.tokens.charge(tokens, bulk, now)
	if now.Sub(g.opens) < g.spread {
		g.next = now.Add(rand.N(2*g.spread/time.Duration(others+1) + 1))
	}
	if !g.aside.IsZero() {
		g.aside = now.Add(askAgain) // one request tries the key, the others wait for its answer
	}
}

// slow keeps the gate shut for as long as the server asks, or, where after is negative,
// for a time that doubles. sent is when the refused request was: the requests of one
// burst are refused together and count once.
func (g *gate) slow(after time.Duration, sent, now time.Time) {
	burst := sent.Before(g.moved)
	if after < 0 {
		if burst {
			return
		}
		after = firstGate << min(g.strikes, 16)
		g.strikes++
	}
	g.moved = now
	after = min(max(after, minGate), g.longest)
	if opens := now.Add(after); opens.After(g.opens) {
		g.spread = min(after/10, time.Second)
		g.opens = opens
	}
	if !burst && now.Sub(g.lowered) >= step {
		g.lowered = now
		g.pace(max(g.share*lowerBy, leastShare), now, now)
	}
}

// passed says that the endpoint takes the key and answers.
func (g *gate) passed() {
	g.strikes = 0
	g.aside = time.Time{}
}

func (g *gate) learn(h http.Header, now time.Time) {
	g.requests.learn(h, g.replicas, g.share, now)
	g.tokens.learn(h, g.replicas, g.share, now)
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
