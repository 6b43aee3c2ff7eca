package embedder

import (
	"context"
	"slices"
	"time"

	"github.com/freshet-io/freshet/libs/fault"
)

// budgetLook is how often a call that waits looks whether it may go. It looks instead of
// sleeping till midnight since the clock may be set, and the machine may sleep.
const budgetLook = time.Second

// budget is the allowance of all texts, for which calls wait.
type budget struct {
	stopped chan struct{} // closed: the process stops, and nobody is to wait

	*allowance
	queue []*int64 // what the calls that wait want, in the order in which they came
}

// reserve sets tokens aside for a call, until release. It returns when the budget of the day has
// room for them and it is the call's turn, or with an error where ctx ends or the process stops: it would else use up all the
// time that it has for what is under way. The first call of a day always goes: a budget smaller than
// one call would else end everything. Without turns a large call would wait for ever, since small
// ones use up what it needs.
func (b *budget) reserve(ctx context.Context, tokens int64) error {
	turn := &tokens
	if b.enter(turn) {
		return nil
	}
	defer b.leave(turn)
	look := time.NewTicker(budgetLook)
	defer look.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-b.stopped:
			return fault.Wait(budgetLook, "the embedding budget of the day is spent")
		case <-look.C:
			if b.take(turn) {
				return nil
			}
		}
	}
}

// enter puts a call into the queue, and reports whether it may go at once.
func (b *budget) enter(turn *int64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.queue = append(b.queue, turn)
	return b.pass(turn)
}

func (b *budget) take(turn *int64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.pass(turn)
}

// pass takes the first call out of the queue where the budget has room for it.
func (b *budget) pass(turn *int64) bool {
	if b.queue[0] != turn || !b.fits(*turn) {
		return false
	}
	b.reserved += *turn
	b.queue = b.queue[1:]
	return true
}

func (b *budget) leave(turn *int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.queue = slices.DeleteFunc(b.queue, func(t *int64) bool { return t == turn })
}

// state returns what all replicas have spent today, and how many calls wait because of it.
func (b *budget) state() (tokens int64, waiting int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.today(), len(b.queue)
}
