package stage

import (
	"context"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"golang.org/x/sync/errgroup"
)

// worker works on one partition, or on one partition number of all topics.
type worker struct {
	members   *members
	client    *kgo.Client
	partition int32

	ctx    context.Context //nolint:containedctx // ends when the worker must drop even what it has begun
	cancel context.CancelFunc
	halted chan struct{} // closed: begin nothing new
	done   chan struct{} // closed: run has returned
	wake   chan struct{}
	owing  chan struct{} // has an element when something is owed

	mu       sync.Mutex
	owned    map[string]*claim    // by topic
	disowned bool                 // no mark any more
	drained  bool                 // nothing was in flight when it was disowned
	queues   map[string][]arrival // by topic
	flying   [][]arrival          // batches in flight, oldest first
	bytes    int64
	paused   map[string]bool
	stopped  bool
	// doubtUntil is when the calls of an owner that did not leave cleanly have surely ended; zero
	// where there is no doubt. It is of all topics: what that owner did in one of them may have
	// been to an item that comes in another one, too.
	doubtUntil time.Time
	lateUntil  time.Time // when the calls that have failed here have surely ended (LeaveInDoubt)
	kept       kept
	told       []ended // and not committed yet
}

func newWorker(ctx context.Context, m *members, client *kgo.Client, partition int32) *worker {
	// What is begun is finished, also when the process is told to stop: the drain bound
	// ends it, not the caller's context.
	own, cancel := context.WithCancel(context.WithoutCancel(ctx))
	w := &worker{
		members: m, client: client, partition: partition, cancel: cancel,
		halted: make(chan struct{}), done: make(chan struct{}), wake: make(chan struct{}, 1), owing: make(chan struct{}, 1),
		owned: map[string]*claim{}, queues: map[string][]arrival{}, paused: map[string]bool{}, kept: kept{placed: Committed{}},
	}
	w.ctx = w.into(m.lease.into(own))
	return w
}

func (w *worker) own(topic string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.owned[topic] = &claim{next: kgo.EpochOffset{Epoch: -1, Offset: -1}}
}

// halt has the worker begin nothing new.
func (w *worker) halt() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.stopped {
		w.stopped = true
		close(w.halted)
	}
}

func (w *worker) hasStopped() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.stopped
}

func (w *worker) isDisowned() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.disowned
}

// disown makes a later mark impossible and drops what is still in flight.
func (w *worker) disown() {
	w.mu.Lock()
	if !w.disowned {
		w.disowned, w.drained = true, w.ended()
	}
	w.mu.Unlock()
	w.cancel()
}

// run works until the worker is halted. Where another worker of this partition
// still runs, given up earlier, it waits for that one first.
func (w *worker) run(before <-chan struct{}) error {
	defer close(w.done)
	defer w.cancel()
	defer w.drop()
	if before != nil {
		// Also where this worker is given up meanwhile: the next one waits for it alone.
		<-before
	}
	if w.members.later == nil {
		return w.fly()
	}
	var both errgroup.Group
	both.Go(w.fulfil)
	both.Go(func() error {
		defer w.halt()
		return w.fly()
	})
	return both.Wait()
}

// ended reports whether the worker has left nothing in flight.
func (w *worker) ended() bool {
	select {
	case <-w.done:
		return true
	default:
		return false
	}
}
