package stage

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"golang.org/x/sync/semaphore"

	"github.com/freshet-io/freshet/libs/fault"
	"github.com/freshet-io/freshet/libs/telemetry"
)

// memberOptions is what a member needs of its stage and its process.
type memberOptions struct {
	from     Source
	settings Settings
	flights  int // batches of a partition at once; 0 is 1
	doubt    time.Duration
	keeper   Keeper // may be nil
	log      *slog.Logger
	process  processor
	later    processor // of what had the outcome Later; nil where nothing has
	commit   func(context.Context, *kgo.Client, []commitment) error
	export   func(*telemetry.Trace)
	storms   *storms
	places   *semaphore.Weighted // of the process: what a batch may end is all of it
	spawn    func(func() error)  // runs a worker; its error stops the stage
	again    func(...int32)      // is called before a worker works on something once more
}

// members holds the partitions that this member of the group owns, a worker each.
type members struct {
	memberOptions
	lease   *lease
	rewinds chan rewind
	queued  atomic.Int64 // bytes that all workers hold
	held    atomic.Bool  // the reader of the next topic is too far behind: begin nothing new
	cut     func()       // ends the client's requests

	// giving has an element while partitions are taken, and while a stop commits what is not taken. It is not mu: an
	// ordinary commit asks for a seal under mu, and the one of the stop waits for an ordinary one before it. A mutex
	// would stop the clock of virtual time (testing/synctest), which the commit needs.
	giving chan struct{}

	mu      sync.Mutex
	workers map[workerKey]*worker
	leaving map[workerKey]*worker         // those whose partitions are being taken
	ending  map[workerKey]<-chan struct{} // workers that were given up and may still run
	closed  bool
}

// workerKey names a worker: a partition of a topic, or of all topics where they are
// co-partitioned, with topic then "".
type workerKey struct {
	topic     string
	partition int32
}

func newMembers(o memberOptions) *members {
	o.flights = max(1, o.flights)
	return &members{
		memberOptions: o, lease: newLease(o.settings.SessionTimeout), rewinds: make(chan rewind, 1), cut: func() {}, giving: make(chan struct{}, 1),
		workers: map[workerKey]*worker{}, leaving: map[workerKey]*worker{}, ending: map[workerKey]<-chan struct{}{},
	}
}

func (m *members) key(topic string, partition int32) workerKey {
	if m.from.CoPartitioned {
		return workerKey{partition: partition}
	}
	return workerKey{topic, partition}
}

func (m *members) callbacks(ctx context.Context, assigned func(partitions ...int32)) []kgo.Opt {
	options := []kgo.Opt{
		kgo.WithHooks(m.lease),
		kgo.AutoCommitCallback(m.committed),
		kgo.OnPartitionsAssigned(func(ctx context.Context, client *kgo.Client, parts map[string][]int32) {
			member, _ := client.GroupMetadata()
			m.lease.renew(member)
			assigned(slices.Concat(slices.Collect(maps.Values(parts))...)...)
			m.assigned(ctx, client, parts)
		}),
		kgo.OnOffsetsFetched(m.fetched),
		kgo.OnPartitionsRevoked(func(ctx context.Context, client *kgo.Client, parts map[string][]int32) {
			workers := m.take(parts)
			release(workers, m.settings.Drain)
			m.leave(ctx, client, workers)
			m.left()
		}),
		kgo.OnPartitionsLost(func(ctx context.Context, _ *kgo.Client, parts map[string][]int32) {
			m.log.WarnContext(ctx, "partitions are lost: this member was silent for longer than its session", "partitions", parts)
			release(m.take(parts), 0)
			m.left()
		}),
	}
	ctx, m.cut = context.WithCancel(context.WithoutCancel(m.lease.into(ctx)))
	if m.keeper != nil {
		options = append(options, kgo.AdjustFetchOffsetsFn(m.adjust))
	}
	return append(options, kgo.WithContext(withNotes(ctx, m.complete)))
}

// worker returns the worker of a topic's partition, nil where this member does not own it.
func (m *members) worker(topic string, partition int32) *worker {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.workers[m.key(topic, partition)]
}

func (m *members) assigned(ctx context.Context, client *kgo.Client, parts map[string][]int32) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return
	}
	m.log.InfoContext(ctx, "partitions are assigned", "partitions", parts)
	if err := m.from.coPartitioned(parts); err != nil {
		m.spawn(func() error { return err })
		return
	}
	// A partition may have been paused when it was given up.
	client.ResumeFetchPartitions(parts)
	for topic, partitions := range parts {
		for _, partition := range partitions {
			key := m.key(topic, partition)
			w := m.workers[key]
			if w == nil {
				w = newWorker(ctx, m, client, partition)
				m.workers[key] = w
				before := m.ending[key]
				m.spawn(func() error { return w.run(before) }) //nolint:contextcheck // it has its own
			}
			w.own(topic)
		}
	}
}

// coPartitioned returns a fatal fault where an assignment splits a partition number
// of co-partitioned topics between members: an item would have two writers.
func (s Source) coPartitioned(parts map[string][]int32) error {
	if !s.CoPartitioned {
		return nil
	}
	first := slices.Sorted(slices.Values(parts[s.Topics[0]]))
	for _, topic := range s.Topics[1:] {
		if other := slices.Sorted(slices.Values(parts[topic])); !slices.Equal(first, other) {
			return fault.Halt("group %s was assigned partitions %v of %s and %v of %s: an item would have two writers. All members of the group must read the same topics, of equal partition counts", s.Group, first, s.Topics[0], other, topic)
		}
	}
	return nil
}

