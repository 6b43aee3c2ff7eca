package stage

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// note is what one owner of a partition tells the next, in the metadata of the committed offset. It is committed before
// work begins, with the offset where it begins, and when the partition is left. An ordinary commit has no more than the
// seal, or what is owed: it says that there was progress.
//
// After carefulAfter beginnings the next records, as many as may have been in flight, are worked on one at a time: all
// other work of the process waits meanwhile, and the note says before and after each that it is being worked on. A
// record with which the process ended guiltyAfter times in that state becomes a dead letter, untried. Beginnings alone
// never reject a record, and one that waits in a retry is not being worked on: so an outage with restarts makes no
// letters.
type note struct {
	// Starts is how often work has begun at this offset and not come further, this time
	// included. It does not count a clean stop.
	Starts int `json:"starts,omitempty"`
	// Tries is how often the process has ended while it worked on the record at this
	// offset alone.
	Tries int `json:"tries,omitempty"`
	// Storm says that the stage stopped because it could not read most of the topic.
	Storm bool `json:"storm,omitempty"`
	// Clean says that nothing was in flight when the partition was given up.
	Clean bool `json:"clean,omitempty"`
	// Doubt is how long, in milliseconds, what was done since this offset is still in doubt.
	Doubt int64 `json:"doubt,omitempty"`
	// Late says that a call had failed a short while ago which may land after this commit, over what was done before it.
	// It stands in ordinary commits, too.
	Late bool `json:"late,omitempty"`
	// Seal is the keeper's. It stands in ordinary commits, too.
	Seal string `json:"seal,omitempty"`
	// Owed is what is not finished before the offset (owed.go), as kafka.EncodeOwed writes it. It stands in ordinary
	// commits, too.
	Owed string `json:"owed,omitempty"`

	byHand bool // no stage has committed the offset
}

const (
	carefulAfter = 3 // starts at one offset
	guiltyAfter  = 3 // tries
	// mostHesitation is how long a record is left alone, at most and for each process that has
	// ended with it: who ends the process from outside, again and again as soon as it works,
	// would otherwise always find the same record at work.
	mostHesitation = 10 * time.Second
	// noteBound is how long one try to commit notes may take.
	noteBound = 10 * time.Second
)

// parseNote reads the metadata of a commit. An ordinary one has the member's id there or a
// seal, and one that a person has set nothing: no work has begun there.
func parseNote(metadata *string) note {
	if metadata == nil || *metadata == "" {
		return note{Clean: true, byHand: true}
	}
	var n note
	if json.Unmarshal([]byte(*metadata), &n) != nil {
		return note{}
	}
	return n
}

func (n note) encode() *string {
	text, err := json.Marshal(n)
	if err != nil {
		return nil // it has only numbers and flags: this cannot be
	}
	return new(string(text))
}

// commitment is an offset with the note that goes with it.
type commitment struct {
	topic     string
	partition int32
	next      kgo.EpochOffset
	note      note
}

// commit commits offsets with their notes and returns when the broker has them.
func commit(ctx context.Context, client *kgo.Client, all []commitment) error {
	if len(all) == 0 {
		return nil
	}
	offsets := map[string]map[int32]kgo.EpochOffset{}
	notes := map[string]map[int32]*string{}
	for _, c := range all {
		if offsets[c.topic] == nil {
			offsets[c.topic], notes[c.topic] = map[int32]kgo.EpochOffset{}, map[int32]*string{}
		}
		offsets[c.topic][c.partition] = c.next
		notes[c.topic][c.partition] = c.note.encode()
	}
	ctx = withNotes(ctx, func(topic string, p *committing) error {
		p.Metadata = notes[topic][p.Partition]
		return nil
	})
	var failed error
	client.CommitOffsetsSync(ctx, offsets, func(_ *kgo.Client, _ *kmsg.OffsetCommitRequest, answer *kmsg.OffsetCommitResponse, err error) {
		if failed = err; err == nil {
			failed = refusals(answer)
		}
	})
	if failed != nil {
		return fmt.Errorf("committing %d offsets: %w", len(all), failed)
	}
	return nil
}

// committing is an offset in a request to commit.
type committing = kmsg.OffsetCommitRequestTopicPartition

// withNotes has complete look at each offset that is committed with the context, right before: no commit is under way then.
// The context has the lease under which that may be committed.
func withNotes(ctx context.Context, complete func(topic string, p *committing) error) context.Context {
	l, leased := ctx.Value(leaseKey{}).(*lease)
	return kgo.PreCommitFnContext(ctx, func(r *kmsg.OffsetCommitRequest) error {
		if leased {
			if err := l.mayCommit(r.MemberID); err != nil {
				return err
			}
		}
		for _, t := range r.Topics {
			for i := range t.Partitions {
				if err := complete(t.Topic, &t.Partitions[i]); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// complete gives ordinary commits their note. Where something may be owed the note and the offset belong together, so it
// takes both as they are now, whatever the offset was when the client began; they never go back.
func (m *members) complete(topic string, p *committing) error {
	if m.keeper == nil && m.later == nil {
		return nil
	}
	w := m.committer(topic, p.Partition)
	switch {
	case w == nil && m.later == nil:
		return nil
	case w == nil:
		return fmt.Errorf("topic %s, partition %d is given up: what it owes is not known any more", topic, p.Partition)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if m.later == nil {
		p.Metadata = w.sealed(note{}).encode()
		return nil
	}
	c := w.commitment(topic, w.owned[topic].standing())
	p.Offset, p.LeaderEpoch, p.Metadata = c.next.Offset, c.next.Epoch, c.note.encode()
	return nil
}

// committed is told of each ordinary commit.
func (m *members) committed(_ *kgo.Client, asked *kmsg.OffsetCommitRequest, answer *kmsg.OffsetCommitResponse, err error) {
	if err == nil {
		err = refusals(answer)
	}
	switch {
	case errors.Is(err, context.Canceled):
		return
	case err != nil: // it is tried again in a second
		m.log.Warn("committing offsets", "error", err)
		return
	}
	m.exportCommitted(asked)
}

// exportCommitted has the traces exported of what a commit says is finished.
func (m *members) exportCommitted(asked *kmsg.OffsetCommitRequest) {
	for _, t := range asked.Topics {
		for _, p := range t.Partitions {
			if w := m.committer(t.Topic, p.Partition); w != nil {
				w.committed(t.Topic, p.Offset, parseNote(p.Metadata).Owed)
			}
		}
	}
}

// left forgets the workers that were taken.
func (m *members) left() {
	m.mu.Lock()
	defer m.mu.Unlock()
	clear(m.leaving)
}

// committer returns the worker whose offsets an ordinary commit may have: one may be under way while its partition is taken.
func (m *members) committer(topic string, partition int32) *worker {
	m.mu.Lock()
	defer m.mu.Unlock()
	key := m.key(topic, partition)
	if w := m.workers[key]; w != nil {
		return w
	}
	return m.leaving[key]
}

func refusals(answer *kmsg.OffsetCommitResponse) error {
	var errs []error
	for _, t := range answer.Topics {
		for _, p := range t.Partitions {
			errs = append(errs, kerr.ErrorForCode(p.ErrorCode))
		}
	}
	return errors.Join(errs...)
}
