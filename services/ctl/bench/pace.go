package bench

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"syscall"
	"time"
)

// batchGap is the time within which counts belong to one batch.
const batchGap = 2 * time.Millisecond

// pace records how fast something gets done. It is safe for concurrent use.
type pace struct {
	mu    sync.Mutex
	n     int
	marks []mark
}

// mark is how much was done at a time.
type mark struct {
	n   int
	at  time.Time
	cpu time.Duration // that this process had used
}

// add counts n more. The items of a batch, counted one by one, make one mark: else
// rate could begin in the middle of a batch that took its time before.
func (p *pace) add(n int) {
	now := mark{at: time.Now(), cpu: cpuTime()}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.n += n
	now.n = p.n
	if last := len(p.marks) - 1; last >= 0 && now.at.Sub(p.marks[last].at) < batchGap {
		p.marks[last].n = p.n
		return
	}
	p.marks = append(p.marks, now)
}

// restart forgets everything.
func (p *pace) restart() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.n, p.marks = 0, nil
}

func (p *pace) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.n
}

// rate returns how many were done in a second, and in a second of this process's CPU
// time, between the first tenth and the last: start and end run with fewer at work.
func (p *pace) rate() (perSecond, perCPU float64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.marks) < 2 {
		return 0, 0
	}
	from, to := p.marks[0], p.marks[len(p.marks)-1]
	for _, m := range p.marks {
		if m.n <= p.n/10 {
			from = m
		}
		if m.n <= p.n*9/10 && m.n > from.n {
			to = m
		}
	}
	n := float64(to.n - from.n)
	return n / to.at.Sub(from.at).Seconds(), n / (to.cpu - from.cpu).Seconds()
}

// round is one measurement of several, with its floor from just before: what others do
// on the machine comes and goes.
type round struct{ value, floor, valueCPU, floorCPU float64 }

// medianOf returns the round whose ratio is the median; rounds must not be empty.
func medianOf(rounds []round) round {
	slices.SortFunc(rounds, func(a, b round) int { return cmp.Compare(a.value/a.floor, b.value/b.floor) })
	return rounds[len(rounds)/2]
}

func cpuTime() time.Duration {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		return 0 // nothing else than a wrong argument fails
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// timed returns, sorted, how long each of n calls took.
func timed(n int, call func(i int) error) ([]time.Duration, error) {
	times := make([]time.Duration, n)
	for i := range times {
		start := time.Now()
		if err := call(i); err != nil {
			return nil, err
		}
		times[i] = time.Since(start)
	}
	slices.Sort(times)
	return times, nil
}

// paced makes n calls, pacedRate a second.
func paced(ctx context.Context, n int, call func(i int) error) error {
	ticker := time.NewTicker(time.Second / pacedRate)
	defer ticker.Stop()
	for i := range n {
		if err := call(i); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
	}
	return nil
}
