package openai

import (
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/freshet-io/freshet/libs/fake/embeddings"
)

// account is a server's view of one key: a bucket of a minute's requests and tokens.
type account struct {
	requests, tokens float64
	at               time.Time
}

// limited is a server that holds each key to its limits, and counts what it was asked.
type limited struct {
	perMinute, tokens float64 // 0: no limit
	headers           bool    // whether it tells of its limits
	before            func(w http.ResponseWriter, key string) bool

	mu       sync.Mutex
	accounts map[string]*account
	paid     map[string]int // texts
	byKey    map[string]int // right answers
	refused  int            // 429
	size     map[bool]int   // tokens paid, by whether the text is a bulk one
}

func newLimited(perMinute, tokens float64) *limited {
	return &limited{perMinute: perMinute, tokens: tokens, accounts: map[string]*account{}, paid: map[string]int{}, byKey: map[string]int{}, size: map[bool]int{}}
}

func (s *limited) account(key string) *account {
	a := s.accounts[key]
	if a == nil {
		a = &account{requests: s.perMinute, tokens: s.tokens, at: time.Now()}
		s.accounts[key] = a
	}
	minutes := time.Since(a.at).Minutes()
	a.at = time.Now()
	a.requests = min(a.requests+minutes*s.perMinute, s.perMinute)
	a.tokens = min(a.tokens+minutes*s.tokens, s.tokens)
	return a
}

// tokensOf is what the server charges: a token for two bytes.
func tokensOf(texts []string) int { return len(strings.Join(texts, "")) / 2 }

func (s *limited) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var req asked
	_ = json.NewDecoder(r.Body).Decode(&req)
	key := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.before != nil && !s.before(w, key) {
		return
	}
	a := s.account(key)
	cost := tokensOf(req.Input)
	if s.headers {
		w.Header().Set("X-Ratelimit-Limit-Requests", fmt.Sprint(s.perMinute))
		w.Header().Set("X-Ratelimit-Remaining-Requests", fmt.Sprint(math.Floor(max(a.requests-1, 0))))
		w.Header().Set("X-Ratelimit-Reset-Requests", "20s")
	}
	// The bucket may go into debt by one request, as OpenAI's does.
	short := max((1-a.requests)/s.perMinute, -a.tokens/s.tokens)
	if s.tokens == 0 {
		short = (1 - a.requests) / s.perMinute
	}
	if s.perMinute > 0 && short > 1e-9 {
		s.refused++
		w.Header().Set("Retry-After", strconv.FormatFloat(short*60, 'f', 3, 64))
		w.WriteHeader(http.StatusTooManyRequests)
		return
	}
	a.requests--
	a.tokens -= float64(cost)
	s.byKey[key]++
	for _, text := range req.Input {
		s.paid[text]++
		s.size[strings.HasPrefix(text, "bulk")] += tokensOf([]string{text})
	}
	ok(embeddings.SetUsage(map[string]any{"total_tokens": cost}))(w, r, req)
}

// embedAll embeds texts, each in a request of its own, so many at a time, and returns how
// long it took.
func embedAll(t *testing.T, c *Client, texts []string, atATime int) time.Duration {
	t.Helper()
	began := time.Now()
	next := make(chan string, len(texts))
	for _, text := range texts {
		next <- text
	}
	close(next)
	var all sync.WaitGroup
	for range atATime {
		all.Go(func() {
			for text := range next {
				got, err := c.Embed(t.Context(), []string{text})
				if err != nil || fmt.Sprint(got.Vectors[0]) != fmt.Sprint(vectorOf(text)) {
					t.Errorf("%s: %v, %v", text, got.Vectors, err)
				}
			}
		})
	}
	all.Wait()
	return time.Since(began)
}

func chunks(n, size int) []string {
	texts := make([]string, n)
	for i := range texts {
		texts[i] = fmt.Sprintf("%-*s", size, fmt.Sprintf("chunk %d", i))
	}
	return texts
}

// within fails where not each text was paid once, or the time is more than a tenth beyond
// what the limit's pace allows. That it is not shorter is the server's business.
func within(t *testing.T, s *limited, texts int, took, allowed time.Duration) {
	t.Helper()
	t.Logf("took %s of %s (%.1f %%), %d times refused", took, allowed, 100*took.Seconds()/allowed.Seconds(), s.refused)
	if len(s.paid) != texts {
		t.Errorf("%d of %d texts were embedded", len(s.paid), texts)
	}
	for text, n := range s.paid {
		if n != 1 {
			t.Errorf("%q was paid %d times", text, n)
		}
	}
	if took > allowed*11/10 {
		t.Errorf("took %s, where the limit allows %s", took, allowed)
	}
}

func virtual() Config {
	cfg := settings("http://provider.test")
	cfg.MaxRetryAfter = time.Minute
	cfg.Timeout, cfg.TotalTimeout = 30*time.Second, 2*time.Minute
	return cfg
}
