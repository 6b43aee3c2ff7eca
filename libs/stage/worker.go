package stage

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"golang.org/x/sync/errgroup"
)

// arrival is a record with the id of its topic.
type arrival struct {
	*kgo.Record
	topicID [16]byte
}

// processor decides the fate of a batch. It gives up with errGivenUp once halted is
// closed and it would have to wait.
type processor func(ctx context.Context, halted <-chan struct{}, batch []arrival) (verdict, error)

// verdict is a decided batch. Exactly one of its methods is called.
type verdict interface {
	// settle makes the outcomes come true: when it returns nil, everything that the batch
	// caused has been acknowledged.
	settle() error
	// drop forgets them.
	drop()
}

// worker works on one partition, or on one partition number of all topics.
type worker struct {
	members *members
	client  *kgo.Client

	ctx    context.Context //nolint:containedctx // ends when the worker must drop even what it has begun
	cancel context.CancelFunc
	halted chan struct{} // closed: begin nothing new
	done   chan struct{} // closed: run has returned
	wake   chan struct{}

	mu       sync.Mutex
	owned    map[string]int32     // topic -> partition
	disowned bool                 // no mark any more
	queues   map[string][]arrival // by topic
	flying   [][]arrival          // batches in flight, oldest first
	bytes    int64
	paused   map[string]bool
	stopped  bool
}

func newWorker(ctx context.Context, m *members, client *kgo.Client) *worker {
	// What is begun is finished, also when the process is told to stop: the drain bound
	// ends it, not the caller's context.
	own, cancel := context.WithCancel(context.WithoutCancel(ctx))
	return &worker{
		members: m, client: client, ctx: own, cancel: cancel,
		halted: make(chan struct{}), done: make(chan struct{}), wake: make(chan struct{}, 1),
		owned: map[string]int32{}, queues: map[string][]arrival{}, paused: map[string]bool{},
	}
}

func (w *worker) own(topic string, partition int32) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.owned[topic] = partition
}

// halt has the worker begin nothing new.
func (w *worker) halt() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.stopped {
		w.stopped = true
		close(w.halted)
	}
}

// disown makes a later mark impossible and drops what is still in flight.
func (w *worker) disown() {
	w.mu.Lock()
	w.disowned = true
	w.mu.Unlock()
	w.cancel()
}

// push queues records. It never blocks: a full queue pauses its partition instead.
func (w *worker) push(topic string, id [16]byte, partition int32, records []*kgo.Record) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.stopped {
		return
	}
	for _, r := range records {
		w.queues[topic] = append(w.queues[topic], arrival{r, id})
		w.count(r, +1)
	}
	if len(w.queues[topic]) > w.members.settings.QueueRecords && !w.paused[topic] {
		w.paused[topic] = true
		w.client.PauseFetchPartitions(map[string][]int32{topic: {partition}})
	}
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

func (w *worker) count(r *kgo.Record, sign int) {
	size := int64(len(r.Key)+len(r.Value)+200) * int64(sign)
	w.bytes += size
	w.members.queued.Add(size)
}

// run works until the worker is halted. Where another worker of this partition
// still runs, given up earlier, it waits for that one first.
func (w *worker) run(before <-chan struct{}) error {
	defer close(w.done)
	defer w.cancel()
	defer w.drop()
	if before != nil {
		// Also where this worker is given up meanwhile: the next one waits for it alone.
		<-before
	}
	return w.fly()
}

// turn is a batch's place in the row: it is over when the batch is marked, or, with
// failed set, when it never will be.
type turn struct {
	over   chan struct{}
	failed bool
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
			return flights.Wait()
		}
		previous, mine := before, &turn{over: make(chan struct{})}
		flights.Go(func() error { return w.bring(batch, previous, mine) })
		before = mine
	}
}

// bring takes one batch from its decision to its mark.
func (w *worker) bring(batch []arrival, before, mine *turn) error {
	defer close(mine.over)
	mine.failed = true
	v, err := w.members.process(w.ctx, w.halted, batch)
	<-before.over
	if before.failed { // nothing after it may be marked
		if err == nil {
			v.drop()
		}
		return nil
	}
	if err == nil {
		err = v.settle()
	}
	if err != nil {
		w.halt()
		if errors.Is(err, errGivenUp) || w.ctx.Err() != nil {
			return nil
		}
		return fmt.Errorf("working on %s partition %d: %w", batch[0].Topic, batch[0].Partition, err)
	}
	w.mark(batch)
	mine.failed = false
	return nil
}

// gather waits for records and takes a batch: the first topics before the later ones.
func (w *worker) gather() []arrival {
	for {
		if batch := w.next(); batch != nil {
			return batch
		}
		select {
		case <-w.wake:
		case <-w.halted:
			return nil
		}
	}
}

func (w *worker) next() []arrival {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.stopped {
		return nil
	}
	room := w.members.settings.Items
	var batch []arrival
	for _, topic := range w.waiting() {
		queue := w.queues[topic]
		n := min(room, len(queue))
		batch = append(batch, queue[:n]...)
		w.queues[topic] = slices.Delete(queue, 0, n)
		room -= n
		if w.paused[topic] && len(w.queues[topic]) <= w.members.settings.QueueRecords/2 {
			delete(w.paused, topic)
			w.client.ResumeFetchPartitions(map[string][]int32{topic: {w.owned[topic]}})
		}
	}
	if len(batch) > 0 {
		w.flying = append(w.flying, batch)
	}
	return batch
}

// waiting returns the topics that have records queued, the stage's first ones first.
func (w *worker) waiting() []string {
	var topics []string
	for _, topic := range w.members.from.Topics {
		if len(w.queues[topic]) > 0 {
			topics = append(topics, topic)
		}
	}
	return topics
}

// mark lets the batch's offsets be committed, unless the partition has gone.
func (w *worker) mark(batch []arrival) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, r := range batch {
		w.count(r.Record, -1)
	}
	w.flying = w.flying[1:] // batches are marked in the order in which they were taken
	if w.disowned {
		return
	}
	records := make([]*kgo.Record, len(batch))
	for i, r := range batch {
		records[i] = r.Record
	}
	w.client.MarkCommitRecords(records...)
}

// drop forgets what was queued.
func (w *worker) drop() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.members.queued.Add(-w.bytes)
	w.bytes, w.queues, w.flying = 0, nil, nil
	w.stopped = true
}

// oldest returns the time of the oldest unfinished record.
func (w *worker) oldest() (time.Time, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var first []arrival
	if len(w.flying) > 0 {
		first = w.flying[0]
	}
	for _, q := range w.queues {
		if len(q) > 0 {
			first = append(slices.Clip(first), q[0])
		}
	}
	if len(first) == 0 {
		return time.Time{}, false
	}
	return slices.MinFunc(first, func(a, b arrival) int { return a.Timestamp.Compare(b.Timestamp) }).Timestamp, true
}
