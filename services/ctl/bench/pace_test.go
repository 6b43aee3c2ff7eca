package bench

import (
	"cmp"
	"context"
	"runtime/metrics"
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
	start mark
	n     int
	marks []mark
}

func newPace() *pace {
	p := &pace{}
	p.restart()
	return p
}

// mark is how much was done at a time.
type mark struct {
	n  int
	at time.Time
	usage
}

func newMark() mark { return mark{at: time.Now(), usage: used()} }

// usage is what this process has used since its start.
type usage struct {
	cpu     time.Duration
	objects uint64 // allocated
}

// add counts n more. The items of a batch, counted one by one, make one mark: else
// rate could begin in the middle of a batch that took its time before.
func (p *pace) add(n int) {
	now := newMark()
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

// restart forgets everything, and begins now.
func (p *pace) restart() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.start, p.n, p.marks = newMark(), 0, nil
}

func (p *pace) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.n
}

// speed is how fast something got done, and what this process used for it.
type speed struct {
	perSecond float64
	perCPU    float64 // in a second of CPU time
	objects   float64 // allocated for each
}

func byTime(s speed) float64    { return s.perSecond }
func byCPU(s speed) float64     { return s.perCPU }
func byObjects(s speed) float64 { return s.objects }

// rate returns the speed between the first tenth and the last: start and end run with
// fewer at work. Where all of it makes one mark, as few things on a busy machine do, it is
// the speed since the start.
func (p *pace) rate() speed {
	p.mu.Lock()
	defer p.mu.Unlock()
	marks := p.marks
	if len(marks) < 2 {
		marks = append([]mark{p.start}, marks...)
	}
	from, to := marks[0], marks[len(marks)-1]
	for _, m := range marks {
		if m.n <= p.n/10 {
			from = m
		}
		if m.n <= p.n*9/10 && m.n > from.n {
			to = m
		}
	}
	n := float64(to.n - from.n)
	return speed{n / to.at.Sub(from.at).Seconds(), n / (to.cpu - from.cpu).Seconds(), float64(to.objects-from.objects) / n}
}

// round is one measurement of several, with its floor from just before: what others do
// on the machine comes and goes.
type round struct{ value, floor speed }

// medianOf returns the round whose ratio of what by tells is the median; rounds must not be
// empty.
func medianOf(rounds []round, by func(speed) float64) (value, floor float64) {
	sorted := slices.SortedFunc(slices.Values(rounds), func(a, b round) int {
		return cmp.Compare(by(a.value)/by(a.floor), by(b.value)/by(b.floor))
	})
	middle := sorted[len(sorted)/2]
	return by(middle.value), by(middle.floor)
}

func used() usage {
	objects := []metrics.Sample{{Name: "/gc/heap/allocs:objects"}}
	metrics.Read(objects)
	var time syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &time) // nothing else than a wrong argument fails
	return usage{span(time.Utime) + span(time.Stime), objects[0].Value.Uint64()}
}

func span(t syscall.Timeval) time.Duration { return time.Duration(t.Nano()) }

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

// paced makes n calls, so many a second.
func paced(ctx context.Context, n int, perSecond time.Duration, call func(i int) error) error {
	ticker := time.NewTicker(time.Second / perSecond)
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
