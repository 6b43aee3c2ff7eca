package embedder

import (
	"context"
	"slices"
	"time"

	"github.com/freshet-io/freshet/libs/fault"
	"github.com/freshet-io/freshet/libs/record"
	"github.com/freshet-io/freshet/libs/stage"
	"github.com/freshet-io/freshet/services/embed/provider"
)

// While the provider is away, throttled for long or too dear for today, documents overtake their vectors: a live one
// goes on without, so that write brings its price to the index, and its vector follows. The stage keeps the document's
// offset alone, and has it handled again by followers.
//
//	live document ─▶ vector within OVERTAKE_AFTER? ── yes ─▶ vector, present
//	                        │ no, or the provider is behind
//	                        ├─▶ vector, pending: row and fingerprint ─▶ write
//	                        └─▶ offset ─▶ followers: waits for the provider ─▶ vector, present
//
// Both are of one version: write takes the second one's vector since it is wanted and not held. Nothing that waits is in
// memory, but for one batch a partition.

// manner is how a batch deals with texts whose vectors do not come.
type manner struct {
	// after is how long the batch waits for them; 0 is for ever, and then a provider that fails fails the batch.
	after time.Duration
	// again says that the documents were handed on before, and that those that fail wait on while others come true.
	again bool
}

// overtakes reports whether documents may go on without their vectors.
func (m manner) overtakes() bool { return m.after > 0 || m.again }

// followers handles again the documents that have overtaken their vectors. Their texts wait for those of newer documents,
// as a backfill's do: what comes now is worth more than what is late already. Where the provider is late nobody else asks
// for live texts, and these go before a backfill's.
type followers struct{ *Embedder }

func (f followers) Handle(ctx context.Context, batch []Input) ([]stage.Outcome[*record.Vector], error) {
	return f.handle(provider.WithLane(ctx, provider.NewLane(!f.batcher.isLate(), nil)), batch, manner{again: true})
}

// errLate says that a vector has not come within the time that its document waits.
var errLate = fault.Wait(0, "the vector has not come in time")

func (e *Embedder) answers(ctx context.Context, asks []ask, m manner) ([]answer, error) {
	switch {
	case m.after == 0:
		return e.batcher.embed(ctx, asks)
	case e.behind(m.after):
		answers := make([]answer, len(asks))
		for i := range answers {
			answers[i].err = errLate
		}
		return answers, nil
	}
	return e.batcher.embedWithin(ctx, asks, m.after)
}

// behind reports whether a vector would be late: the last request has failed, a text came too late and none was quick since,
// or live texts wait for so long already. Without it each batch would wait its time, and the documents behind it with it;
// and what is asked for and comes late would be paid twice: the cache has long dropped it when the followers, who go by age,
// come to its document.
func (e *Embedder) behind(after time.Duration) bool {
	b := e.batcher
	return b.halver.failing.Load() || b.isLate() || b.waitsSince(time.Now().Add(-after))
}

// postpone has the document wait for its vector, at least until a time, and hands it on meanwhile unless that was done
// before.
func (w *work) postpone(m manner, until time.Time) {
	owed := stage.Later[*record.Vector](Pending)
	if !m.again && !w.there && w.op() == record.Op_OP_UPSERT {
		w.vector.State = record.VectorState_VECTOR_STATE_PENDING
		owed = stage.Later(Pending, w.vector)
	}
	owed.NotBefore = until
	w.finish(owed)
}

// embedWithin is embed for callers who wait only so long. What has not come by then is errLate: if it is under way, it
// lands in the cache when it comes, since it will be paid for.
func (b *batcher) embedWithin(ctx context.Context, asks []ask, after time.Duration) ([]answer, error) {
	bound, cancel := context.WithTimeout(ctx, after)
	defer cancel()
	calls, joined := b.join(asks, provider.LaneOf(ctx))
	for _, c := range calls {
		err := b.await(bound, c)
		switch {
		case err == nil:
		case ctx.Err() != nil:
			b.leave(calls)
			return nil, err
		default:
			b.part(ctx, calls)
			return taken(calls, joined), nil
		}
	}
	return taken(calls, joined), nil
}

// part takes back what the provider was not asked for yet. A request under way still counts its caller, until that one's
// partition goes, which ctx tells: it may wait for a limit or the budget, and then another owner would pay for its texts, too.
func (b *batcher) part(ctx context.Context, calls []*call) {
	b.mu.Lock()
	defer b.mu.Unlock()
	parted := map[*flight][]*call{}
	for _, c := range calls {
		switch {
		case c.isDone():
		case c.flight != nil:
			parted[c.flight] = append(parted[c.flight], c)
			b.lateUntil = time.Now().Add(lateFor)
		default:
			b.drop(c)
		}
	}
	for f, left := range parted {
		f.parted = append(f.parted, context.AfterFunc(ctx, func() { b.leave(left) }))
	}
}

// drop takes a caller's interest away from a call in the queue.
func (b *batcher) drop(c *call) {
	if c.waiting--; c.waiting == 0 {
		b.forget(c)
		c.lane.remove(c)
	}
}

// taken returns the answers that have come.
func taken(calls []*call, joined []bool) []answer {
	answers := make([]answer, len(calls))
	for i, c := range calls {
		if !c.isDone() {
			answers[i].err = errLate
			continue
		}
		answers[i] = c.answer
		answers[i].known = c.answer.known || joined[i]
	}
	return answers
}

func (c *call) isDone() bool {
	select {
	case <-c.done:
		return true
	default:
		return false
	}
}

// waitsSince reports whether a live text has waited since a time, in the queue or under way.
func (b *batcher) waitsSince(t time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	l := &b.lanes[0]
	return len(l.queue) > 0 && !l.queue[0].queued.After(t) ||
		slices.ContainsFunc(l.flights, func(f *flight) bool { return !f.began.After(t) })
}

// isLate reports whether live texts are taken to come too late, and so are asked for by followers alone.
func (b *batcher) isLate() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return time.Now().Before(b.lateUntil)
}

// close ends all requests that are under way, and returns when what they were charged is in the ledger.
func (b *batcher) close() {
	b.mu.Lock()
	for _, l := range b.lanes {
		for _, f := range l.flights {
			f.cancel()
		}
	}
	b.mu.Unlock()
	b.flying.Wait()
}
