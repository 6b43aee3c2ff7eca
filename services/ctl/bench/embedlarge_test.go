package bench

import (
	"context"
	"fmt"
	"time"
)

const (
	largeDimensions = 3072
	largeRate       = 5000 // texts a second
)

// embedLarge is about a provider without limits, and vectors of full size: what the embed service takes of the machine,
// beside the stand-in.
func embedLarge(ctx context.Context, b *bed, provider *standIn) ([]Figure, error) {
	docs, err := b.documents(ctx, b.fresh(b.texts))
	if err != nil {
		return nil, err
	}
	provider.unlimited.Store(true)
	b.say("%d texts of a provider without limits, %d dimensions", len(docs), largeDimensions)
	began := used().cpu
	if _, err := provider.capacity(ctx, textsOf(docs), fullRequest); err != nil {
		return nil, err
	}
	alone := (used().cpu - began) / time.Duration(len(docs))
	embedded, err := b.embedWaiting(ctx, docs, nil)
	if err != nil {
		return nil, err
	}
	speed := embedded.rate()
	of := fmt.Sprintf(", %d dimensions", largeDimensions)
	return []Figure{
		rate("texts of a provider without limits"+of, "texts/s", speed.perSecond, largeRate, 1),
		atMost("the same, CPU time with that of the stand-in, against it and a bare client", "µs/text", 1e6/speed.perCPU, float64(alone.Microseconds()), 0),
	}, nil
}

// embedResident sends the embed service documents.
func embedResident(ctx context.Context, b *bed, provider *standIn) ([]Figure, error) {
	provider.unlimited.Store(true)
	docs, err := b.documents(ctx, b.fresh(fullRequest+b.residentParts()*residentAtOnce))
	if err != nil {
		return nil, err
	}
	before, err := b.size(ctx, b.topics.VectorsLive())
	if err != nil {
		return nil, err
	}
	embedded := func(n int) error {
		_, err := b.growth(ctx, b.topics.VectorsLive(), before, n)
		return err
	}
	return b.resident(ctx, "embed", "documents", func() error {
		if err := b.sendDocuments(ctx, docs[:fullRequest]); err != nil {
			return err
		}
		return embedded(fullRequest)
	}, func(part int) error {
		return b.sendDocuments(ctx, docs[fullRequest+part*residentAtOnce:][:residentAtOnce])
	}, func() error { return embedded(len(docs)) })
}
