package bench

import (
	"context"
	"errors"
	"fmt"

	"github.com/freshet-io/freshet/services/ctl/catalogue"
	"github.com/freshet-io/freshet/services/ctl/rig"
	"github.com/freshet-io/freshet/services/ingest/ingester"
)

const ingestGoal = 0.25

// ingest measures how fast the ingest service reads changes and writes documents,
// against a loop that only copies them on the same broker, with the same codec; and how
// fast it takes items over HTTP.
func ingest(ctx context.Context, r run) (figures []Figure, err error) {
	b, err := openBed(ctx, r, rig.BuiltinSpace, false)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, b.close(ctx)) }()
	b.say("sending %d changes of %d bytes", b.envelopes, changeBytes)
	if err := b.fill(ctx, catalogue.Topic, envelopes(b.envelopes)); err != nil {
		return nil, err
	}
	rounds, err := b.compareCopying(ctx, catalogue.Topic, b.envelopes, true, func(i int) work {
		return serve(b, ingester.Run, fmt.Sprint("FRESHET_INGEST_GROUP=bench-", i))
	})
	if err != nil {
		return nil, err
	}
	value, floor := medianOf(rounds, byTime)
	figures = append(figures, rate("2 KB changes ingested, "+b.broker, "changes/s", value, floor, ingestGoal))
	if b.apart { // else the broker's CPU time is in the process's
		value, floor := medianOf(rounds, byCPU)
		figures = append(figures, rate("the same, for the CPU time of the client", "changes/CPU s", value, floor, 0))
	}
	taken, err := b.overHTTP(ctx)
	return append(figures, taken), err
}
