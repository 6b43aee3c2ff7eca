package stage

import (
	"context"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

type workerOf struct{}

// into returns a context by which a handler asks about the partition that it works on.
func (w *worker) into(ctx context.Context) context.Context {
	return context.WithValue(ctx, workerOf{}, w)
}

// ask asks about the partition that ctx is of. Without a stage the answer is no.
func ask(ctx context.Context, about func(w *worker) bool) bool {
	w, ok := ctx.Value(workerOf{}).(*worker)
	if !ok {
		return false
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return about(w)
}

// ComesAgain reports whether a record of the partition that ctx is of may have been worked on before, here or by an owner
// before that did not leave cleanly: until all topics have come past what was in the log when they were assigned. It is so
// also in a batch of one topic while what comes again waits in another one, behind a backlog.
func ComesAgain(ctx context.Context) bool {
	return ask(ctx, func(w *worker) bool {
		for _, c := range w.owned {
			if max(0, c.next.Offset) < c.seen {
				return true
			}
		}
		return false
	})
}

// wasCommitted reports whether a record that comes again was committed: the keeper went back to before it, or a person may
// have set the offset of its partition, which ctx is of, back.
func wasCommitted(ctx context.Context, r *kgo.Record) bool {
	return ask(ctx, func(w *worker) bool {
		for _, c := range w.owned {
			if c.byHand {
				return true
			}
		}
		c := w.owned[r.Topic]
		return c != nil && r.Offset < c.kept
	})
}

type retryOf struct{}

// IsRetry reports whether this process has tried the batch before: the index may have it from then.
func IsRetry(ctx context.Context) bool { return ctx.Value(retryOf{}) != nil }

// Retrying returns a context in which IsRetry is true.
func Retrying(ctx context.Context) context.Context { return context.WithValue(ctx, retryOf{}, true) }

// InDoubt reports whether the partition that ctx is of is in doubt: what is done now is done once more (doubt.go).
func InDoubt(ctx context.Context) bool {
	return ask(ctx, func(w *worker) bool { return !w.doubtUntil.IsZero() })
}

// LeaveInDoubt says that a call has failed which may still land. The next owner of the partition that ctx is of, if it comes
// before that is over, doubts then what it does, as after an unclean end, and its keeper learns of it.
func LeaveInDoubt(ctx context.Context) {
	ask(ctx, func(w *worker) bool {
		w.lateUntil, w.kept.late = time.Now().Add(w.members.doubt), true
		return true
	})
}

// Repeating returns a context in which ComesAgain is true, for the tests of handlers.
func Repeating(ctx context.Context) context.Context {
	return (&worker{owned: map[string]*claim{"": {seen: 1}}}).into(ctx)
}

// Doubting returns a context in which InDoubt is true, for the tests of handlers.
func Doubting(ctx context.Context) context.Context {
	return (&worker{doubtUntil: time.Now()}).into(ctx)
}
