package bench

import (
	"net/http"
	"strconv"
	"sync"
	"time"
)

// limits is what a provider allows a key a minute, and says in its headers. It evens out over burst.
type limits struct {
	requests, tokens float64 // a minute; 0 is none

	mu         sync.Mutex
	at         time.Time
	left       float64 // requests
	leftTokens float64 // below 0: one request may take more than there is, and later ones wait for that
}

// burst is what may come at once, as a time's worth of the limit.
const burst = 5 * time.Second

// admit takes a request, or refuses it until it may come.
func (l *limits) admit(w http.ResponseWriter, tokens int64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	passed := min(now.Sub(l.at), burst).Minutes() // at first all of it
	l.at = now
	l.left = min(l.left+passed*l.requests, l.requests*burst.Minutes())
	l.leftTokens = min(l.leftTokens+passed*l.tokens, l.tokens*burst.Minutes())
	header := w.Header()
	var wait float64 // minutes
	if l.requests > 0 {
		header.Set("X-Ratelimit-Limit-Requests", strconv.FormatFloat(l.requests, 'f', 0, 64))
		wait = (1 - l.left) / l.requests
	}
	if l.tokens > 0 {
		header.Set("X-Ratelimit-Limit-Tokens", strconv.FormatFloat(l.tokens, 'f', 0, 64))
		wait = max(wait, -l.leftTokens/l.tokens)
	}
	if wait > 0 {
		header.Set("Retry-After", strconv.FormatFloat(wait*60, 'f', 3, 64))
		w.WriteHeader(http.StatusTooManyRequests)
		return false
	}
	l.left--
	l.leftTokens -= float64(tokens)
	return true
}