// fetched hands the notes of the last owners to the workers of a new assignment. It
// runs before the first record of it is read.
func (m *members) fetched(_ context.Context, _ *kgo.Client, answer *kmsg.OffsetFetchResponse) error {
	for _, group := range answer.Groups {
		for _, t := range group.Topics {
			for _, p := range t.Partitions {
				if p.ErrorCode == 0 {
					m.tell(t.Topic, p.Partition, kgo.EpochOffset{Epoch: p.LeaderEpoch, Offset: p.Offset}, parseNote(p.Metadata))
				}
			}
		}
	}
	return nil
}

func (m *members) tell(topic string, partition int32, committed kgo.EpochOffset, n note) {
	w := m.worker(topic, partition)
	if w == nil {
		return
	}
	if n.Storm {
		m.storms.expect(topic)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	c := w.owned[topic]
	if c == nil || c.begun {
		return
	}
	c.next, c.clean, c.tainted = committed, n.Clean && n.Doubt == 0 && !n.byHand, !n.Clean || n.Doubt > 0 || n.Late
	c.byHand = n.byHand
	if err := m.restore(c, n.Owed); err != nil {
		m.spawn(func() error { return fmt.Errorf("taking over partition %d of %s: %w", partition, topic, err) })
	}
	w.owes()
	w.kept.placed[topic] = CommittedOffset{committed.Offset, n.Seal, n.Late, n.byHand && committed.Offset >= 0}
	w.doubt(n)
	c.note = note{Starts: n.Starts + 1, Tries: n.Tries, Storm: n.Storm}
	if c.note.Starts > carefulAfter {
		c.careful = m.settings.Items * m.flights // what may have been in flight
	}
}

// take removes the workers of partitions that go. A co-partitioned worker goes with
// the first of its partitions: its topics are assigned alike.
func (m *members) take(parts map[string][]int32) []*worker {
	m.giving <- struct{}{}
	defer func() { <-m.giving }()
	m.mu.Lock()
	defer m.mu.Unlock()
	var taken []*worker
	for topic, partitions := range parts {
		for _, partition := range partitions {
			key := m.key(topic, partition)
			if w := m.workers[key]; w != nil {
				taken = append(taken, w)
				delete(m.workers, key)
				m.leaving[key], m.ending[key] = w, w.done
			}
		}
	}
	return taken
}

// release has workers begin nothing new, gives them the bound to finish, and then
// makes it impossible for them to mark.
func release(workers []*worker, bound time.Duration) {
	for _, w := range workers {
		w.halt()
	}
	deadline := time.NewTimer(bound)
	defer deadline.Stop()
	for _, w := range workers {
		if w.isDisowned() { // it had its time
			continue
		}
		select {
		case <-w.done:
		case <-deadline.C:
			deadline.Reset(0) // it is over for the others too
		}
		w.disown()
	}
}

// leave commits what the workers have finished, and notes whether they left anything in
// flight.
func (m *members) leave(ctx context.Context, client *kgo.Client, workers []*worker) {
	var all []commitment
	for _, w := range workers {
		all = append(all, w.commitments()...)
	}
	if err := m.commit(m.lease.into(ctx), client, all); err != nil {
		m.log.WarnContext(ctx, "committing before partitions are given up", "error", err)
		return
	}
	for _, w := range workers {
		for _, c := range all {
			if c.partition == w.partition {
				w.committed(c.topic, c.next.Offset, c.note.Owed)
			}
		}
	}
}

// shutdown finishes what is in flight, commits, and leaves the group. It closes the client.
func (m *members) shutdown(ctx context.Context, client *kgo.Client) {
	m.mu.Lock()
	m.closed = true
	all := slices.Collect(maps.Values(m.workers)) // they stay in the map: a rebalance meanwhile waits for them, too
	m.mu.Unlock()
	release(all, m.settings.Drain)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), noteBound)
	defer cancel()
	m.giving <- struct{}{}
	m.leave(ctx, client, m.still(all))
	<-m.giving
	defer m.cut()
	defer time.AfterFunc(leaveBound, m.cut).Stop()
	client.CloseAllowingRebalance()
}

// leaveBound is how long leaving the group may take. The client waits for a join that is under way, and that one for
// members that are gone; without the word of this one, Kafka misses it after its session.
const leaveBound = 3 * time.Second

// still returns the workers whose partitions no rebalance has taken meanwhile: Kafka lets a member commit what is
// another's, and that one may be far ahead. None takes them while giving is held.
func (m *members) still(all []*worker) []*worker {
	m.mu.Lock()
	defer m.mu.Unlock()
	ours := slices.Collect(maps.Values(m.workers))
	return slices.DeleteFunc(ours, func(w *worker) bool { return !slices.Contains(all, w) })
}

// hold has all workers begin nothing new, or go on.
func (m *members) hold(on bool) {
	if m.held.Swap(on) == on || on {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, w := range m.workers {
		w.nudge()
	}
}

// oldest returns the age of the oldest record of a lane that is read and not finished.
func (m *members) oldest(lane string) time.Duration {
	m.mu.Lock()
	workers := slices.Collect(maps.Values(m.workers))
	m.mu.Unlock()
	var age time.Duration
	for _, w := range workers {
		if at, ok := w.oldest(lane); ok {
			age = max(age, time.Since(at))
		}
	}
	return age
}
