package dev

import (
	"slices"
	"sync"
	"time"

	"github.com/freshet-io/freshet/libs/telemetry"
	"github.com/freshet-io/freshet/services/ctl/rig"
	"github.com/freshet-io/freshet/services/write/writer"
)

// window is how many of the latest items the percentiles are of.
const window = 2000

// freshness remembers how fresh the latest items were.
type freshness struct {
	mu     sync.Mutex
	counts map[string]int // by outcome
	ages   []time.Duration
	next   int
}

func newFreshness() *freshness { return &freshness{counts: map[string]int{}} }

func (f *freshness) add(x telemetry.Freshness) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if x.Outcome == writer.Completed {
		return // its change has arrived before
	}
	f.counts[x.Outcome]++
	if len(f.ages) < window {
		f.ages = append(f.ages, x.Age)
		return
	}
	f.ages[f.next] = x.Age
	f.next = (f.next + 1) % window
}

// restart forgets the ages, so that the percentiles are of what comes now.
func (f *freshness) restart() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.ages, f.next = nil, 0
}

// arrived returns how many changes reached the index, with any outcome.
func (f *freshness) arrived() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := 0
	for _, c := range f.counts {
		n += c
	}
	return n
}

// percentiles returns the 50th, 95th and 99th, zeros where nothing came.
func (f *freshness) percentiles() (p50, p95, p99 time.Duration) {
	f.mu.Lock()
	ages := slices.Sorted(slices.Values(f.ages))
	f.mu.Unlock()
	at := func(p int) time.Duration { return rig.Percentile(ages, p).Round(time.Millisecond) }
	return at(50), at(95), at(99)
}
