package stage

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/freshet-io/freshet/libs/service"
)

// processor decides the fate of a batch. It gives up with errGivenUp where it would have
// to wait longer than its tenure.
type processor func(t tenure, batch []arrival) (verdict, error)

// verdict is a decided batch. Exactly one of settle and drop is called.
type verdict interface {
	// settle makes the outcomes come true: when it returns no error, everything that the batch
	// caused has been acknowledged. later is what is to be handled again.
	settle() (later []leftover, err error)
	// told returns the traces of those inputs whose way has ended, once it is settled.
	told() []ended
	// drop forgets them.
	drop()
}

// leftover is a record that is to be handled again.
type leftover struct {
	index     int // in its batch
	notBefore time.Time
}

// errGivenUp says that a batch was dropped because its partition goes: no fault.
var errGivenUp = errors.New("the partition is given up")

// turn is a batch's place in the row: it is over when the batch is marked, or, with
// failed set, when it never will be.
type turn struct {
	over   chan struct{}
	failed bool
}

// hasFailed reports whether the turn is over without a mark.
func (t *turn) hasFailed() bool {
	select {
	case <-t.over:
		return t.failed
	default:
		return false
	}
}

// fly keeps batches in flight. Their handlers overlap, what they cause does not: a
// batch settles when the one before it is marked. So outputs leave in the order of
// the inputs, and marks are contiguous, whichever handler is quicker.
func (w *worker) fly() error {
	var flights errgroup.Group
	flights.SetLimit(w.members.flights)
	before := &turn{over: make(chan struct{})}
	close(before.over)
	for {
		batch := w.gather()
		if batch == nil {
			<-before.over // neither a rewind nor the keeper must overtake it
			if more, err := w.aside(); more {
				continue
			} else if err != nil {
				return errors.Join(err, flights.Wait())
			}
			return flights.Wait()
		}
		if !w.begin(batch) {
			w.halt()
			return flights.Wait()
		}
		previous, mine := before, &turn{over: make(chan struct{})}
		flights.Go(func() error { return w.bring(batch, previous, mine) })
		before = mine
		if w.careful(batch) {
			<-mine.over
		}
	}
}

// aside does what is to be done between batches, and reports whether there may be more of them.
func (w *worker) aside() (more bool, err error) {
	switch {
	case w.doubtOver() == 0:
		return w.rewind(), nil
	case w.untilKeep() == 0 && !w.hasStopped():
		err = w.keep()
		return err == nil, err
	}
	return !w.hasStopped(), nil
}

// bring takes one batch from its decision to its mark.
func (w *worker) bring(batch []arrival, before, mine *turn) error {
	defer close(mine.over)
	mine.failed = true
	if before.hasFailed() {
		// With one flight at a time this look is certain: the handler never sees what comes after
		// a batch that was given up. With more, a later batch may have begun already.
		return nil
	}
	err := w.work(batch, before)
	if err == nil {
		mine.failed = false
		return nil
	}
	w.halt()
	w.leaveInDoubt()
	if errors.Is(err, errGivenUp) || w.ctx.Err() != nil {
		return nil
	}
	return fmt.Errorf("working on %s partition %d: %w", batch[0].Topic, batch[0].Partition, err)
}

// work decides a batch, waits for its turn, makes the decision come true and marks it.
// It holds its place only while it works: one that waits for another's turn must not
// be in the way of that other.
func (w *worker) work(batch []arrival, before *turn) error {
	t := w.tenure(batch)
	if !t.enter() {
		return errGivenUp
	}
	defer t.place.free()
	v, err := w.members.process(t, batch)
	select {
	case <-before.over:
	default:
		t.place.free()
		<-before.over
		if err == nil && !t.place.take(t.ctx) {
			v.drop()
			return errGivenUp
		}
	}
	if before.failed { // nothing after it may be marked
		if err == nil {
			v.drop()
		}
		return errGivenUp
	}
	if err != nil {
		return err
	}
	later, err := v.settle()
	if err != nil {
		return err
	}
	w.mark(batch, later, v.told()...)
	return nil
}

// careful reports whether the batch must be worked on alone.
func (w *worker) careful(batch []arrival) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.suspects(batch)
}

// suspects is careful for who holds the mutex.
func (w *worker) suspects(batch []arrival) bool {
	return len(batch) == 1 && w.owned[batch[0].Topic].careful > 0
}

// tenure returns the right to work on the batch, and the place that it takes.
func (w *worker) tenure(batch []arrival) tenure {
	t := tenure{ctx: w.ctx, halted: w.halted, place: &place{places: w.members.places, size: 1}}
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.suspects(batch) {
		return t
	}
	topic := batch[0].Topic
	if t.untried = w.owned[topic].note.Tries >= guiltyAfter; t.untried {
		return t
	}
	if tries := w.owned[topic].note.Tries; tries > 0 {
		t.hesitates = time.Duration(rand.Int64N(int64(mostHesitation) * int64(tries))) //nolint:gosec // no secret
	}
	t.place.size = service.AllPlaces
	t.place.sign = func(working bool) { w.sign(topic, working) }
	return t
}
