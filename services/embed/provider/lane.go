package provider

import (
	"context"
	"sync/atomic"
)

// Lane is how urgent a request is: those of a backfill wait for live ones. The nil Lane
// is live. It is safe for concurrent use.
type Lane struct {
	bulk    atomic.Bool
	hurried chan struct{} // closed when it is bulk no more
	waits   func(waiting bool)
}

// NewLane returns a lane of its own for one request. waits, if not nil, is called when the
// request begins to wait for a rate limit and when it no longer does, with no lock held.
func NewLane(bulk bool, waits func(waiting bool)) *Lane {
	l := &Lane{hurried: make(chan struct{}), waits: waits}
	l.bulk.Store(bulk)
	return l
}

// Bulk reports whether the request waits for live ones.
func (l *Lane) Bulk() bool { return l != nil && l.bulk.Load() }

// Hurry makes the request a live one, also while it waits: a live caller has joined it.
func (l *Lane) Hurry() {
	if l != nil && l.bulk.CompareAndSwap(true, false) {
		close(l.hurried)
	}
}

// Hurried returns a channel that closes when the request is made a live one; nil where it is
// one already.
func (l *Lane) Hurried() <-chan struct{} {
	if !l.Bulk() {
		return nil
	}
	return l.hurried
}

// Wait tells who made the request that it waits for a rate limit, or no longer does.
func (l *Lane) Wait(waiting bool) {
	if l != nil && l.waits != nil {
		l.waits(waiting)
	}
}

type laneKey struct{}

// WithLane returns a context for requests of the lane.
func WithLane(ctx context.Context, l *Lane) context.Context {
	return context.WithValue(ctx, laneKey{}, l)
}

// LaneOf returns the lane of a context, nil where it has none.
func LaneOf(ctx context.Context) *Lane {
	l, _ := ctx.Value(laneKey{}).(*Lane)
	return l
}
