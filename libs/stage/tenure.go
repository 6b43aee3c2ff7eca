package stage

import (
	"context"
	"math/rand/v2"
	"time"

	"golang.org/x/sync/semaphore"
)

// tenure is a worker's right to work on one batch. It can end while the batch waits.
type tenure struct {
	ctx    context.Context //nolint:containedctx // the worker's own: the tenure is what it stands for
	halted <-chan struct{}
	place  *place
	// hesitates is how long to wait before the first look at the batch.
	hesitates time.Duration
	// untried has the batch become dead letters without any look at it.
	untried bool
}

// enter takes the batch's place. It reports false where the partition goes.
func (t tenure) enter() bool {
	if t.hesitates > 0 {
		return t.sleep(t.hesitates)
	}
	return t.place.take(t.ctx)
}

// sleep waits, with the batch's place free meanwhile, and with a jitter of a fifth, so
// that partitions do not return in step. It reports false where the partition goes.
func (t tenure) sleep(d time.Duration) bool {
	t.place.free()
	jitter := time.Duration(rand.Int64N(int64(d)/5 + 1)) //nolint:gosec // no secret
	return sleep(t.ctx, t.halted, d+jitter) && t.place.take(t.ctx)
}

func sleep(ctx context.Context, halted <-chan struct{}, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-halted:
		return false
	case <-ctx.Done():
		return false
	}
}

// place is what a batch occupies while it is worked on, and not while it waits. A
// careful batch takes all of them: if the process ends then, the batch is the culprit.
type place struct {
	places *semaphore.Weighted
	size   int64
	// sign, if set, is called after the place is taken and before it is freed, so that the
	// next owner learns whether the process ended in between.
	sign func(working bool)
	held bool
}

func (p *place) take(ctx context.Context) bool {
	if p.places.Acquire(ctx, p.size) != nil {
		return false
	}
	p.held = true
	if p.sign != nil {
		p.sign(true)
	}
	return true
}

func (p *place) free() {
	if !p.held {
		return
	}
	if p.sign != nil {
		p.sign(false)
	}
	p.held = false
	p.places.Release(p.size)
}
