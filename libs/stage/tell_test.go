package stage

import (
	"testing"

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
