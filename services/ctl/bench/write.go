package bench

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/freshet-io/freshet/libs/record"
	"github.com/freshet-io/freshet/services/write/writer"
)

// write measures how fast the write service brings new vectors into the index, against
// a bare client that sends the same batches to an equal collection.
func write(ctx context.Context, r run) ([]Figure, error) {
	var figures []Figure
	for _, set := range []struct {
		dimensions int
		goal       float64
	}{{3072, 0.75}, {384, 0}} {
		rounds, err := writeVectors(ctx, r, set.dimensions)
		if err != nil {
			return nil, err
		}
		name := fmt.Sprintf("vectors of %d dimensions written", set.dimensions)
		value, floor := medianOf(rounds, byTime)
		figures = append(figures, rate(name, "objects/s", value, floor, set.goal))
	}
	return figures, nil
}

func hashSpace(dimensions int) string {
	return fmt.Sprintf("space: {provider: hash, model: hash, dimensions: %d}", dimensions)
}

func writeVectors(ctx context.Context, r run, dimensions int) (rounds []round, err error) {
	b, err := openBed(ctx, r, hashSpace(dimensions), true)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, b.close(ctx)) }()
	client, err := b.bareClient(ctx)
	if err != nil {
		return nil, err
	}
	docs, err := b.documents(ctx, products(b.rounds*b.objects))
	if err != nil {
		return nil, err
	}
	for vectors := range slices.Chunk(b.vectors(docs), b.objects) {
		b.say("%d vectors of %d dimensions by the bare client, then by the write service", len(vectors), dimensions)
		one, err := b.writeRound(ctx, client, vectors)
		if err != nil {
			return nil, err
		}
		b.say("  %.0f and %.0f a second", one.floor.perSecond, one.value.perSecond)
		rounds = append(rounds, one)
	}
	return rounds, nil
}

// writeRound writes vectors twice. Both collections grow alike from round to round.
func (b *bed) writeRound(ctx context.Context, client *bare, vectors []*record.Vector) (r round, err error) {
	batches, err := b.batches(ctx, client, vectors)
	if err != nil {
		return r, err
	}
	floor, err := client.putAll(ctx, batches)
	if err != nil {
		return r, err
	}
	records := make([]*kgo.Record, len(vectors))
	for i, v := range vectors {
		value, err := v.Encode()
		if err != nil {
			return r, err
		}
		records[i] = b.placed(b.topics.VectorsLive(), v.GetDocument().Item(), value)
		// As many in each partition, so that all batches can be full. No item comes again.
		records[i].Partition = int32(i % partitions)
	}
	if err := b.send(ctx, records...); err != nil {
		return r, err
	}
	b.arrived.restart()
	err = during(ctx, func(ctx context.Context) error { return b.awaitArrived(ctx, len(vectors)) }, serve(b, writer.Run))
	if err != nil {
		return r, err
	}
	return round{value: b.arrived.rate(), floor: floor.rate()}, nil
}
