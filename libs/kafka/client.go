package kafka

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// Producer opens the client that writes to the pipeline's topics: idempotent,
// acknowledged by all replicas, each record placed by its Partition field.
func Producer(ctx context.Context, c Config, t Topics, compress bool, log *slog.Logger) (*kgo.Client, error) {
	options := append(apply(producerOptions(t, compress)), c.Limits.producer()...)
	return c.Connect(ctx, log, options...)
}

// GroupOptions says how a group consumes.
type GroupOptions struct {
	Group            string
	Topics           []string
	SessionTimeout   time.Duration
	RebalanceTimeout time.Duration
	// CoPartitioned gives partition p of every topic to one member. It holds while all
	// members subscribe to the same topics of equal partition counts.
	CoPartitioned bool
	// Protocol is by which protocol members share the partitions; a co-partitioned group
	// keeps to the classic one.
	Protocol  GroupProtocol
	Callbacks []kgo.Opt
}

// Consumer opens a client that reads as a member of a group. A new group starts at
// the earliest record. It never resets an offset: one that is out of range means
// that Kafka deleted records that nobody had read, and that is for a person to decide.
func Consumer(ctx context.Context, c Config, g GroupOptions, log *slog.Logger) (*kgo.Client, error) {
	if g.nextGeneration() {
		if err := g.requireNextGeneration(ctx, c, log); err != nil {
			return nil, err
		}
	}
	return c.Connect(ctx, log, slices.Concat([]kgo.Opt{
		kgo.ConsumerGroup(g.Group),
		kgo.ConsumeTopics(g.Topics...),
		kgo.SessionTimeout(g.SessionTimeout),
		kgo.HeartbeatInterval(min(3*time.Second, g.SessionTimeout/3)),
		kgo.RebalanceTimeout(g.RebalanceTimeout),
	}, g.balancing(), apply(consumerOptions()), c.Limits.consumer(), g.Callbacks)...)
}

// pinned is the note of a pinned start, as package stage reads it: nothing is under way. An offset
// without any note is one that a person has set.
const pinned = `{"clean":true}`

// PinStart commits the earliest offset of every partition for which the group has
// none. Without it a new group that is slow to finish its first record would, after
// retention has passed, begin at a later "earliest" and say nothing.
func PinStart(ctx context.Context, client *kgo.Client, group string, topics ...string) error {
	adm := kadm.NewClient(client)
	committed, err := adm.FetchOffsetsForTopics(ctx, group, topics...)
	if err != nil && !errors.Is(err, kerr.GroupIDNotFound) { // a new group has none
		return fmt.Errorf("reading the offsets of group %s: %w", group, err)
	}
	starts, err := adm.ListStartOffsets(ctx, topics...)
	if err = errors.Join(err, starts.Error()); err != nil {
		return fmt.Errorf("reading the start of %v: %w", topics, err)
	}
	pins := kadm.Offsets{}
	starts.Each(func(o kadm.ListedOffset) {
		if had, ok := committed.Lookup(o.Topic, o.Partition); !ok || had.At < 0 {
			pins.Add(kadm.Offset{Topic: o.Topic, Partition: o.Partition, At: o.Offset, LeaderEpoch: -1, Metadata: pinned})
		}
	})
	if len(pins) == 0 {
		return nil
	}
	err = adm.CommitAllOffsets(ctx, group, pins)
	// A member that is already there has pinned them, or has them in hand.
	if errors.Is(err, kerr.UnknownMemberID) || errors.Is(err, kerr.RebalanceInProgress) || errors.Is(err, kerr.IllegalGeneration) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("pinning the start of group %s: %w", group, err)
	}
	return nil
}
