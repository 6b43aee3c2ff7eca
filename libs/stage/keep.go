package stage

import (
	"context"
	"fmt"
	"maps"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/freshet-io/freshet/libs/fault"
	"github.com/freshet-io/freshet/libs/service"
)

// Keeper looks after what a handler has brought into a target that may forget: a volume that is restored, or emptied.
// It asks the target whether it still has that, and says from where to do it again. It is for co-partitioned stages,
// whose unit is a partition number.
//
// What it has to tell the next owner is its seal: a short text of its own that stands in the metadata of every commit,
// so that Kafka remembers what the target should.
type Keeper interface {
	// Resume is asked at each assignment, before the first record is read, where the partitions
	// begin. A transient error is tried again while the assignment lasts, another one stops the stage.
	Resume(ctx context.Context, committed map[int32]Committed) (map[int32]Start, error)
	// Keep is called between the batches of a partition, never beside one: about every 10 s, and
	// not while a call of the owner before may still land. A transient error is reported, and the
	// partition goes on.
	Keep(ctx context.Context, partition int32, p Progress) (Start, error)
}

// Committed is what the group knows of a partition number, by topic.
type Committed map[string]CommittedOffset

// CommittedOffset is where a group stands in a partition.
type CommittedOffset struct {
	Offset int64  // -1 where there is none
	Seal   string // of the owner that committed it
	// Late says that a call of that owner's had failed a short while ago: it may land yet, over what is committed.
	Late bool
	// ByHand says that a person has set the offset, which is taken as it is: no stage leaves one without a note.
	ByHand bool
}

// Start says where a partition number is to be worked on from.
type Start struct {
	// Offsets are, by topic, where to begin instead: before what is done or committed, so that it
	// is done again. They are committed before anything is done, and before the next Keep.
	Offsets map[string]int64
	Seal    string
	// Late says that a call that failed (LeaveInDoubt) is still to be looked after: it may land over what was done since.
	Late bool
}

// Progress is how far a partition number is done: by topic, the offset of the first record that
// is not. A topic of which nothing is committed or done is left out.
type Progress struct {
	Now map[string]int64
	// Settled is where it was a minute ago; nil where that is not known.
	Settled map[string]int64
}

const (
	keepEvery = 10 * time.Second
	settling  = time.Minute
)

// moment is how far a worker was at a time.
type moment struct {
	at   time.Time
	next map[string]int64
}

// kept is what a worker knows for the stage's keeper.
type kept struct {
	seal   string
	late   bool                       // a call that failed may have landed over what was done, and the keeper has not looked yet
	due    time.Time                  // of the next Keep; zero where there is no keeper
	past   []moment                   // of the last minute, oldest first
	lower  map[string]kgo.EpochOffset // topics that begin elsewhere than committed, which is not committed yet
	placed Committed                  // by the owners before
}

// adjust has the keeper say where partitions begin. It runs after fetched, and before the first
// record is read.
func (m *members) adjust(ctx context.Context, offsets map[string]map[int32]kgo.Offset) (map[string]map[int32]kgo.Offset, error) {
	committed := map[int32]Committed{}
	for topic, partitions := range offsets {
		for partition := range partitions {
			if w := m.worker(topic, partition); w != nil {
				w.mu.Lock()
				committed[partition] = maps.Clone(w.kept.placed)
				w.mu.Unlock()
			}
		}
	}
	starts, err := service.Await(ctx, m.log, "where to go on", func(ctx context.Context) (map[int32]Start, error) {
		return m.keeper.Resume(ctx, committed)
	})
	if err != nil {
		err = fmt.Errorf("looking where to go on: %w", err)
		if fault.ClassOf(err) != fault.Transient {
			m.spawn(func() error { return err })
		}
		return nil, err
	}
	for partition, start := range starts {
		m.worker(m.from.Topics[0], partition).startAt(start)
		for topic, at := range start.Offsets {
			offsets[topic][partition] = kgo.NewOffset().At(at)
		}
	}
	return offsets, nil
}

// startAt takes note of where the worker begins.
func (w *worker) startAt(s Start) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.kept.seal, w.kept.due = s.Seal, time.Now().Add(keepEvery)
	w.lower(s.Offsets)
	w.nudge()
	if len(s.Offsets) > 0 {
		w.members.log.Warn("the index was started anew, or went back: looking once more at what came last", "from", w.kept.lower)
	}
}

// lower has topics begin at other offsets than the committed ones. What the note said was about
// the record there.
func (w *worker) lower(offsets map[string]int64) {
	w.kept.lower = map[string]kgo.EpochOffset{}
	for topic, at := range offsets {
		c := w.owned[topic]
		c.seen, c.told, c.measured = max(c.seen, c.next.Offset), max(c.told, c.next.Offset), max(c.measured, c.next.Offset)
		c.next, c.note, c.careful, c.begun = kgo.EpochOffset{Epoch: -1, Offset: at}, note{Starts: 1}, 0, false
		w.kept.lower[topic] = c.next
		w.kept.due = time.Now()
	}
}

// untilKeep returns how long it takes until the keeper is to be called, and a negative time where
// it is not.
func (w *worker) untilKeep() time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.kept.due.IsZero() || !w.doubtUntil.IsZero() || w.rewinding() {
		return -1
	}
	return max(0, time.Until(w.kept.due))
}

// keep calls the keeper. It runs when nothing is in flight.
func (w *worker) keep() error {
	w.mu.Lock()
	progress := w.progress(time.Now())
	w.kept.due = time.Now().Add(keepEvery)
	w.mu.Unlock()
	if !w.begin(nil) || w.members.places.Acquire(w.ctx, 1) != nil {
		return nil
	}
	defer w.members.places.Release(1)
	start, err := w.members.keeper.Keep(w.ctx, w.partition, progress)
	switch {
	case err == nil:
	case w.ctx.Err() != nil:
		return nil
	case fault.ClassOf(err) == fault.Fatal:
		w.halt()
		return fmt.Errorf("keeping partition %d: %w", w.partition, err)
	default:
		w.members.log.WarnContext(w.ctx, "keeping the index", "partition", w.partition, "error", err)
		return nil
	}
	w.mu.Lock()
	w.kept.seal, w.kept.late = start.Seal, start.Late
	w.lower(start.Offsets)
	w.mu.Unlock()
	if len(start.Offsets) > 0 {
		w.kept.past = nil
		w.rewind()
	}
	return nil
}

// progress tells how far the worker is and was.
func (w *worker) progress(now time.Time) Progress {
	p := Progress{Now: map[string]int64{}}
	for topic, c := range w.owned {
		if c.next.Offset >= 0 { // else nothing is known to be done of it; to Kafka, -1 is the end of the log
			p.Now[topic] = c.next.Offset
		}
	}
	k := &w.kept
	k.past = append(k.past, moment{now, p.Now})
	for len(k.past) > 1 && now.Sub(k.past[1].at) >= settling {
		k.past = k.past[1:]
	}
	if now.Sub(k.past[0].at) >= settling {
		p.Settled = k.past[0].next
	}
	return p
}
