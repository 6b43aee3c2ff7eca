package stage

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/freshet-io/freshet/libs/kafka"
	"github.com/freshet-io/freshet/libs/record"
	"github.com/freshet-io/freshet/libs/telemetry"
)

// The trace of an item is told once, whole, by the stage in which its way ends: until then each hop only adds to the
// stamps. So it does not exist in halves, and stages need not agree on what is told. It is exported when the record's
// offset is committed: what is committed does not come again, and what comes again was not told.

// ended is the trace of an input whose way has ended, and where its record is.
type ended struct {
	topic  string
	offset int64
	trace  *telemetry.Trace
}

// isFirst reports whether the stage reads what producers send.
func (s *Stage[In, Out]) isFirst() bool { return s.Received == record.IngestReceived }

// isLast reports whether the stage itself brings items to the index.
func (s *Stage[In, Out]) isLast() bool { return s.Left == record.Written }

// batch begins the trace of a batch of the last stage. Others' handlers put together batches of their own.
func (e *engine[In, Out]) batch(items int) *telemetry.Batch {
	if !e.stage.isLast() {
		return nil
	}
	return e.telemetry.NewBatch("write batch", record.Written,
		telemetry.Int(telemetry.AttrItems, int64(items)), telemetry.Text(telemetry.AttrClosed, e.closed(items)))
}

// closed returns why a batch has no more items.
func (e *engine[In, Out]) closed(items int) string {
	if items == e.stage.Settings.Items {
		return "full"
	}
	return "drained"
}

// passed returns the stamps of an output that is produced now.
func (e *engine[In, Out]) passed(in *input[In, Out], committed, now time.Time) record.Stamps {
	s := in.stamps
	if e.stage.isLast() { // it asks embed for a vector: the item sets out once more
		s = record.NewStamps(s.Start())
		s.Pass(record.IngestReceived, now)
		return s
	}
	if e.stage.isFirst() && !committed.IsZero() {
		s.Commit(committed)
	}
	in.outcome.Batch.Stamp(&s, in.tries > 1)
	s.Pass(e.stage.Left, now)
	return s
}

// before reports what was done with an input that the index had already. Where this process tried it more than once, the index
// may have it from the first try, and nobody has told or measured it; where an owner before may have put it, too: told twice is
// better than never, and an age that is too large than none.
func (in *input[In, Out]) before(ctx context.Context) (told, measured bool) {
	if !in.outcome.Again {
		return false, false
	}
	p := pastOf(ctx, in.record.Record)
	old := in.tries == 1 && (p.setBack || !ComesAgain(ctx))
	return p.told || old, p.measured || old
}

// repeats reports whether the way of an input has been told before, or will be by what was produced for it before.
func (in *input[In, Out]) repeats(ctx context.Context, comesAgain bool) bool {
	o := &in.outcome
	switch {
	case o.Err != nil:
		return false // its letter is written once more, too
	case !o.Arrived:
		return o.Again || comesAgain
	}
	told, _ := in.before(ctx)
	return told
}

// tell returns the traces of those inputs whose way has ended, as far as they are told.
func (e *engine[In, Out]) tell(ctx context.Context, inputs []input[In, Out], batch *telemetry.Batch) (all []ended) {
	now, comesAgain := time.Now(), ComesAgain(ctx)
	var members []telemetry.Member
	for i := range inputs {
		in := &inputs[i]
		o := &in.outcome
		if o.Err == nil && !o.Arrived && (len(o.Out) > 0 || o.Later) || in.repeats(ctx, comesAgain) {
			continue // it goes on, or has been told
		}
		w := telemetry.Way{
			Identity: telemetry.Identity{Item: &in.trace}, Stamps: in.stamps, Ended: e.stage.Left, At: now,
			Arrived: o.Arrived, Outcome: o.Label, Err: o.Err, Batch: batch,
			Topic: in.record.Topic, Partition: in.record.Partition, Offset: in.record.Offset,
		}
		if !e.telemetry.Tells(&w) || !e.identify(in, &w) {
			continue
		}
		if batch == nil {
			o.Batch.Stamp(&w.Stamps, in.tries > 1)
			w.Batch = o.Batch
		}
		if in.told = e.telemetry.Tell(&w); in.told != nil {
			all = append(all, ended{w.Topic, w.Offset, in.told})
			members = append(members, telemetry.Member{Identity: w.Identity, Told: true})
		}
	}
	batch.End(members, nil)
	return all
}

// identify completes a way by what is known of its item, and reports whether it is told here.
func (e *engine[In, Out]) identify(in *input[In, Out], w *telemetry.Way) bool {
	facts := e.facts(in)
	w.Key, w.Version, w.Backfill = string(facts.ItemKey), facts.Version, facts.Backfill
	if w.Key == "" {
		w.Key = fmt.Sprintf("%s/%d/%d", w.Topic, w.Partition, w.Offset)
	}
	if facts.Follows && w.Err != nil {
		w.Version = -w.Version // what follows may end as another letter
	}
	return !facts.Told && (!facts.Follows || w.Err != nil)
}

// mostTold bounds the traces of a partition that wait for a commit, about 5 kB each in memory. What is owed may keep commits
// back for as long as an outage lasts.
const mostTold = 1000

// tell keeps traces until their offsets are committed. Where there are too many the first of them go before: told twice
// after a crash is better than a process without memory. The mutex is held.
func (w *worker) tell(told []ended) {
	w.told = append(w.told, told...)
	over := max(len(w.told)-mostTold, 0)
	for _, x := range w.told[:over] {
		w.members.export(x.trace)
	}
	w.told = slices.Delete(w.told, 0, over)
}

// committed has the traces exported of a topic's records before an offset that is committed, but for those that the same
// commit says are owed: it may have been under way when they were paid, and the next owner would tell them again.
func (w *worker) committed(topic string, before int64, owed string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.told) == 0 {
		return
	}
	owes, _ := kafka.DecodeOwed(owed) // it is our own
	w.told = slices.DeleteFunc(w.told, func(x ended) bool {
		done := x.topic == topic && x.offset < before && !slices.Contains(owes, x.offset)
		if done {
			w.members.export(x.trace)
		}
		return done
	})
}
