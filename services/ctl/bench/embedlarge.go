package bench

import (
	"context"
	"fmt"
	"strconv"
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

// embedResident measures the most memory that an embed service of its own process takes at a steady rate.
func embedResident(ctx context.Context, b *bed, provider *standIn) ([]Figure, error) {
	provider.unlimited.Store(true)
	program, err := b.program(ctx, "embed")
	if err != nil {
		return nil, err
	}
	n := int(b.paced.Seconds() * residentRate)
	docs, err := b.documents(ctx, b.fresh(n+fullRequest))
	if err != nil {
		return nil, err
	}
	before, err := b.size(ctx, b.topics.VectorsLive())
	if err != nil {
		return nil, err
	}
	for _, d := range docs[:fullRequest] { // it runs
		if err := b.sendDocument(ctx, d); err != nil {
			return nil, err
		}
	}
	if _, err := b.growth(ctx, b.topics.VectorsLive(), before, fullRequest); err != nil {
		return nil, err
	}
	process := strconv.Itoa(program.PID())
	idle := residentMB(process, "VmRSS")
	if idle == 0 {
		b.say("no /proc here: the memory of a process cannot be read")
		return nil, nil
	}
	b.say("%d documents a second for %s by an embed service of its own", residentRate, b.paced)
	err = paced(ctx, n/residentAtOnce, residentRate/residentAtOnce, func(i int) error {
		for _, d := range docs[fullRequest+i*residentAtOnce:][:residentAtOnce] {
			if err := b.sendDocument(ctx, d); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if _, err := b.growth(ctx, b.topics.VectorsLive(), before, fullRequest+n/residentAtOnce*residentAtOnce); err != nil {
		return nil, err
	}
	most := residentMB(process, "VmHWM")
	return []Figure{atMost(fmt.Sprintf("resident memory at %d documents/s, %d dimensions", residentRate, largeDimensions), "MB", most, idle, residentGoal)}, nil
}
