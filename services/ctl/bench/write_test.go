package bench

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/freshet-io/freshet/libs/kafka"
	"github.com/freshet-io/freshet/libs/record"
	"github.com/freshet-io/freshet/libs/service"
	"github.com/freshet-io/freshet/services/ctl/catalogue"
	"github.com/freshet-io/freshet/services/write/writer"
)

// How much faster changes of properties must be than new vectors, which are indexed.
const propertiesGoal = 3

// write measures how fast the write service brings changes into the index, against a bare
// client that sends the same batches to an equal collection, and the memory that it takes.
func write(ctx context.Context, r run) ([]Figure, error) {
	var figures []Figure
	for _, set := range []struct {
		dimensions int
		new, known float64 // goals
	}{{3072, 0.9, 0.9}, {384, 0.75, 0.85}} {
		m, err := writeVectors(ctx, r, set.dimensions)
		if err != nil {
			return nil, err
		}
		of := fmt.Sprintf(", %d dimensions", set.dimensions)
		value, floor := medianOf(m.new, byTime)
		figures = append(figures, rate("items seen first"+of, "objects/s", value, floor, set.new))
		value, floor = medianOf(m.known, byTime)
		figures = append(figures, rate("new vectors of items that are remembered"+of, "objects/s", value, floor, set.known))
		value, floor = medianOf(m.known, byCPU)
		figures = append(figures, atMost("the same, CPU time of the client"+of, "µs/object", 1e6/value, 1e6/floor, 0))
		value, floor = medianOf(m.prices, byTime)
		figures = append(figures, rate("changes of properties alone"+of, "objects/s", value, floor, 0))
		value, floor = medianOf(m.cheaper, byTime)
		figures = append(figures, rate("the same, against new vectors"+of, "objects/s", value, floor, propertiesGoal))
	}
	memory, err := writeResident(ctx, r)
	return append(figures, memory...), err
}

func hashSpace(dimensions int) string {
	return fmt.Sprintf("space: {provider: hash, model: hash, dimensions: %d}", dimensions)
}

// written is what was measured of one number of dimensions.
type written struct {
	new, known, prices []round // the floor is the bare client
	cheaper            []round // prices, where the floor is the service itself with new vectors, just before
}

func writeVectors(ctx context.Context, r run, dimensions int) (m written, err error) {
	b, err := openBed(ctx, r, hashSpace(dimensions), true)
	if err != nil {
		return m, err
	}
	defer func() { err = errors.Join(err, b.close(ctx)) }()
	client, err := b.bareClient(ctx)
	if err == nil {
		err = b.sendsVectors(ctx)
	}
	if err != nil {
		return m, err
	}
	return m, during(ctx, func(ctx context.Context) error {
		for list := range slices.Chunk(products(b.rounds*b.objects), b.objects) {
			b.say("%d items of %d dimensions by the bare client and by the write service: new, with new texts, with new prices", len(list), dimensions)
			if err := b.writeRound(ctx, client, list, &m); err != nil {
				return err
			}
		}
		return nil
	}, serve(b, writer.Run))
}

// writeRound writes items, then the same with new texts, then with new prices. Both
// collections grow alike.
func (b *bed) writeRound(ctx context.Context, client *bare, list []catalogue.Product, m *written) error {
	fresh, err := b.writeTwice(ctx, client, list)
	if err != nil {
		return err
	}
	for i := range list {
		list[i].Description = "Another one. " + list[i].Description
	}
	known, err := b.writeTwice(ctx, client, list)
	if err != nil {
		return err
	}
	for i := range list {
		list[i].Price++
	}
	prices, err := b.writeTwice(ctx, client, list)
	if err != nil {
		return err
	}
	m.new, m.known, m.prices = append(m.new, fresh), append(m.known, known), append(m.prices, prices)
	m.cheaper = append(m.cheaper, round{value: prices.value, floor: known.value})
	for _, r := range []round{fresh, known, prices} {
		b.say("  %.0f of %.0f a second", r.value.perSecond, r.floor.perSecond)
	}
	return nil
}

// writeTwice has the bare client write items, then the service: what others do on the
// machine is in both.
func (b *bed) writeTwice(ctx context.Context, client *bare, list []catalogue.Product) (r round, err error) {
	docs, err := b.documents(ctx, list)
	if err != nil {
		return r, err
	}
	vectors := b.vectors(docs)
	batches, err := b.batches(ctx, client, vectors)
	if err != nil {
		return r, err
	}
	floor, err := client.putAll(ctx, batches)
	if err != nil {
		return r, err
	}
	value, err := b.writeOnce(ctx, vectors)
	return round{value: value, floor: floor.rate()}, err
}

// writeOnce has the service write vectors. It is held while they are sent, so that it
// begins with full batches.
func (b *bed) writeOnce(ctx context.Context, vectors []*record.Vector) (s speed, err error) {
	records, err := b.vectorRecords(vectors)
	if err != nil {
		return s, err
	}
	if err := b.process.Places().Acquire(ctx, service.AllPlaces); err != nil {
		return s, fmt.Errorf("holding the service: %w", err)
	}
	err = b.send(ctx, records...)
	b.arrived.restart()
	b.process.Places().Release(service.AllPlaces)
	if err == nil {
		err = b.awaitArrived(ctx, len(vectors))
	}
	return b.arrived.rate(), err
}

// sendsVectors has the bed produce as embed does: vectors are not compressed.
func (b *bed) sendsVectors(ctx context.Context) error {
	client, err := kafka.Producer(ctx, b.cluster, b.topics, false, b.process.Log)
	if err != nil {
		return err
	}
	b.client.Close()
	b.client = client // the bed closes it
	return nil
}

// vectorRecords returns the records of vectors, as many in each partition, so that all
// batches can be full. The items of a list come to the same partitions each time.
func (b *bed) vectorRecords(vectors []*record.Vector) ([]*kgo.Record, error) {
	records := make([]*kgo.Record, len(vectors))
	for i, v := range vectors {
		value, err := v.Encode()
		if err != nil {
			return nil, err
		}
		records[i] = b.placed(b.topics.VectorsLive(), v.GetDocument().Item(), value)
		records[i].Partition = int32(i % partitions)
	}
	return records, nil
}
