package bench

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"runtime/metrics"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/freshet-io/freshet/libs/kafka"
	"github.com/freshet-io/freshet/libs/record"
	"github.com/freshet-io/freshet/libs/service"
	"github.com/freshet-io/freshet/libs/stage"
	"github.com/freshet-io/freshet/services/ctl/rig"
)

const (
	stageGoal       = 0.6
	mostAllocations = 30  // that the runtime adds to a record
	flat            = 1.1 // times what it was before
	stageSource     = "bench.source"
	batchItems      = 500 // as ingest by default; docs/decisions/2026-11-30-what-a-batch-costs.md tells of smaller ones
	recordBytes     = 1024
	slowItems       = 100                    // a batch of the slow handler,
	slowness        = 250 * time.Millisecond // for which it takes this time
	soakSlack       = 20 * time.Second       // what a busy machine may add to the time that is measured
	samples         = 30
)

// idleStage measures what the runtime of the services takes: a stage whose handler does
// nothing, against a loop that only copies; and its memory while its handler is slow.
func idleStage(ctx context.Context, r run) (figures []Figure, err error) {
	b, err := openBed(ctx, r, rig.BuiltinSpace, false)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, b.close(ctx)) }()
	b.say("sending %d records of %d bytes", b.records, recordBytes)
	if err := b.fill(ctx, stageSource, noise(b.records)); err != nil {
		return nil, err
	}
	rounds, err := b.compareCopying(ctx, stageSource, b.records, false, func(i int) work {
		return serve(b, (&copier{b: b, group: fmt.Sprintf("bench-%d", i), items: batchItems}).run)
	})
	if err != nil {
		return nil, err
	}
	value, floor := medianOf(rounds, byTime)
	figures = append(figures, rate("1 KB records through a stage that does nothing, "+b.broker, "records/s", value, floor, 0))
	if b.apart { // else what the broker takes is in the process's figures
		value, floor := medianOf(rounds, byCPU)
		figures = append(figures, rate("the same, for the CPU time of the client", "records/CPU s", value, floor, stageGoal))
		value, floor = medianOf(rounds, byObjects)
		figures = append(figures, atMost("allocations a record", "allocations", value, floor, floor+mostAllocations))
	}
	memory, err := b.soakStage(ctx)
	return append(figures, memory...), err
}

// noise returns records that no codec makes smaller, each in the partition of its key: as
// those of embed and write, they stay in its number.
func noise(n int) []*kgo.Record {
	source := rand.NewChaCha8([32]byte{})
	records := make([]*kgo.Record, n)
	for i := range records {
		value := make([]byte, recordBytes)
		_, _ = source.Read(value) // never fails
		key := strconv.AppendInt(nil, int64(i), 10)
		records[i] = &kgo.Record{Topic: stageSource, Partition: record.Partition(key, partitions), Key: key, Value: value}
	}
	return records
}

// copier is a stage that emits every input as it is, after a while.
type copier struct {
	b     *bed
	group string
	items int
	wait  time.Duration
}

// Handle implements stage.Handler.
func (c *copier) Handle(ctx context.Context, batch []stage.Output) ([]stage.Outcome[stage.Output], error) {
	if c.wait > 0 {
		select {
		case <-ctx.Done():
		case <-time.After(c.wait):
		}
	}
	out := make([]stage.Outcome[stage.Output], len(batch))
	for i, r := range batch {
		out[i] = stage.Emit("copied", r)
	}
	return out, nil
}

// copierSettings are those of every service.
type copierSettings struct {
	Kafka kafka.Config
	Stage stage.Settings `inline:"true"`
}

