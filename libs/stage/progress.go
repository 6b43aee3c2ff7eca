package stage

import (
	"context"
	"errors"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/freshet-io/freshet/libs/fault"
)

// claim is what a worker knows of one of its partitions.
type claim struct {
	next      kgo.EpochOffset // of the first record that is not finished; Offset is -1 where that is not known
	owed      owed
	note      note
	trying    bool // the next record is being worked on alone
	careful   int  // so many records more are worked on one by one
	begun     bool // by this worker
	finished  bool // at least one record, by this worker
	rewinding bool // records that come now are of before the rewind
	// seen is the offset up to which records may have come to an owner before, or to this one: the end of the log when
	// this one read the first record, unless the owner before has left nothing in flight, and how far this one was
	// before it went back.
	seen     int64
	told     int64 // below it the ways of records were told, before the keeper went back
	measured int64 // below it how fresh records were was measured, before the keeper went back or the doubt was over
	clean    bool  // the owner before has left nothing in flight
	byHand   bool  // no stage has committed the offset that this worker began at
	read     bool  // a record, by this worker
	// tainted: the note of the owner before asks for doubt, or speaks of a late call. Where no record comes it would ask for ever.
	tainted bool
}

// finish takes note of records that are done, up to the last of them. Where the owners before came
// no further, the record behind it is under the same suspicion.
func (c *claim) finish(n int, last *kgo.Record) {
	c.owed.passed, c.finished = kgo.EpochOffset{Epoch: last.LeaderEpoch, Offset: last.Offset + 1}, true
	c.next = c.owed.next()
	c.note.Tries = 0
	if c.careful = max(0, c.careful-n); c.careful == 0 {
		c.note.Starts = 0
	}
}

// standing returns the note of now.
func (c *claim) standing() note {
	n := c.note
	n.Storm = n.Storm && !c.finished
	if c.trying {
		n.Tries++
	}
	return n
}

// begin tells the next owner that work has begun on topics, before the first batch does: one
// that took over after a crash would otherwise not know of what is still in flight. It
// reports false where the partition goes before it could.
func (w *worker) begin(batch []arrival) bool {
	w.mu.Lock()
	var all []commitment
	begin := func(topic string, at kgo.EpochOffset) {
		c := w.owned[topic]
		if c.begun {
			return
		}
		c.begun = true
		if c.next.Offset < 0 {
			c.next = at
		}
		all = append(all, w.commitment(topic, c.note))
	}
	for topic, records := range byTopic(batch) {
		begin(topic, kgo.EpochOffset{Epoch: records[0].LeaderEpoch, Offset: records[0].Offset})
	}
	for topic, at := range w.kept.lower { // together: the seal goes with it
		begin(topic, at)
	}
	w.mu.Unlock()
	for wait := firstWait; len(all) > 0 && !w.commit(all); wait = min(2*wait, longWait) {
		if !sleep(w.ctx, w.halted, wait) {
			return false
		}
	}
	return true
}

// commitment returns what a topic has come to, with a note, the keeper's seal and what is owed.
func (w *worker) commitment(topic string, n note) commitment {
	c := w.owned[topic]
	n.Owed = c.owed.before(c.next.Offset)
	return commitment{topic, w.partition, c.next, w.sealed(n)}
}

// sealed returns a note with what each commit tells the next owner's keeper.
func (w *worker) sealed(n note) note {
	n.Seal, n.Late = w.kept.seal, w.kept.late
	return n
}

// sign notes whether the topic's next record is being worked on, so that the next
// owner learns of it if the process ends meanwhile.
func (w *worker) sign(topic string, working bool) {
	w.mu.Lock()
	c := w.owned[topic]
	n := c.note
	if c.trying = working; working {
		n.Tries++
	}
	disowned, all := w.disowned, []commitment{w.commitment(topic, n)}
	w.mu.Unlock()
	if !disowned {
		w.commit(all)
	}
}

// commit commits notes and reports whether that went well.
func (w *worker) commit(all []commitment) bool {
	ctx, cancel := context.WithTimeout(w.ctx, noteBound)
	defer cancel()
	err := w.members.commit(ctx, w.client, all)
	w.noted(ctx, err)
	return err == nil
}

// noted tells of a note that was not committed.
func (w *worker) noted(ctx context.Context, err error) {
	switch {
	case errors.Is(err, kerr.OffsetMetadataTooLarge):
		w.members.spawn(func() error {
			return fault.Halt("group %s: Kafka takes no note as long as ours with an offset: raise offset.metadata.max.bytes of the brokers (4096 by default), or have fewer collections in the pipeline file: %w", w.members.from.Group, err)
		})
	case err != nil && w.ctx.Err() == nil:
		w.members.log.WarnContext(ctx, "noting where work begins", "error", err)
	}
}

// mark lets the batch's offsets be committed, unless the partition has gone. later is what is not finished, told what
// is to be exported then.
func (w *worker) mark(batch []arrival, later []leftover, told ...ended) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.count(batch, -1)
	w.flying = w.flying[1:] // batches are marked in the order in which they were taken
	w.resume()
	// What is done in doubt is done once more, and marked then.
	if w.disowned || !w.doubtUntil.IsZero() {
		for topic, records := range byTopic(batch) {
			c := w.owned[topic]
			c.measured = max(c.measured, records[len(records)-1].Offset+1)
		}
		return
	}
	w.owe(batch, later)
	w.tell(told)
	for topic, records := range byTopic(batch) {
		c := w.owned[topic]
		c.finish(len(records), records[len(records)-1].Record)
		w.markNext(topic, c) // and with it those before
	}
}

// commitments returns what the worker's partitions have come to, once it is disowned.
func (w *worker) commitments() []commitment {
	w.mu.Lock()
	defer w.mu.Unlock()
	var all []commitment
	for topic, c := range w.owned {
		_, lower := w.kept.lower[topic]
		switch {
		case !c.begun && !lower && (!c.tainted || !w.drained || c.next.Offset < 0):
		case w.drained:
			n := note{Clean: true, Storm: w.members.storms.raging(topic)}
			n.Doubt = w.doubtLeft().Milliseconds()
			if !c.begun && !c.clean {
				n.Doubt = max(n.Doubt, 1) // its records may still be ones that come again
			}
			if !c.finished {
				n.Starts, n.Tries = max(0, c.note.Starts-1), c.note.Tries // this start does not count
			}
			all = append(all, w.commitment(topic, n))
		default: // it was given up, and did not end the process: what was signed is withdrawn
			all = append(all, w.commitment(topic, c.note))
		}
	}
	return all
}
