// Package loadtest measures an embeddings provider as its clients see it: how long a
// request takes, and how much is served, while so many are under way at once.
//
// It owns the closed loop (each of the callers asks again when it has its answer) and
// the figures. It never says what is asked, and prints nothing.
package loadtest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/freshet-io/freshet/libs/fault"
	"github.com/freshet-io/freshet/services/ctl/rig"
	"github.com/freshet-io/freshet/services/embed/provider"
)

// Embed asks a provider for the vectors of texts.
type Embed func(ctx context.Context, texts []string) (provider.Embeddings, error)

// Plan is what is asked for.
type Plan struct {
	Concurrency []int // requests at once, a level each
	Requests    int   // a level; one that has more at once makes as many as it has
	Texts       int   // a request
	// Text returns the nth text. No two may be equal: servers remember answers.
	Text func(n int) string
}

// Level is what was measured with so many requests at once. Times are of requests that
// succeeded, with all tries and waits of the client; the rates count those only, too.
type Level struct {
	Concurrency       int     `json:"concurrency"`
	Requests          int     `json:"requests"`
	Failed            int     `json:"failed"`
	SuccessRate       float64 `json:"success_rate"` // 0 to 1
	Mean              Time    `json:"mean_ms"`
	P50               Time    `json:"p50_ms"`
	P95               Time    `json:"p95_ms"`
	P99               Time    `json:"p99_ms"`
	Max               Time    `json:"max_ms"`
	Min               Time    `json:"min_ms"`
	RequestsPerSecond float64 `json:"requests_per_second"`
	TextsPerSecond    float64 `json:"texts_per_second"`
	Tokens            int64   `json:"tokens"` // as the provider counts them
	Error             string  `json:"error,omitempty"`
}

// Time is a duration that JSON has in milliseconds.
type Time time.Duration

// MarshalJSON implements json.Marshaler.
func (t Time) MarshalJSON() ([]byte, error) {
	return fmt.Appendf(nil, "%.3f", time.Duration(t).Seconds()*1000), nil
}

// Check returns what is wrong with the plan.
func (p Plan) Check() error {
	switch {
	case len(p.Concurrency) == 0 || slices.Min(p.Concurrency) < 1 || slices.Max(p.Concurrency) > 10_000:
		return errors.New("--concurrency: numbers from 1 to 10000")
	case p.Requests < 1:
		return errors.New("--requests must be at least 1")
	case p.Texts < 1 || p.Texts > 2048:
		return errors.New("--texts: 1 to 2048, the most that a request may have")
	}
	return nil
}

// Total returns how many requests are made, with the first one, which is not measured.
func (p Plan) Total() int {
	total := 1
	for _, n := range p.Concurrency {
		total += max(p.Requests, n)
	}
	return total
}

// Run measures level by level and calls done after each request. One request goes
// before all, so that no level pays for the first connection, and a provider that
// answers nothing is known at once. It stops at a fatal fault, and at a level of which
// no request succeeded; the levels measured so far are returned with the error.
func (p Plan) Run(ctx context.Context, embed Embed, done func()) ([]Level, error) {
	var next atomic.Int64
	ask := func(ctx context.Context) (time.Duration, int64, error) {
		first := int(next.Add(1)-1) * p.Texts
		texts := make([]string, p.Texts)
		for i := range texts {
			texts[i] = p.Text(first + i)
		}
		defer done()
		start := time.Now()
		answer, err := embed(ctx, texts)
		return time.Since(start), answer.Tokens, err
	}
	if _, _, err := ask(ctx); err != nil {
		return nil, fmt.Errorf("the first request: %w", err)
	}
	var levels []Level
	for _, n := range p.Concurrency {
		level, err := p.level(ctx, n, ask)
		if err != nil {
			return levels, err
		}
		levels = append(levels, level)
		if level.Failed == level.Requests {
			return levels, fmt.Errorf("no request of %d succeeded with %d at once: %s", level.Requests, n, level.Error)
		}
	}
	return levels, nil
}

type answered struct {
	took   time.Duration
	tokens int64
	err    error
}

func (p Plan) level(ctx context.Context, n int, ask func(context.Context) (time.Duration, int64, error)) (Level, error) {
	all := make([]answered, max(p.Requests, n))
	var next atomic.Int64
	callers, asking := errgroup.WithContext(ctx)
	start := time.Now()
	for range n {
		callers.Go(func() error {
			for i := int(next.Add(1)) - 1; i < len(all); i = int(next.Add(1)) - 1 {
				a := &all[i]
				a.took, a.tokens, a.err = ask(asking)
				if asking.Err() != nil || fault.ClassOf(a.err) == fault.Fatal {
					return a.err
				}
			}
			return nil
		})
	}
	err := callers.Wait()
	return summary(n, all, time.Since(start), p.Texts), err
}

// summary returns the figures of requests that took so long in all.
func summary(n int, all []answered, took time.Duration, texts int) Level {
	level := Level{Concurrency: n, Requests: len(all)}
	var times []time.Duration
	var sum time.Duration
	for _, a := range all {
		level.Tokens += a.tokens
		if a.err != nil {
			level.Failed++
			if level.Error == "" {
				level.Error = a.err.Error()
			}
			continue
		}
		times = append(times, a.took)
		sum += a.took
	}
	level.SuccessRate = float64(len(times)) / float64(len(all))
	if len(times) == 0 {
		return level
	}
	slices.Sort(times)
	at := func(percent int) Time { return Time(rig.Percentile(times, percent)) }
	level.P50, level.P95, level.P99 = at(50), at(95), at(99)
	level.Min, level.Max = Time(times[0]), Time(times[len(times)-1])
	level.Mean = Time(sum / time.Duration(len(times)))
	level.RequestsPerSecond = float64(len(times)) / took.Seconds()
	level.TextsPerSecond = level.RequestsPerSecond * float64(texts)
	return level
}
