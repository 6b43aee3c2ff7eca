package openai

import (
	"bytes"
	"context"
	"math"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/freshet-io/freshet/libs/fault"
	"github.com/freshet-io/freshet/services/embed/provider"
)

// bulkFloor is the share of the limit that bulk requests get while live ones wait.
const bulkFloor = 0.1

// trial is a request with all its tries. One goroutine uses it at a time, but for lane.
type trial struct {
	lane  *provider.Lane
	texts int
	bytes int   // of text
	bound int64 // most bytes of a right answer
	wrong int   // answers of another space
	busy  time.Duration

	vain   int   // answers of no use that were paid for
	wasted int64 // tokens of those

	// Of the try under way.
	came   time.Time
	tokens int // estimated
	gate   *gate
	bulk   bool // when it passed
	sent   time.Time
}

// waste notes an answer of status 200 that is of no use, or breaks off. A provider has charged
// for that; a proxy that puts up a page in its place has not.
func (t *trial) waste(body []byte, charged int64) {
	if charged <= 0 {
		charged = int64(t.tokens)
	}
	if trimmed := bytes.TrimSpace(body); len(trimmed) > 0 && trimmed[0] == '{' {
		t.vain++
		t.wasted += charged
	}
}

// line is where all requests to one endpoint wait, live ones first, for the key that
// lets the first of them pass soonest. It is safe for concurrent use.
type line struct {
	cfg  Config
	keys func() string
	// asked is told of each request that was sent; it is set before the first one.
	asked func(ctx context.Context, status string, took time.Duration)

	mu      sync.Mutex
	value   string // of keys, as gates were made of it
	gates   []*gate
	waiting []*trial
	changed chan struct{} // closed and replaced when somebody leaves
	credit  float64       // what bulk may take before live, as cost says
	perByte float64       // tokens of text
	waited  [2]time.Duration
	refusal error // fatal, for when all keys are refused
	failing failing
}

func newLine(cfg Config, keys func() string) *line {
	if keys == nil {
		keys = func() string { return "" }
	}
	l := &line{cfg: cfg, keys: keys, asked: func(context.Context, string, time.Duration) {}, changed: make(chan struct{}), perByte: 0.3}
	l.renew(time.Now())
	return l
}

// renew makes the gates anew where the keys have changed; those of the same key stay.
func (l *line) renew(now time.Time) {
	value := l.keys()
	if value == l.value && l.gates != nil {
		return
	}
	keys := strings.FieldsFunc(value, func(r rune) bool { return r == ',' || unicode.IsSpace(r) })
	if len(keys) == 0 {
		keys = []string{""}
	}
	old := l.gates
	l.value, l.gates = value, nil
	for _, key := range keys {
		same := func(g *gate) bool { return g.key == key }
		if slices.ContainsFunc(l.gates, same) {
			continue
		}
		if i := slices.IndexFunc(old, same); i >= 0 {
			l.gates = append(l.gates, old[i])
		} else {
			l.gates = append(l.gates, newGate(key, l.cfg, now))
		}
	}
}

// enter returns when a try may go, with the key that it goes with. Its error is that of
// ctx, or a fatal one where all keys are refused.
func (l *line) enter(ctx context.Context, t *trial) error {
	l.queue(t)
	defer l.leave(t)
	for waits := false; ; {
		hurried := t.lane.Hurried()
		wait, changed, err := l.pass(t)
		if wait == 0 || err != nil {
			return err
		}
		if !waits {
			waits = true
			t.lane.Wait(true)
			defer t.lane.Wait(false)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(wait):
		case <-changed:
		case <-hurried:
		}
	}
}

func (l *line) queue(t *trial) {
	l.mu.Lock()
	defer l.mu.Unlock()
	t.came, t.gate = time.Now(), nil
	t.tokens = int(float64(t.bytes)*l.perByte) + 1
	l.waiting = append(l.waiting, t)
}

func (l *line) leave(t *trial) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.waiting = slices.DeleteFunc(l.waiting, func(w *trial) bool { return w == t })
	close(l.changed)
	l.changed = make(chan struct{})
}