func (c *copier) run(ctx context.Context, p *service.Process, cfg copierSettings) error {
	s := &stage.Stage[stage.Output, stage.Output]{
		Name: "copy", Items: c.items, Settings: cfg.Stage,
		From:     stage.Source{Cluster: cfg.Kafka, Topics: []string{stageSource}, Group: c.group},
		To:       stage.Sink{Cluster: cfg.Kafka, Topics: c.b.topics, Identity: c.b.identity, Topic: c.b.topics.DocumentsLive()},
		Decode:   func(r stage.Record) (stage.Output, error) { return stage.Output{Key: r.Key, Value: r.Value}, nil },
		Encode:   func(o stage.Output) (stage.Output, error) { return o, nil },
		Describe: func(stage.Output) stage.Facts { return stage.Facts{} },
		Handler:  c,
	}
	return s.Run(ctx, p)
}

// soakStage measures the memory of this process while more waits to be read than a slow
// handler ever takes: both bounds of the queues, of bytes and of records, are at work.
func (b *bed) soakStage(ctx context.Context) ([]Figure, error) {
	enough := int((b.soak+soakSlack)/slowness) * slowItems * partitions
	for missing := enough - b.records; missing > 0; missing -= b.records {
		if err := b.fill(ctx, stageSource, noise(min(missing, b.records))); err != nil {
			return nil, err
		}
	}
	before, err := b.size(ctx, b.topics.DocumentsLive())
	if err != nil {
		return nil, err
	}
	b.say("a slow handler for %s", b.soak)
	var resident, live []float64
	err = during(ctx, func(ctx context.Context) error {
		resident, live, err = sampleMemory(ctx, b.soak)
		return err
	}, serve(b, (&copier{b: b, group: "bench-slow", items: slowItems, wait: slowness}).run, "FRESHET_QUEUE_BYTES=8388608"))
	if err != nil {
		return nil, err
	}
	after, err := b.size(ctx, b.topics.DocumentsLive())
	if n := after - before; err == nil && (n == 0 || n >= max(enough, b.records)) {
		err = fmt.Errorf("the slow handler took %d of %d records: its queues were not full all the time", n, enough)
	}
	if err != nil {
		return nil, err
	}
	figures := []Figure{b.grown("live heap", live)}
	if resident[0] > 0 {
		figures = append(figures, b.grown("resident memory", resident))
	}
	return figures, nil
}

// sampleMemory returns, in MB, the resident memory, 0 where there is no /proc, and what a
// garbage collection leaves.
func sampleMemory(ctx context.Context, d time.Duration) (resident, live []float64, err error) {
	tick := time.NewTicker(d / samples)
	defer tick.Stop()
	heap := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	for range samples {
		select {
		case <-ctx.Done():
			return nil, nil, ctx.Err()
		case <-tick.C:
		}
		runtime.GC() // else it is a matter of when the last one was
		metrics.Read(heap)
		live = append(live, float64(heap[0].Value.Uint64())/1e6)
		resident = append(resident, residentMB("self", "VmRSS"))
	}
	return resident, live, nil
}

// residentMB reads a figure of a process's resident memory: VmRSS is what it has now, VmHWM the
// most that it had. It returns 0 where there is no /proc.
func residentMB(process, figure string) float64 {
	text, _ := os.ReadFile(filepath.Join("/proc", process, "status"))
	for line := range strings.Lines(string(text)) {
		if fields := strings.Fields(line); len(fields) == 3 && fields[0] == figure+":" {
			kB, _ := strconv.ParseFloat(fields[1], 64)
			return kB * 1024 / 1e6
		}
	}
	return 0
}

// grown compares the end of a series with where it stood after its first third, while it
// warmed up: by the line of least squares, so that the time of a collection counts little.
func (b *bed) grown(name string, series []float64) Figure {
	warm := series[len(series)/3:]
	middle := float64(len(warm)-1) / 2
	var sum, up, across float64
	for i, y := range warm {
		x := float64(i) - middle
		sum, up, across = sum+y, up+x*y, across+x*x
	}
	mean, slope := sum/float64(len(warm)), up/across
	b.say("  %s %.0f MB: %+.2f MB a minute", name, series, slope*samples/b.soak.Minutes())
	before := mean - slope*middle
	return atMost(fmt.Sprintf("%s after %s with a slow handler, against a third of it", name, b.soak), "MB", mean+slope*middle, before, flat*before)
}
