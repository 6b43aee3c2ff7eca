package stage

import (
	"bytes"
	"context"
	"slices"

	"github.com/twmb/franz-go/pkg/kgo"
	"golang.org/x/sync/semaphore"

	"github.com/freshet-io/freshet/libs/fault"
	"github.com/freshet-io/freshet/libs/kafka"
)

const (
	// laterPoll is how many records are read at once: some of them may be large.
	laterPoll = 16
	// laterShare is what part of Settings.QueueBytes a batch has, about.
	laterShare = 64
)

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
		if !b.worker.begin(b.batch) { //nolint:contextcheck // it has its own
			return errGivenUp
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
		rest := b.worker.pay(b.topic, b.batch, later, v.told()...)
		if len(later) < len(b.batch) {
			b.worker.note(ctx, b.topic)
		}
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
			if b.worker.isOwed(b.topic, r.Offset) {
				b.batch = append(b.batch, arrival{alone(r), t.TopicID})
			}
		})
	})
	if err == nil && b.next > want && !found {
		err = fault.Halt("topic %s, partition %d: the record at offset %d was read once and cannot be read again", b.topic, b.worker.partition, want)
	}
	return err
}
