package bench

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/freshet-io/freshet/libs/record"
	"github.com/freshet-io/freshet/services/ctl/catalogue"
	"github.com/freshet-io/freshet/services/ctl/rig"
	"github.com/freshet-io/freshet/services/ingest/ingester"
)

const (
	ingestGoal     = 0.25
	changesPerCPU  = 80_000 // a second
	changesASecond = 1000   // one by one
	changeGoal     = 10 * time.Millisecond
)

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
		figures = append(figures, rate("the same, for the CPU time of the client", "changes/CPU s", value, floor, 0),
			rate("the same, of a core", "changes/CPU s", value, changesPerCPU, 1))
		value, floor = medianOf(rounds, byObjects)
		figures = append(figures, atMost("the same, allocated for each", "objects", value, floor, 0))
	}
	times, err := b.changesOneByOne(ctx)
	if err != nil {
		return nil, err
	}
	taken, err := b.overHTTP(ctx)
	return append(figures, times, taken), err
}

// changesOneByOne measures how long a change takes through ingest alone, against a loop that only copies it.
func (b *bed) changesOneByOne(ctx context.Context) (Figure, error) {
	late := lateness(int(b.paced.Seconds())*changesASecond, time.Second/changesASecond)
	b.say("%d changes a second for %s, one by one: copied, then by the service. A timer alone is late by %s (p99) here", changesASecond, b.paced, rig.Percentile(late, 99))
	floor, err := b.oneByOne(ctx, b.copying(catalogue.Topic, true), func(r *kgo.Record, _ catalogue.Product) string { return string(r.Key) })
	if err != nil {
		return Figure{}, err
	}
	value, err := b.oneByOne(ctx, serve(b, ingester.Run, "FRESHET_INGEST_GROUP=bench-one-by-one"), func(_ *kgo.Record, p catalogue.Product) string {
		return string(record.Item{Collection: collection, ID: []string{strconv.FormatInt(p.ID, 10)}}.Key())
	})
	if err != nil {
		return Figure{}, err
	}
	return latency(fmt.Sprintf("2 KB changes at %d a second, p99", changesASecond), rig.Percentile(value, 99), rig.Percentile(floor, 99), changeGoal), nil
}

// lateness returns, sorted, how late this process finds itself at n moments that follow each other: what others do on the machine,
// and a floor under whatever it may wait for.
func lateness(n int, every time.Duration) []time.Duration {
	late, next := make([]time.Duration, n), time.Now()
	for i := range late {
		next = next.Add(every)
		<-time.After(time.Until(next))
		late[i] = time.Since(next)
	}
	slices.Sort(late)
	return late
}

// oneByOne has work catch up with the changes that are there, sends more of them, and returns, sorted, how long each took until
// it could be read where key says.
func (b *bed) oneByOne(ctx context.Context, w work, key func(*kgo.Record, catalogue.Product) string) (took []time.Duration, err error) {
	waiting, err := b.size(ctx, catalogue.Topic)
	if err != nil {
		return nil, err
	}
	before, err := b.size(ctx, b.topics.DocumentsLive())
	if err != nil {
		return nil, err
	}
	n := int(b.paced.Seconds() * changesASecond)
	changes, keys := envelopes(n), make([]string, n)
	for i, p := range products(n) {
		keys[i] = key(changes[i], p)
	}
	err = during(ctx, func(ctx context.Context) error {
		if _, err := b.growth(ctx, b.topics.DocumentsLive(), before, waiting); err != nil {
			return err
		}
		took, err = b.trickle(ctx, b.topics.DocumentsLive(), changesASecond, keys, func(i int) error {
			b.client.Produce(ctx, changes[i], nil)
			return nil
		})
		return err
	}, w)
	return took, err
}
