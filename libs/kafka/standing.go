package kafka

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// Standing is where a group is in its topics.
type Standing struct {
	Members    int
	Partitions []Position // by topic and number
}

// Position is where a group is in a partition.
type Position struct {
	Topic      string
	Partition  int32
	Start, End int64   // of the log
	Next       int64   // the first record that was not handled, or the log's start where nothing is committed
	Owed       []int64 // records before it that the group has left for later, rising
	Owner      string  // host of the member that has it; "" where none does
	// Doubt: the owner commits nothing for a while, since the one before did not leave cleanly, and works once more then.
	Doubt bool
}

// Done returns the offset of the first record that the group has not finished.
func (p *Position) Done() int64 {
	if len(p.Owed) > 0 {
		return min(p.Owed[0], p.Next)
	}
	return p.Next
}

// Unfinished counts the records that the group has not finished.
func (p *Position) Unfinished() int64 { return p.End - p.Next + int64(len(p.Owed)) }

// Stand looks where a group is. A group that does not exist has no members and is at the start of its topics; a topic that
// does not exist has no partitions.
func Stand(ctx context.Context, client *kgo.Client, group string, topics ...string) (Standing, error) {
	adm := kadm.NewClient(client)
	// The offsets first: what is committed meanwhile would stand beyond the end.
	committed, err := adm.FetchOffsetsForTopics(ctx, group, topics...)
	if err != nil && !errors.Is(err, kerr.GroupIDNotFound) && !errors.Is(err, kerr.UnknownTopicOrPartition) {
		return Standing{}, fmt.Errorf("reading the offsets of group %s: %w", group, err)
	}
	starts, err := adm.ListStartOffsets(ctx, topics...)
	if err != nil {
		return Standing{}, fmt.Errorf("reading the start of %v: %w", topics, err)
	}
	ends, err := adm.ListEndOffsets(ctx, topics...)
	if err != nil {
		return Standing{}, fmt.Errorf("reading the end of %v: %w", topics, err)
	}
	owners, err := members(ctx, adm, group)
	if err != nil {
		return Standing{}, err
	}
	s := Standing{Members: len(owners)}
	var failed error
	ends.Each(func(end kadm.ListedOffset) {
		if end.Err != nil {
			if !errors.Is(end.Err, kerr.UnknownTopicOrPartition) {
				failed = fmt.Errorf("reading the end of %s, partition %d: %w", end.Topic, end.Partition, end.Err)
			}
			return
		}
		start, _ := starts.Lookup(end.Topic, end.Partition)
		p := Position{Topic: end.Topic, Partition: end.Partition, Start: start.Offset, End: end.Offset, Next: start.Offset}
		if at, ok := committed.Lookup(end.Topic, end.Partition); ok && at.At >= 0 {
			note := noteOf(at)
			p.Next, p.Owed, p.Doubt = min(max(at.At, start.Offset), end.Offset), note.owed(), note.Doubt > 0
		}
		for _, o := range owners {
			if o.has.Lookup(end.Topic, end.Partition) {
				p.Owner = o.host
			}
		}
		s.Partitions = append(s.Partitions, p)
	})
	slices.SortFunc(s.Partitions, func(a, b Position) int {
		if a.Topic != b.Topic {
			return slices.Index(topics, a.Topic) - slices.Index(topics, b.Topic)
		}
		return int(a.Partition - b.Partition)
	})
	return s, failed
}

type owner struct {
	host string
	has  kadm.TopicsSet
}

// members returns those of a group, whichever protocol it has; none where there is no such group.
func members(ctx context.Context, adm *kadm.Client, group string) ([]owner, error) {
	described, err := adm.DescribeGroups(ctx, group)
	if err == nil {
		err = described[group].Err
	}
	if err != nil && !errors.Is(err, kerr.GroupIDNotFound) { // else it would look like a group of nobody
		return nil, fmt.Errorf("describing group %s: %w", group, err)
	}
	var owners []owner
	for _, m := range described[group].Members {
		has := kadm.TopicsSet{}
		if assigned, ok := m.Assigned.AsConsumer(); ok {
			for _, t := range assigned.Topics {
				has.Add(t.Topic, t.Partitions...)
			}
		}
		owners = append(owners, owner{m.ClientHost, has})
	}
	if len(owners) == 0 { // it may be of the next protocol, which a broker need not know
		if next, err := adm.DescribeConsumerGroups(ctx, group); err == nil {
			for _, m := range next[group].Members {
				owners = append(owners, owner{m.ClientHost, m.Assignment})
			}
		}
	}
	return owners, nil
}
