package stage

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/freshet-io/freshet/libs/fault"
	"github.com/freshet-io/freshet/libs/kafka"
	"github.com/freshet-io/freshet/libs/telemetry"
)

// What a handler cannot finish now must neither hold up its partition nor fill the memory. So its offset alone is kept
// (owed.go), and a second reader of the partition, a client of its own that exists while something is owed, reads the
// record again for Stage.Later:
//
//	poll ─▶ batch ─▶ Handler ─▶ settle ─▶ mark ─▶ … goes on
//	                    │ Later              │ what is owed stands in the note of the commit, as far as it fits
//	                    ▼                    ▼
//	             owed offsets ─▶ reader ─▶ batch ─▶ Stage.Later ─▶ settle ─▶ pay, mark
//
// A batch of it is there at a time, so that little is in memory however much is owed and however long.

const (
	// dueLook is how often it is looked whether something has come due: the clock may be set, and the machine may sleep.
	dueLook = time.Minute
	// laterGrace is how long a batch may go on when its partition goes. It may wait for something that is away for hours,
	// and nothing is lost with it.
	laterGrace = 5 * time.Second
)

// owe takes note of the records of a batch that are not finished. The mutex is held.
func (w *worker) owe(batch []arrival, later []leftover) {
	if len(later) == 0 {
		return
	}
	for _, l := range later {
		r := batch[l.index].Record
		o := &w.owned[r.Topic].owed
		o.places = append(o.places, owedAt(r, l.notBefore))
	}
	w.owes()
}

// restore takes over what the owner before has left for later. Its error is fatal.
func (m *members) restore(c *claim, noted string) error {
	offsets, err := kafka.DecodeOwed(noted)
	if err == nil && len(offsets) > 0 && m.later == nil {
		err = errors.New("this stage leaves nothing for later")
	}
	if err != nil {
		return fault.Halt("what the note of the committed offset says is owed cannot be handled (%w): another program has committed it; set the offset by hand to before what is missing", err)
	}
	c.owed = owed{passed: c.next, places: make([]owedPlace, len(offsets))}
	for i, offset := range offsets {
		c.owed.places[i] = owedPlace{offset: offset, epoch: -1}
	}
	return nil
}

// owes has fulfil look at what is owed.
func (w *worker) owes() {
	select {
	case w.owing <- struct{}{}:
	default:
	}
}

// markNext lets be committed what a topic has come to. The mutex is held.
func (w *worker) markNext(topic string, c *claim) {
	w.client.MarkCommitOffsets(map[string]map[int32]kgo.EpochOffset{topic: {w.partition: c.next}})
}

// pay takes the batch's records off that are finished, and lets be committed what they have held up. It returns those
// that are to be handled again at once.
func (w *worker) pay(topic string, batch []arrival, later []leftover, told ...ended) (rest []arrival) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.disowned {
		return nil
	}
	c := w.owned[topic]
	w.tell(told)
	var finished []int64
	for i, r := range batch {
		switch {
		case len(later) == 0 || later[0].index != i:
			finished = append(finished, r.Offset)
			continue
		case later[0].notBefore.IsZero():
			rest = append(rest, r)
		default: // it is read again then
			c.owed.postpone(owedAt(r.Record, later[0].notBefore))
		}
		later = later[1:]
	}
	c.owed.pay(finished)
	c.next = c.owed.next()
	w.markNext(topic, c)
	return rest
}

// note commits what is owed now: where the partition has come no further since, its offset alone would not be committed
// again, and the next owner would do once more what is paid.
func (w *worker) note(ctx context.Context, topic string) {
	w.mu.Lock()
	at := map[string]map[int32]kgo.EpochOffset{topic: {w.partition: w.owned[topic].next}}
	w.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, noteBound)
	defer cancel()
	w.client.CommitOffsetsSync(withNotes(ctx, w.members.complete), at, func(_ *kgo.Client, asked *kmsg.OffsetCommitRequest, answer *kmsg.OffsetCommitResponse, err error) {
		if err == nil {
			err = refusals(answer)
		}
		if err == nil {
			w.members.exportCommitted(asked)
		}
		w.noted(ctx, err)
	})
}

// fulfil handles again what is owed, until the worker is halted.
func (w *worker) fulfil() error {
	ctx, cancel := context.WithCancel(w.ctx)
	defer cancel()
	w.members.spawn(func() error {
		if <-w.halted; sleep(ctx, nil, laterGrace) {
			cancel()
		}
		return nil
	})
	for w.awaitOwed() {
		topic := w.debtor()
		b := &debt{worker: w, topic: topic}
		err := b.work(ctx)
		b.close()
		if errors.Is(err, errGivenUp) || ctx.Err() != nil {
			return nil
		}
		if err != nil {
			w.halt()
			return fmt.Errorf("working on what was left of %s partition %d: %w", topic, w.partition, err)
		}
	}
	return nil
}

// awaitOwed waits until something is owed and due. It reports false where the worker is halted before.
func (w *worker) awaitOwed() bool {
	for {
		var due <-chan time.Time
		switch wait, owes := w.untilDue(); {
		case owes && wait == 0:
			return !w.hasStopped()
		case owes:
			due = time.After(min(wait, dueLook))
		}
		select {
		case <-due:
		case <-w.owing:
		case <-w.halted:
			return false
		}
	}
}

// untilDue returns how long it takes until something that is owed may be handled.
func (w *worker) untilDue() (wait time.Duration, owes bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range w.owned { // one
		wait, owes = c.owed.untilDue(time.Now())
	}
	return wait, owes
}

// debtor returns the worker's topic: what is left for later is of stages with one topic a worker.
func (w *worker) debtor() (topic string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for topic = range w.owned {
		break
	}
	return topic
}

// firstOwed returns the first offset from another one on that is owed and due.
func (w *worker) firstOwed(topic string, from int64) (offset int64, ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.owned[topic].owed.first(from, time.Now())
}

// passedOver returns how many were not due when they were passed, and are now: what is due below an offset but for those
// in hand.
func (w *worker) passedOver(topic string, next int64, inHand int) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.owned[topic].owed.dueBelow(next, time.Now()) - inHand
}

// passed returns the offset of the first record that may still be in flight.
func (w *worker) passed(topic string) int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.owned[topic].owed.passed.Offset
}

func (w *worker) isOwed(topic string, offset int64) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.owned[topic].owed.has(offset, time.Now())
}

// publish shows how much is owed, where anything can be.
func (m *members) publish(stage string, metrics *telemetry.Metrics) error {
	if m.later == nil {
		return nil
	}
	return metrics.Gauge(telemetry.StageLater, func(observe func(float64, ...string)) { observe(float64(m.owing()), "stage", stage) })
}

// owing returns how many records all partitions owe.
func (m *members) owing() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := 0
	for _, w := range m.workers {
		w.mu.Lock()
		for _, c := range w.owned {
			n += len(c.owed.places)
		}
		w.mu.Unlock()
	}
	return n
}
