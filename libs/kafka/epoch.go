package kafka

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/freshet-io/freshet/libs/fault"
	"github.com/freshet-io/freshet/libs/record"
)

// Succession is how the pipeline's topics stand to those that versions were counted in.
type Succession struct {
	Before   Identity
	After    Identity // nothing is written yet
	Replaced []string // topics that were made anew
	control  *Control
}

// Succeed compares the topics with their identities. The epoch goes up where the live documents
// were made anew or, as the caller knows, their log went back; and to least, which the index asks
// for. It changes nothing: Commit does.
func (t Topics) Succeed(ctx context.Context, client *kgo.Client, wentBack bool, least func(topicID string) (int32, error)) (*Succession, error) {
	control, details, err := t.look(ctx, client)
	if err != nil {
		return nil, err
	}
	s := &Succession{control: control}
	first := control.Topics[t.DocumentsLive()]
	s.Before = Identity{TopicID: hex.EncodeToString(first.GetTopicId()), Partitions: first.GetPartitions(), Epoch: first.GetEpoch()}
	s.After = Identity{TopicID: idOf(details[t.DocumentsLive()]), Partitions: s.Before.Partitions, Epoch: s.Before.Epoch, IDs: map[string]string{}}
	for _, name := range t.logs() {
		identity, d := control.Topics[name], details[name]
		if identity == nil {
			return nil, fault.Halt("topic %s has no identity in the control topic: run `freshet topics apply`", name)
		}
		if len(d.Partitions) < int(s.Before.Partitions) {
			return nil, fault.Halt("topic %s has %d partitions, and the places of all items in the index are counted by %d: make it anew with as many", name, len(d.Partitions), s.Before.Partitions)
		}
		if string(identity.GetTopicId()) != string(d.ID[:]) {
			s.Replaced = append(s.Replaced, name)
		}
		s.After.IDs[name] = idOf(d)
	}
	if wentBack || s.Before.TopicID != s.After.TopicID {
		s.After.Epoch++
	}
	wanted, err := least(s.After.TopicID)
	if err != nil {
		return nil, err
	}
	if s.After.Epoch = max(s.After.Epoch, wanted); s.After.Epoch > record.MaxEpoch {
		return nil, fault.Halt("the epoch would be %d, and %d is the last one: rebuild the index under another topic prefix and another collection name", s.After.Epoch, record.MaxEpoch)
	}
	return s, nil
}

// Changes reports whether there is anything to commit.
func (s *Succession) Changes() bool { return len(s.Replaced) > 0 || s.Before.Epoch != s.After.Epoch }

// Commit gives the topics their new identities. It comes last: until then the services refuse to start.
func (s *Succession) Commit(ctx context.Context) error {
	for name, id := range s.After.IDs {
		raw, err := hex.DecodeString(id)
		if err != nil {
			return fmt.Errorf("reading the id of topic %s: %w", name, err)
		}
		identity := &record.TopicIdentity{Topic: name, TopicId: raw, Partitions: s.After.Partitions, Epoch: s.After.Epoch}
		if err := s.control.Put(ctx, &record.Control{Record: &record.Control_Topic{Topic: identity}}); err != nil {
			return err
		}
	}
	return nil
}

// Idle returns a fatal fault where a group has members.
func Idle(ctx context.Context, client *kgo.Client, groups ...string) error {
	for _, group := range groups {
		all, err := members(ctx, kadm.NewClient(client), group)
		if err != nil {
			return err
		}
		if len(all) > 0 {
			return fault.Halt("group %s has %d members: stop all services first", group, len(all))
		}
	}
	return nil
}

// Unread is what a group has to read of a topic.
type Unread struct {
	Group, Topic string
	Records      int64
	// Reset says that its offsets, which were those of another log, are at the topic's start now.
	Reset bool
}

// Rewind sets the offsets of a group that are of topics made anew, or behind the end of the log, to
// the first record there is, and tells what the group has to read. A record that is read again
// changes nothing, one that is left out is lost. Where the group owes records, all is read again from the first of them:
// alone, they would come with versions of the new epoch, above those of newer ones that are done.
func (s *Succession) Rewind(ctx context.Context, client *kgo.Client, group string, topics ...string) ([]Unread, error) {
	adm := kadm.NewClient(client)
	committed, err := adm.FetchOffsetsForTopics(ctx, group, topics...)
	if err != nil && !errors.Is(err, kerr.GroupIDNotFound) {
		return nil, fmt.Errorf("reading the offsets of group %s: %w", group, err)
	}
	starts, err := adm.ListStartOffsets(ctx, topics...)
	if err = errors.Join(err, starts.Error()); err != nil {
		return nil, fmt.Errorf("reading the start of %v: %w", topics, err)
	}
	ends, err := adm.ListEndOffsets(ctx, topics...)
	if err = errors.Join(err, ends.Error()); err != nil {
		return nil, fmt.Errorf("reading the end of %v: %w", topics, err)
	}
	var all []Unread
	set := kadm.Offsets{}
	for _, topic := range topics {
		u := Unread{Group: group, Topic: topic}
		ends.Each(func(end kadm.ListedOffset) {
			at, ok := committed.Lookup(end.Topic, end.Partition)
			if end.Topic != topic || !ok || at.At < 0 {
				return // what was never read begins at its start anyway
			}
			start, _ := starts.Lookup(topic, end.Partition)
			next := max(Finished(at), start.Offset)
			if slices.Contains(s.Replaced, topic) || at.At > end.Offset {
				next, u.Reset = start.Offset, true
			}
			if next != at.At {
				set.AddOffset(topic, end.Partition, next, -1)
			}
			u.Records += end.Offset - next
		})
		all = append(all, u)
	}
	if len(set) == 0 {
		return all, nil
	}
	if err := adm.CommitAllOffsets(ctx, group, set); err != nil {
		return nil, fmt.Errorf("setting the offsets of group %s: %w", group, err)
	}
	return all, nil
}

func idOf(d kadm.TopicDetail) string { return hex.EncodeToString(d.ID[:]) }
