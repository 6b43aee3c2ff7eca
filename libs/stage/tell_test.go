package stage

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/freshet-io/freshet/libs/telemetry"
)

func TestWorker_exportsATraceWhenItsOffsetIsCommitted(t *testing.T) {
	b := newBringer(t)
	var exported []*telemetry.Trace
	b.worker.members.export = func(x *telemetry.Trace) { exported = append(exported, x) }
	b.worker.push("source", [16]byte{}, b.batch, 0)
	first, second := new(telemetry.Trace), new(telemetry.Trace)
	b.worker.mark(b.worker.next(), nil, ended{"source", 10, first}, ended{"source", 20, second})
	for _, commit := range []struct {
		topic  string
		before int64
		want   int
	}{{"source", 10, 0}, {"another", 100, 0}, {"source", 11, 1}, {"source", 11, 1}, {"source", 100, 2}, {"source", 100, 2}} {
		b.worker.committed(commit.topic, commit.before, "")
		if len(exported) != commit.want {
			t.Errorf("%d are exported at the commit of %s %d, want %d", len(exported), commit.topic, commit.before, commit.want)
		}
	}
	if exported[0] != first || exported[1] != second {
		t.Error("not in their order")
	}
}

func TestWorker_exportsNothingOfAPartitionThatIsLost(t *testing.T) {
	b := newBringer(t)
	b.worker.members.export = func(*telemetry.Trace) { t.Error("exported") }
	b.worker.push("source", [16]byte{}, b.batch, 0)
	batch := b.worker.next()
	b.worker.disown()
	b.worker.mark(batch, nil, ended{"source", 10, new(telemetry.Trace)}) // another owner tells it
	b.worker.committed("source", 100, "")
}

func TestWorker_keepsSoManyTracesOfAPartitionThatIsNotCommitted(t *testing.T) {
	b := newBringer(t)
	exported := 0
	b.worker.members.export = func(*telemetry.Trace) { exported++ }
	const batches = 50
	for i := range batches {
		b.worker.push("source", [16]byte{}, b.batch, 0)
		told := make([]ended, batchItems)
		for n := range told {
			told[n] = ended{"source", int64(i*batchItems + n), new(telemetry.Trace)}
		}
		b.worker.mark(b.worker.next(), nil, told...)
	}
	if len(b.worker.told) != mostTold || exported != batches*batchItems-mostTold {
		t.Errorf("%d are kept and %d exported, want %d kept and none lost", len(b.worker.told), exported, mostTold)
	}
}

// A commit that is under way when a debt is paid still says that it is owed: the next owner would pay it, and tell it, again.
func TestWorker_exportsNoTraceOfWhatTheCommitSaysIsOwed(t *testing.T) {
	b := newBringer(t)
	exported := 0
	b.worker.members.export = func(*telemetry.Trace) { exported++ }
	b.worker.push("source", [16]byte{}, b.batch, 0)
	batch := b.worker.next()
	first := batch[0].Offset
	b.worker.mark(batch, []leftover{{index: 0}})
	b.worker.mu.Lock()
	underWay := b.worker.commitment("source", note{})
	b.worker.mu.Unlock()
	b.worker.pay("source", batch[:1], nil, ended{"source", first, new(telemetry.Trace)})
	if b.worker.committed("source", underWay.next.Offset, underWay.note.Owed); exported != 0 {
		t.Fatal("exported by a commit that says that it is owed")
	}
	b.worker.mu.Lock()
	paid := b.worker.commitment("source", note{})
	b.worker.mu.Unlock()
	if b.worker.committed("source", paid.next.Offset, paid.note.Owed); exported != 1 {
		t.Error("not exported by the commit after it was paid")
	}
}

// What is done once more, after a doubt or where the index has gone back, was fresh long ago. What an owner before may have put
// and not lived to measure is measured, too late rather than never.
func TestEngine_measuresHowFreshAnItemIsOnce(t *testing.T) {
	arrived := Done[Output]("written")
	again := arrived
	again.Again = true
	for name, c := range map[string]struct {
		outcome Outcome[Output]
		fails   int          // before it
		before  func(*claim) // what was done before with the partition
		want    int
	}{
		"new to the index":                                    {arrived, 0, nil, batchItems},
		"there before":                                        {again, 0, nil, 0},
		"there, perhaps by the try before":                    {again, 1, nil, batchItems},
		"not there, though this process has tried before":     {arrived, 1, nil, batchItems},
		"there, perhaps by an owner before":                   {again, 0, func(c *claim) { c.seen = 1000 }, batchItems},
		"there, and a person has set the offset back":         {again, 0, func(c *claim) { c.seen, c.byHand = 1000, true }, 0},
		"in doubt, there by the first pass of ten":            {again, 0, func(c *claim) { c.seen, c.measured = 1000, 10 }, batchItems - 10},
		"so at the second try of the second pass":             {again, 1, func(c *claim) { c.seen, c.measured = 1000, 10 }, batchItems - 10},
		"not there, though it was: a late call has gone over": {arrived, 0, func(c *claim) { c.seen, c.measured = 1000, 10 }, batchItems},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBringer(t)
			if c.before != nil {
				c.before(b.worker.owned["source"])
			}
			measured, called := 0, 0
			c.outcome.Measured = func(*telemetry.Trace) { called++ }
			b.engine.stage.Describe = func(Record) Facts { return Facts{CommittedAt: time.Now().Add(-time.Hour)} }
			b.engine.stage.Handler = &failing{fails: c.fails, outcome: c.outcome}
			b.engine.telemetry.Metrics.OnFreshness(func(telemetry.Freshness) { measured++ })
			b.bring(t)
			if measured != c.want || called != c.want {
				t.Errorf("%d are measured and %d told of it, want %d", measured, called, c.want)
			}
		})
	}
}

// failing fails so often, and then gives each input the outcome.
type failing struct {
	fails   int
	outcome Outcome[Output]
}

func (f *failing) Handle(_ context.Context, batch []Record) ([]Outcome[Output], error) {
	if f.fails--; f.fails >= 0 {
		return nil, errors.New("away")
	}
	return slices.Repeat([]Outcome[Output]{f.outcome}, len(batch)), nil
}

func TestPastOf_whatIsBelowWhereTheKeeperWentBackFromOrTheDoubtHasCome(t *testing.T) {
	b := newBringer(t)
	b.worker.mu.Lock()
	b.worker.owned["source"].next = kgo.EpochOffset{Offset: 50}
	b.worker.lower(map[string]int64{"source": 0})
	b.worker.doubtUntil = time.Now().Add(time.Hour)
	b.worker.mu.Unlock()
	b.bring(t) // in doubt
	for offset, want := range map[int64]past{49: {told: true, measured: true}, 50: {measured: true}, batchItems - 1: {measured: true}, batchItems: {}} {
		if got := pastOf(b.worker.ctx, &kgo.Record{Topic: "source", Offset: offset}); got != want {
			t.Errorf("%d: got %+v, want %+v", offset, got, want)
		}
	}
	if (pastOf(b.worker.ctx, &kgo.Record{Topic: "another"}) != past{} || pastOf(t.Context(), &kgo.Record{Topic: "source"}) != past{}) {
		t.Error("of a topic, or a stage, that is not its own")
	}
}
