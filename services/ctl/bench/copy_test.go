package bench

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/freshet-io/freshet/libs/kafka"
)

const (
	sendAtOnce     = 5000
	sessionTimeout = 10 * time.Second // as the services have it here
)

// fill produces records to a topic, which it creates where it is missing.
func (b *bed) fill(ctx context.Context, topic string, records []*kgo.Record) error {
	if _, err := kadm.NewClient(b.client).CreateTopics(ctx, partitions, 1, nil, topic); err != nil {
		return fmt.Errorf("creating topic %s: %w", topic, err)
	}
	for chunk := range slices.Chunk(records, sendAtOnce) {
		if err := b.send(ctx, chunk...); err != nil {
			return err
		}
	}
	return nil
}

// compareCopying measures how fast a service brings the n records of a topic into the
// documents topic, against a loop that only copies them there. do returns the service; in
// each round it must read everything again. The rounds are returned.
func (b *bed) compareCopying(ctx context.Context, from string, n int, compress bool, do func(round int) work) ([]round, error) {
	rounds := make([]round, b.rounds)
	for i := range rounds {
		b.say("round %d of %d: copying, then the service", i+1, b.rounds)
		floor, err := b.paceOf(ctx, n, b.copying(from, compress))
		if err != nil {
			return nil, err
		}
		value, err := b.paceOf(ctx, n, do(i))
		if err != nil {
			return nil, err
		}
		rounds[i] = round{value: value.rate(), floor: floor.rate()}
		b.say("  %.0f a second by the service, %.0f copied; of the CPU, %.0f and %.0f",
			rounds[i].value.perSecond, rounds[i].floor.perSecond, rounds[i].value.perCPU, rounds[i].floor.perCPU)
	}
	return rounds, nil
}

// paceOf returns the pace at which work brings n records more into the documents topic.
func (b *bed) paceOf(ctx context.Context, n int, w work) (p *pace, err error) {
	before, err := b.size(ctx, b.topics.DocumentsLive())
	if err != nil {
		return nil, err
	}
	err = during(ctx, func(ctx context.Context) error {
		p, err = b.growth(ctx, b.topics.DocumentsLive(), before, n)
		return err
	}, w)
	return p, err
}

// copying is the floor: it reads a topic as a new member of a group does, with the clients
// that a stage has, and writes what it reads as it is. It waits for nothing.
func (b *bed) copying(from string, compress bool) work {
	return func(ctx context.Context) error {
		writer, err := kafka.Producer(ctx, b.cluster, b.topics, compress, b.process.Log)
		if err != nil {
			return err
		}
		defer writer.Close()
		reader, err := kafka.Consumer(ctx, b.cluster, kafka.GroupOptions{
			Group: fmt.Sprint("bench-copy-", time.Now().UnixNano()), Topics: []string{from}, SessionTimeout: sessionTimeout, RebalanceTimeout: sessionTimeout,
		}, b.process.Log)
		if err != nil {
			return err
		}
		defer reader.CloseAllowingRebalance()
		for ctx.Err() == nil {
			fetches := reader.PollFetches(ctx)
			if err := fetches.Err(); err != nil && ctx.Err() == nil {
				return fmt.Errorf("reading %s: %w", from, err)
			}
			fetches.EachPartition(func(p kgo.FetchTopicPartition) {
				copyTo(ctx, writer, b.topics.DocumentsLive(), reader, p.Records)
			})
			reader.AllowRebalance()
		}
		return nil
	}
}

// copyTo produces records of one partition and has the offset of the last be committed
// when it is acknowledged: then those before it are, too. One that fails shows by its absence.
func copyTo(ctx context.Context, writer *kgo.Client, topic string, reader *kgo.Client, records []*kgo.Record) {
	for i, r := range records {
		var done func(*kgo.Record, error)
		if i+1 == len(records) {
			done = func(_ *kgo.Record, err error) {
				if err == nil {
					reader.MarkCommitRecords(r)
				}
			}
		}
		writer.Produce(ctx, &kgo.Record{Topic: topic, Partition: r.Partition, Key: r.Key, Value: r.Value}, done)
	}
}