// pass gives t its gate, or returns how long it waits before it asks again; a step at
// most, since limits rise meanwhile.
func (l *line) pass(t *trial) (wait time.Duration, changed <-chan struct{}, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	l.renew(now)
	turn, urgent := l.first()
	if turn != t {
		return step, l.changed, nil
	}
	g, wait := l.soonest(t.tokens, urgent, now)
	if g == nil {
		return 0, nil, l.refusal
	}
	if wait > 0 {
		return min(wait, step), l.changed, nil
	}
	t.bulk = t.lane.Bulk()
	g.admit(t.tokens, t.bulk, len(l.waiting)-1, now)
	l.charge(t)
	l.waited[laneOf(t)] += now.Sub(t.came)
	t.gate = g
	return 0, nil, nil
}

// first returns whose turn it is, of the live ones, or of the bulk ones where those have
// credit enough; and whether a live one waits.
func (l *line) first() (turn *trial, urgent bool) {
	var heads [2]*trial
	for _, t := range l.waiting {
		if lane := laneOf(t); heads[lane] == nil {
			heads[lane] = t
		}
	}
	live, bulk := heads[0], heads[1]
	if live == nil || bulk != nil && l.credit >= l.cost(bulk) {
		return bulk, live != nil
	}
	return live, true
}

// charge gives bulk requests that wait their floor of what a live one takes.
func (l *line) charge(t *trial) {
	switch {
	case t.lane.Bulk():
		l.credit = max(l.credit-l.cost(t), 0)
	case slices.ContainsFunc(l.waiting, func(w *trial) bool { return w.lane.Bulk() }):
		l.credit += l.cost(t) * bulkFloor / (1 - bulkFloor)
	default:
		l.credit = 0
	}
}

// cost returns the part of a minute's limit that a request takes up, of the limit that
// it takes most of. Where none is known all requests cost the same.
func (l *line) cost(t *trial) float64 {
	requests, tokens := l.gates[0].requests.perMinute, l.gates[0].tokens.perMinute
	var cost float64
	if requests > 0 {
		cost = 1 / requests
	}
	if tokens > 0 {
		cost = max(cost, float64(t.tokens)/tokens)
	}
	if cost == 0 {
		return 1
	}
	return cost
}

// soonest returns the key that lets a request pass first, and when; nil where all are
// refused. A refused key whose time has come goes before the others, else it would never
// be tried while they have room.
func (l *line) soonest(tokens int, urgent bool, now time.Time) (best *gate, wait time.Duration) {
	for _, g := range l.gates {
		if now.Before(g.aside) {
			continue
		}
		w := g.wait(tokens, urgent, now)
		if w == 0 && !g.aside.IsZero() {
			return g, 0
		}
		if best == nil || w < wait {
			best, wait = g, w
		}
	}
	return best, wait
}

// requestTokens returns the most tokens that a request should have.
func (l *line) requestTokens() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	if limit := l.gates[0].tokens.perMinute; limit > 0 {
		return max(int(limit*large), 1)
	}
	return math.MaxInt
}

// answered notes what an answer's headers say, and what it cost where it is a right one.
func (l *line) answered(t *trial, h http.Header, passed bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if passed {
		t.gate.passed()
	}
	t.gate.learn(h, time.Now())
}

// spent puts the estimate right by what the provider charged for; 0 where it does not say.
func (l *line) spent(t *trial, tokens int64) {
	if tokens <= 0 || t.bytes == 0 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.perByte += (min(float64(tokens)/float64(t.bytes), 2) - l.perByte) / 8
	t.gate.tokens.charge(int(min(tokens, 1<<30))-t.tokens, t.bulk, time.Now())
}

func (l *line) slow(t *trial, after time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	t.gate.slow(after, t.sent, time.Now())
}

// putAside takes a key that was refused out of use for a while, and returns its number
// from 1. Its error is a fatal one where there is no other key; one that has come since
// counts.
func (l *line) putAside(t *trial, refusal error) (number int, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	l.renew(now)
	t.gate.aside = now.Add(askAgain)
	l.refusal = refusal
	if n := len(l.gates); n > 1 {
		l.refusal = fault.Halt("all %d keys are refused, the last one so: %w", n, refusal)
	}
	number = slices.Index(l.gates, t.gate) + 1
	if slices.ContainsFunc(l.gates, func(g *gate) bool { return g.aside.IsZero() }) {
		return number, nil
	}
	return number, l.refusal
}

// laneOf returns 0 for live and 1 for bulk.
func laneOf(t *trial) int {
	if t.lane.Bulk() {
		return 1
	}
	return 0
}
