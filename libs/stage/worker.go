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

	"github.com/freshet-io/freshet/libs/service"
)

// arrival is a record with the id of its topic.
type arrival struct {
	*kgo.Record
	topicID [16]byte
}

// processor decides the fate of a batch. It gives up with errGivenUp where it would have
// to wait longer than its tenure.
type processor func(t tenure, batch []arrival) (verdict, error)

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
	owned    map[string]*claim    // by topic
	disowned bool                 // no mark any more
	drained  bool                 // nothing was in flight when it was disowned
	queues   map[string][]arrival // by topic
	flying   [][]arrival          // batches in flight, oldest first
	bytes    int64
	paused   map[string]bool
	stopped  bool
	// doubtUntil is when the calls of an owner that did not leave cleanly have surely ended; zero
	// where there is no doubt. It is of all topics: what that owner did in one of them may have
	// been to an item that comes in another one, too.
	doubtUntil time.Time
}

func newWorker(ctx context.Context, m *members, client *kgo.Client) *worker {
	// What is begun is finished, also when the process is told to stop: the drain bound
	// ends it, not the caller's context.
	own, cancel := context.WithCancel(context.WithoutCancel(ctx))
	return &worker{
		members: m, client: client, ctx: m.lease.into(own), cancel: cancel,
		halted: make(chan struct{}), done: make(chan struct{}), wake: make(chan struct{}, 1),
		owned: map[string]*claim{}, queues: map[string][]arrival{}, paused: map[string]bool{},
	}
}

func (w *worker) own(topic string, partition int32) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.owned[topic] = newClaim(partition)
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
	if !w.disowned {
		w.disowned, w.drained = true, w.ended()
	}
	w.mu.Unlock()
	w.cancel()
}

// push queues records. It never blocks: a full queue pauses its partition instead.
func (w *worker) push(topic string, id [16]byte, partition int32, records []*kgo.Record) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.stopped || w.owned[topic].rewinding {
		return
	}
	queue := slices.Grow(w.queues[topic], len(records))
	for _, r := range records {
		queue = append(queue, arrival{r, id})
	}
	w.queues[topic] = queue
	w.count(queue[len(queue)-len(records):], +1)
	if len(queue) > w.members.settings.QueueRecords && !w.paused[topic] {
		w.paused[topic] = true
		w.client.PauseFetchPartitions(map[string][]int32{topic: {partition}})
	}
	w.nudge()
}

// nudge has the worker look for records.
func (w *worker) nudge() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// count adds records to what is queued, or with sign -1 takes them off.
func (w *worker) count(records []arrival, sign int64) {
	var size int64
	for _, r := range records {
		size += sign * int64(len(r.Key)+len(r.Value)+200)
	}
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

// hasFailed reports whether the turn is over without a mark.
func (t *turn) hasFailed() bool {
	select {
	case <-t.over:
		return t.failed
	default:
		return false
	}
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
			<-before.over // a rewind must not overtake it
			if w.rewind() {
				continue
			}
			return flights.Wait()
		}
		if !w.begin(batch) {
			w.halt()
			return flights.Wait()
		}
		previous, mine := before, &turn{over: make(chan struct{})}
		flights.Go(func() error { return w.bring(batch, previous, mine) })
		before = mine
		if w.careful(batch) {
			<-mine.over
		}
	}
}

// begin tells the next owner that work has begun here, before the first batch does: one
// that took over after a crash would otherwise not know of what is still in flight. It
// reports false where the partition goes before it could.
func (w *worker) begin(batch []arrival) bool {
	w.mu.Lock()
	var all []commitment
	for _, r := range batch {
		c := w.owned[r.Topic]
		if c.begun {
			continue
		}
		c.begun = true
		if c.next.Offset < 0 {
			c.next = kgo.EpochOffset{Epoch: r.LeaderEpoch, Offset: r.Offset}
		}
		all = append(all, commitment{r.Topic, c.partition, c.next, new(c.note)})
	}
	w.mu.Unlock()
	for wait := firstWait; !w.commit(all); wait = min(2*wait, longWait) {
		if !sleep(w.ctx, w.halted, wait) {
			return false
		}
	}
	return true
}

// commit commits notes and reports whether that went well.
func (w *worker) commit(all []commitment) bool {
	ctx, cancel := context.WithTimeout(w.ctx, noteBound)
	defer cancel()
	err := w.members.commit(ctx, w.client, all)
	if err != nil && w.ctx.Err() == nil {
		w.members.log.WarnContext(w.ctx, "noting where work begins", "error", err)
	}
	return err == nil
}

// careful reports whether the batch must be worked on alone.
func (w *worker) careful(batch []arrival) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(batch) == 1 && w.owned[batch[0].Topic].careful > 0
}

// tenure returns the right to work on the batch, and the place that it takes.
func (w *worker) tenure(batch []arrival) tenure {
	t := tenure{ctx: w.ctx, halted: w.halted, place: &place{places: w.members.places, size: 1}}
	if !w.careful(batch) {
		return t
	}
	topic := batch[0].Topic
	w.mu.Lock()
	defer w.mu.Unlock()
	if t.untried = w.owned[topic].note.Tries >= guiltyAfter; t.untried {
		return t
	}
	t.place.size = service.AllPlaces
	t.place.sign = func(working bool) { w.sign(topic, working) }
	return t
}

