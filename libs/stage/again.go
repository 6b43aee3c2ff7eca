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

// past is what was done before with a record that comes again.
type past struct {
	told, measured bool
	setBack        bool // a person may have set the offset of its partition back: what comes again was committed then
}

// pastOf returns that of a record of the partition that ctx is of, as far as this process knows.
func pastOf(ctx context.Context, r *kgo.Record) (p past) {
	ask(ctx, func(w *worker) bool {
		for _, c := range w.owned {
			p.setBack = p.setBack || c.byHand
		}
		if c := w.owned[r.Topic]; c != nil {
			p.told, p.measured = r.Offset < c.told, r.Offset < c.measured
		}
		return true
	})
	return p
}

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
