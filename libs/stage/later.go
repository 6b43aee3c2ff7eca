package stage

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"golang.org/x/sync/semaphore"

	"github.com/freshet-io/freshet/libs/fault"
	"github.com/freshet-io/freshet/libs/kafka"
	"github.com/freshet-io/freshet/libs/telemetry"
)

// What a handler cannot finish now must neither hold up its partition nor fill the memory. So its offset alone is kept
// (owed.go), and a second reader of the partition, a client of its own that exists while something is owed, reads the
// record again for Stage.Later:
//
//	poll ─▶ batch ─▶ Handler ─▶ settle ─▶ mark ─▶ … goes on
//	                    │ Later              │ nothing beyond the first owed offset is committed
//	                    ▼                    ▼
//	             owed offsets ─▶ reader ─▶ batch ─▶ Stage.Later ─▶ settle ─▶ pay, mark
//
// A batch of it is there at a time, so that little is in memory however much is owed and however long.

const (
	// laterPoll is how many records are read at once: some of them may be large.
	laterPoll = 16
	// laterShare is what part of Settings.QueueBytes a batch has, about.
	laterShare = 64
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
func (w *worker) pay(topic string, batch []arrival, later []leftover) (rest []arrival) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.disowned {
		return nil
	}
	c := w.owned[topic]
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

func (w *worker) owes(topic string, offset int64) bool {
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

// debt reads a partition from the first owed offset on.
type debt struct {
	worker *worker
	topic  string
	client *kgo.Client // nil until something was to be read
	next   int64       // offset of the first record that was not looked at
	batch  []arrival   // read, and still owed
}

func (b *debt) close() {
	if b.client != nil {
		b.client.Close()
	}
}

// work returns nil when nothing more is due, or something that was passed over is.
func (b *debt) work(ctx context.Context) error {
	for wait := firstWait; ; {
		if err := b.gather(ctx); err != nil || len(b.batch) == 0 {
			return err
		}
		// It takes no place of the process: it may wait for hours, and a careful batch would with it.
		t := tenure{ctx: ctx, halted: b.worker.halted, place: &place{places: semaphore.NewWeighted(1), size: 1}}
		v, err := b.worker.members.later(t, b.batch)
		if err != nil {
			return err
		}
		later, err := v.settle()
		if err != nil {
			return err
		}
		rest := b.worker.pay(b.topic, b.batch, later)
		if b.batch = rest; len(rest) == 0 {
			wait = firstWait
		} else if !t.sleep(wait) {
			return errGivenUp
		} else {
			wait = min(2*wait, longWait)
		}
		if b.worker.hasStopped() {
			return errGivenUp
		}
	}
}

// gather fills the batch with what is owed, in its order.
func (b *debt) gather(ctx context.Context) error {
	s := &b.worker.members.settings
	for b.worker.members.held.Load() {
		if !sleep(ctx, b.worker.halted, pollWait) {
			return errGivenUp
		}
	}
	for len(b.batch) < s.Items && b.bytes() < s.QueueBytes/laterShare {
		want, ok := b.worker.firstOwed(b.topic, b.next)
		if !ok {
			if b.worker.passedOver(b.topic, b.next, len(b.batch)) > 0 {
				b.batch = nil // the next reader begins with the first of them
			}
			return nil
		}
		if err := b.read(ctx, want); err != nil {
			return err
		}
		if ctx.Err() != nil || b.worker.hasStopped() {
			return errGivenUp
		}
	}
	return nil
}

func (b *debt) bytes() int64 {
	var n int64
	for _, r := range b.batch {
		n += int64(len(r.Key) + len(r.Value) + recordOverhead)
	}
	return n
}

// alone returns a copy of a record: what it was read with is no longer in memory then, which may be much more.
func alone(r *kgo.Record) *kgo.Record {
	own := *r
	own.Key, own.Value, own.Headers = bytes.Clone(r.Key), bytes.Clone(r.Value), slices.Clone(r.Headers)
	for i := range own.Headers {
		own.Headers[i].Value = bytes.Clone(own.Headers[i].Value)
	}
	return &own
}

// read reads some records on, of which the wanted one is the next that is owed.
func (b *debt) read(ctx context.Context, want int64) (err error) {
	m := b.worker.members
	if b.client == nil {
		b.client, err = kafka.Reader(ctx, m.from.Cluster, b.topic, b.worker.partition, want, m.log)
		if err != nil { // what is not owed goes on without it, by connections that are open
			b.client = nil
			m.log.WarnContext(ctx, "connecting to read what was left for later", "error", err)
			sleep(ctx, b.worker.halted, longWait)
			return nil
		}
		b.next = want
	}
	wait, cancel := context.WithTimeout(ctx, pollWait)
	defer cancel()
	// Nothing that is in flight: it may be owed in a moment, and would be passed over while more is owed behind it.
	known := max(1, b.worker.passed(b.topic)-b.next)
	fetches := b.client.PollRecords(wait, int(min(laterPoll, int64(m.settings.Items-len(b.batch)), known)))
	if fetches.Empty() {
		wake(b.client)
	}
	fetches.EachError(func(topic string, partition int32, cause error) {
		if err == nil {
			err = m.fetchFault(topic, partition, cause)
		}
	})
	found := false
	fetches.EachTopic(func(t kgo.FetchTopic) {
		t.EachRecord(func(r *kgo.Record) {
			b.next, found = r.Offset+1, found || r.Offset == want
			if b.worker.owes(b.topic, r.Offset) {
				b.batch = append(b.batch, arrival{alone(r), t.TopicID})
			}
		})
	})
	if err == nil && b.next > want && !found {
		err = fault.Halt("topic %s, partition %d: the record at offset %d was read once and cannot be read again", b.topic, b.worker.partition, want)
	}
	return err
}
