package kafka

import (
	"context"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/freshet-io/freshet/libs/record"
)

// clockSkew is how far the clocks of two machines may be apart.
const clockSkew = time.Hour

// Costs is the ledger of what embedding costs. It is not for concurrent use.
type Costs struct {
	client *kgo.Client
	topic  string
	next   int64 // offset
}

// OpenCosts opens the ledger for entries from an hour on. The client writes them, as that of
// Producer does, and stays the caller's.
func OpenCosts(ctx context.Context, client *kgo.Client, t Topics, from time.Time) (*Costs, error) {
	starts, err := kadm.NewClient(client).ListOffsetsAfterMilli(ctx, from.Add(-clockSkew).UnixMilli(), t.Costs())
	start, err := listed(starts, t.Costs(), err)
	if err != nil {
		return nil, err
	}
	return &Costs{client: client, topic: t.Costs(), next: start}, nil
}

// Read returns the entries that all replicas have put since the last Read, oldest first. Some
// may be of hours before the one that the ledger was opened for.
func (c *Costs) Read(ctx context.Context) ([]*record.Cost, error) {
	ends, err := kadm.NewClient(c.client).ListEndOffsets(ctx, c.topic)
	end, err := listed(ends, c.topic, err)
	if err != nil || end <= c.next {
		return nil, err
	}
	var costs []*record.Cost
	err = readLog(ctx, c.client, c.topic, kgo.NewOffset().At(c.next), end, func(r *kgo.Record) error {
		if r.Value == nil { // somebody has deleted the entry
			return nil
		}
		cost, err := record.DecodeCost(r.Value)
		costs = append(costs, cost)
		return err
	})
	if err != nil {
		return nil, err
	}
	c.next = end
	return costs, nil
}

// Put writes entries and returns when they are acknowledged. Each replaces what was put under
// its key before.
func (c *Costs) Put(ctx context.Context, costs []*record.Cost) error {
	records := make([]*kgo.Record, len(costs))
	for i, cost := range costs {
		value, err := cost.Encode()
		if err != nil {
			return err
		}
		records[i] = &kgo.Record{Topic: c.topic, Partition: 0, Key: []byte(cost.Key()), Value: value}
	}
	if err := c.client.ProduceSync(ctx, records...).FirstErr(); err != nil {
		return fmt.Errorf("writing %d entries to topic %s: %w", len(costs), c.topic, err)
	}
	return nil
}

// listed returns the offset of the only partition of a topic.
func listed(offsets kadm.ListedOffsets, topic string, err error) (int64, error) {
	if err != nil {
		return 0, fmt.Errorf("asking for the offsets of topic %s: %w", topic, err)
	}
	o, ok := offsets.Lookup(topic, 0)
	if !ok {
		return 0, fmt.Errorf("topic %s does not exist: run `freshet topics apply`", topic)
	}
	if o.Err != nil {
		return 0, fmt.Errorf("topic %s cannot be read (%w): run `freshet topics apply`", topic, o.Err)
	}
	return o.Offset, nil
}

// readLog hands over the records of a topic of one partition, below the given end.
func readLog(ctx context.Context, client *kgo.Client, topic string, from kgo.Offset, end int64, take func(*kgo.Record) error) error {
	reader, err := kgo.NewClient(append(client.Opts(),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: {0: from}}))...)
	if err != nil {
		return fmt.Errorf("opening a reader of topic %s: %w", topic, err)
	}
	defer reader.Close()
	for next := int64(0); next < end; {
		fetches := reader.PollFetches(ctx)
		if err := fetches.Err0(); err != nil {
			return fmt.Errorf("reading topic %s: %w", topic, err)
		}
		for _, r := range fetches.Records() {
			next = r.Offset + 1
			if err := take(r); err != nil {
				return fmt.Errorf("reading topic %s at offset %d: %w", topic, r.Offset, err)
			}
		}
	}
	return nil
}
