package bench

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/freshet-io/freshet/services/ctl/catalogue"
	"github.com/freshet-io/freshet/services/ctl/rig"
	"github.com/freshet-io/freshet/services/ingest/ingester"
)

const (
	ingestGoal = 0.25
	copies     = "bench.copies"
	sendAtOnce = 5000
)

// ingest measures how fast the ingest service reads changes and writes documents,
// against a loop that only copies them on the same broker, with the same codec.
func ingest(ctx context.Context, r run) (figures []Figure, err error) {
	b, err := openBed(ctx, r, rig.BuiltinSpace, false)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, b.close(ctx)) }()
	if _, err := kadm.NewClient(b.client).CreateTopics(ctx, partitions, 1, nil, copies); err != nil {
		return nil, fmt.Errorf("creating topic %s: %w", copies, err)
	}
	b.say("sending %d changes of %d bytes", b.envelopes, changeBytes)
	for chunk := range slices.Chunk(envelopes(b.envelopes), sendAtOnce) {
		if err := b.send(ctx, chunk...); err != nil {
			return nil, err
		}
	}
	rounds := make([]round, b.rounds)
	for i := range rounds {
		b.say("round %d of %d: copying, then ingesting", i+1, b.rounds)
		var copied, ingested *pace
		err := during(ctx, func(ctx context.Context) error {
			copied, err = b.growth(ctx, copies, i*b.envelopes, b.envelopes)
			return err
		}, b.copyChanges)
		if err != nil {
			return nil, err
		}
		// A new group reads everything again.
		err = during(ctx, func(ctx context.Context) error {
			ingested, err = b.growth(ctx, b.topics.DocumentsLive(), i*b.envelopes, b.envelopes)
			return err
		}, serve(b, ingester.Run, fmt.Sprintf("FRESHET_INGEST_GROUP=bench-%d", i)))
		if err != nil {
			return nil, err
		}
		rounds[i].floor, rounds[i].floorCPU = copied.rate()
		rounds[i].value, rounds[i].valueCPU = ingested.rate()
		b.say("  %.0f ingested and %.0f copied a second", rounds[i].value, rounds[i].floor)
	}
	median := medianOf(rounds)
	figures = append(figures, rate("2 KB changes ingested, "+b.broker, "changes/s", median.value, median.floor, ingestGoal))
	if b.apart { // else the broker's CPU time is in the process's
		figures = append(figures, rate("the same, for the CPU time of the client", "changes/CPU s", median.valueCPU, median.floorCPU, 0))
	}
	return figures, nil
}

// copyChanges is the floor: it reads what ingest reads and writes it as it is.
func (b *bed) copyChanges(ctx context.Context) error {
	reader, err := kgo.NewClient(append(b.client.Opts(), kgo.ConsumeTopics(catalogue.Topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))...)
	if err != nil {
		return fmt.Errorf("opening a reader: %w", err)
	}
	defer reader.Close()
	for ctx.Err() == nil {
		reader.PollFetches(ctx).EachRecord(func(r *kgo.Record) {
			b.client.Produce(ctx, &kgo.Record{Topic: copies, Partition: r.Partition, Key: r.Key, Value: r.Value}, nil)
		})
	}
	return b.client.Flush(context.WithoutCancel(ctx))
}