// sign notes whether the topic's next record is being worked on, so that the next
// owner learns of it if the process ends meanwhile.
func (w *worker) sign(topic string, working bool) {
	w.mu.Lock()
	c := w.owned[topic]
	n := c.note
	if working {
		n.Tries++
	}
	disowned, all := w.disowned, []commitment{{topic, c.partition, c.next, &n}}
	w.mu.Unlock()
	if !disowned {
		w.commit(all)
	}
}

// bring takes one batch from its decision to its mark.
func (w *worker) bring(batch []arrival, before, mine *turn) error {
	defer close(mine.over)
	mine.failed = true
	if before.hasFailed() {
		return nil // a handler must not see what comes after a batch that was not handled
	}
	err := w.work(batch, before)
	switch {
	case err == nil:
		mine.failed = false
		return nil
	case errors.Is(err, errBehindFailed):
		return nil
	}
	w.halt()
	if errors.Is(err, errGivenUp) || w.ctx.Err() != nil {
		return nil
	}
	return fmt.Errorf("working on %s partition %d: %w", batch[0].Topic, batch[0].Partition, err)
}

// work decides a batch, waits for its turn, makes the decision come true and marks it.
// It holds its place only while it works: one that waits for another's turn must not
// be in the way of that other.
func (w *worker) work(batch []arrival, before *turn) error {
	t := w.tenure(batch)
	if !t.place.take(t.ctx) {
		return errGivenUp
	}
	defer t.place.free()
	v, err := w.members.process(t, batch)
	select {
	case <-before.over:
	default:
		t.place.free()
		<-before.over
		if err == nil && !t.place.take(t.ctx) {
			v.drop()
			return errGivenUp
		}
	}
	if before.failed { // nothing after it may be marked
		if err == nil {
			v.drop()
		}
		return errBehindFailed
	}
	if err != nil {
		return err
	}
	if err := v.settle(); err != nil {
		return err
	}
	w.mark(batch)
	return nil
}

// errBehindFailed says that the batch before this one was not marked.
var errBehindFailed = errors.New("the batch before this one was not finished")

// gather waits for records and takes a batch: the first topics before the later ones. It
// returns nil where the worker is halted, or a topic is to be worked on again.
func (w *worker) gather() []arrival {
	for {
		over := w.doubtOver()
		if over == 0 {
			return nil
		}
		if batch := w.next(); batch != nil {
			return batch
		}
		var timer <-chan time.Time
		if over > 0 {
			timer = time.After(over)
		}
		select {
		case <-w.wake:
		case <-timer:
		case <-w.halted:
			return nil
		}
	}
}

func (w *worker) next() []arrival {
	w.mu.Lock()
	defer w.mu.Unlock()
	// What is done while a rewind is under way would be neither marked nor done again.
	if w.stopped || w.members.held.Load() || w.rewinding() {
		return nil
	}
	room := w.members.settings.Items
	var batch []arrival
	for _, topic := range w.waiting() {
		queue, c := w.queues[topic], w.owned[topic]
		if c.careful > 0 {
			room = min(room, 1-len(batch))
			if !w.doubtUntil.IsZero() {
				continue // what is tried one by one is committed one by one
			}
		}
		n := min(max(room, 0), len(queue))
		batch = append(batch, queue[:n]...)
		clear(queue[:n]) // the array outlives them
		w.queues[topic] = queue[n:]
		room -= n
		if w.paused[topic] && len(w.queues[topic]) <= w.members.settings.QueueRecords/2 {
			delete(w.paused, topic)
			w.client.ResumeFetchPartitions(map[string][]int32{topic: {w.owned[topic].partition}})
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
	w.count(batch, -1)
	w.flying = w.flying[1:] // batches are marked in the order in which they were taken
	if w.disowned {
		return
	}
	if !w.doubtUntil.IsZero() {
		return
	}
	for i, r := range batch {
		w.owned[r.Topic].finish(r.Record)
		if i+1 == len(batch) || batch[i+1].Topic != r.Topic { // the last of its topic marks those before it
			w.client.MarkCommitRecords(r.Record)
		}
	}
}

// finish takes note of a record that is done. Where the owners before came no further, the
// record behind it is under the same suspicion.
func (c *claim) finish(r *kgo.Record) {
	c.next, c.finished = kgo.EpochOffset{Epoch: r.LeaderEpoch, Offset: r.Offset + 1}, true
	c.note.Tries = 0
	if c.careful = max(0, c.careful-1); c.careful == 0 {
		c.note.Starts = 0
	}
}

// commitments returns what the worker's partitions have come to, once it is disowned.
func (w *worker) commitments() []commitment {
	w.mu.Lock()
	defer w.mu.Unlock()
	var all []commitment
	for topic, c := range w.owned {
		switch {
		case !c.begun:
		case w.drained:
			n := note{Clean: true, Storm: w.members.storms.raging(topic)}
			if !w.doubtUntil.IsZero() {
				n.Doubt = max(1, time.Until(w.doubtUntil).Milliseconds())
			}
			all = append(all, commitment{topic, c.partition, c.next, &n})
		case c.finished:
			all = append(all, commitment{topic, c.partition, c.next, nil})
		}
	}
	return all
}

// ended reports whether the worker has left nothing in flight.
func (w *worker) ended() bool {
	select {
	case <-w.done:
		return true
	default:
		return false
	}
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
