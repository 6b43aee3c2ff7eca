package stage

import (
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	"github.com/freshet-io/freshet/libs/fault"
)

// What a failure does: an error of the handler is transient unless package fault says otherwise. Its batch is tried
// again without end, while the member keeps polling, stays in its group and reads no more of that partition than its
// queue takes; the other partitions go on. A permanent one, or a panic, has the batch halved until the culprit is
// alone, which becomes a dead letter. A fatal one stops the stage, and nothing of the batch is marked.
//
// A call has no time limit of the stage's: a handler brings its own. An output or a letter that is not acknowledged is
// produced again (sender.go). A record that cannot be decoded is a dead letter.

const (
	firstWait = 200 * time.Millisecond
	longWait  = 30 * time.Second
)

// attempt has the handler decide each input of a batch, or gives up for a fatal fault or when the partition goes.
type attempt[In, Out any] struct {
	handler Handler[In, Out]
	tenure  tenure
	log     *slog.Logger
	retried func()

	tries    int
	failedAt time.Time
}

func (a *attempt[In, Out]) run(batch []In) ([]Outcome[Out], error) {
	ctx := a.tenure.ctx
	for wait := firstWait; ; wait = min(2*wait, longWait) {
		outcomes, err := a.call(batch)
		if err == nil {
			return outcomes, nil
		}
		switch fault.ClassOf(err) {
		case fault.Fatal:
			return nil, err
		case fault.Permanent:
			return a.halve(batch, err)
		case fault.Transient:
		}
		if ctx.Err() != nil {
			return nil, errGivenUp
		}
		a.retried()
		a.log.WarnContext(ctx, "trying a batch again", "items", len(batch), "wait", wait, "error", err)
		if !a.tenure.sleep(max(wait, fault.AfterOf(err))) {
			return nil, errGivenUp
		}
	}
}

// call calls the handler and turns a panic into a permanent fault, so that halving
// finds the input that causes it.
func (a *attempt[In, Out]) call(batch []In) (outcomes []Outcome[Out], err error) {
	ctx := a.tenure.ctx
	a.tries++
	defer func() {
		if p := recover(); p != nil {
			a.log.ErrorContext(ctx, "the handler panicked", "items", len(batch), "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			outcomes, err = nil, fault.Reject(fault.Panic, "the handler panics on this input")
		}
		if err != nil && a.failedAt.IsZero() {
			a.failedAt = time.Now()
		}
	}()
	outcomes, err = a.handler.Handle(ctx, batch)
	if err == nil && len(outcomes) != len(batch) {
		return nil, fault.Halt("a bug: the handler returned %d outcomes for %d inputs", len(outcomes), len(batch))
	}
	return outcomes, err
}

func (a *attempt[In, Out]) halve(batch []In, err error) ([]Outcome[Out], error) {
	if len(batch) == 1 {
		return []Outcome[Out]{Reject[Out](err)}, nil
	}
	half := len(batch) / 2
	left, err := a.run(batch[:half])
	if err != nil {
		return nil, err
	}
	right, err := a.run(batch[half:])
	if err != nil {
		return nil, err
	}
	return append(left, right...), nil
}

// asReject returns err as a permanent fault: what a decoder says without a class is malformed.
func asReject(err error) error {
	if e, ok := errors.AsType[*fault.Error](err); ok && e.Class == fault.Permanent {
		return err
	}
	return fault.Reject(fault.Malformed, "%w", err)
}
