package stagetest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/freshet-io/freshet/libs/fault"
	"github.com/freshet-io/freshet/libs/record"
	"github.com/freshet-io/freshet/libs/stage"
)

// payer is a Stage.Later that finishes one record for each word that it gets.
type payer chan struct{}

func (p payer) Handle(ctx context.Context, batch []string) ([]stage.Outcome[string], error) {
	select {
	case <-p:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	out := slices.Repeat([]stage.Outcome[string]{stage.Later[string]("not yet")}, len(batch))
	out[0] = stage.Emit("late", batch[0]+"!")
	return out, nil
}

// Something that is owed is paid, and noted, while the record is worked on that ends the process: neither may be forgotten, the
// count of the ends or what is still owed.
func TestStage_aRecordThatEndsTheProcessIsFoundBehindWhatIsOwed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const owed = 10
	for i := range owed {
		w.send(fmt.Sprint("a=later ", i))
	}
	pay := make(payer, owed)
	leave := func() *stage.Stage[string, string] {
		s := w.stage(early)
		s.Later = pay
		return s
	}
	stop := w.run(leave())
	w.awaitStanding(owed, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9)
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	w.send("a=1", "a=worst", "a=2", "b=3")
	paid := 0
	handle := func(m *mortal, batch []string) ([]stage.Outcome[string], error) {
		if slices.Contains(batch, "a=worst") {
			pay <- struct{}{}
			paid++
			for since := time.Now(); len(w.owing()) > owed-paid && time.Since(since) < time.Minute; {
				time.Sleep(10 * time.Millisecond)
			}
			m.die()
			return nil, errDead
		}
		return early(t.Context(), batch)
	}
	for m := w.raise(pay, handle); ; {
		select {
		case <-m.ended:
			if w.bury(m); paid == owed {
				t.Fatal("it loops for ever")
			}
			m = w.raise(pay, handle)
			continue
		case <-time.After(50 * time.Millisecond):
		}
		if w.count(w.topics.DeadLetters()) > 0 && w.committed() == owed+4 {
			m.cancel()
			<-m.ended
			break
		}
	}
	t.Logf("the process ended %d times", paid)
	for ; paid < owed; paid++ {
		pay <- struct{}{}
	}
	w.run(leave())
	w.awaitStanding(w.partitionEnd("a"))
	if letters := w.read(w.topics.DeadLetters(), 1); string(letters[0].Value) != "worst" || headerOf(letters[0], stage.HeaderReason) != "panic" {
		t.Errorf("a letter of %s for %s", letters[0].Value, headerOf(letters[0], stage.HeaderReason))
	}
	count := map[string]int{}
	for _, v := range values(w.read(w.topics.DocumentsLive(), int(w.count(w.topics.DocumentsLive())))) {
		if strings.Contains(v, "later") {
			count[v]++
		}
	}
	for v, n := range count {
		if n != 1 {
			t.Errorf("%s was emitted %d times: it was noted as paid, or as handed on", v, n)
		}
	}
	if len(count) != 2*owed {
		t.Errorf("emitted are %v", count)
	}
}

// partitionEnd returns how many records the partition of a key has.
func (w *world) partitionEnd(key string) int64 {
	w.Helper()
	ends, err := kadm.NewClient(w.client).ListEndOffsets(w.Context(), w.source)
	if err != nil {
		w.Fatal(err)
	}
	o, _ := ends.Lookup(w.source, record.Partition([]byte(key), sourcePartitions))
	return o.Offset
}

// owing returns what the note says of the partition of key a.
func (w *world) owing() []int64 {
	_, owed := w.standing()
	return owed
}

// A stage that leaves nothing for later must not pass over what was left.
func TestStage_stopsWhereItCannotHandleWhatIsOwed(t *testing.T) {
	w := newWorld(t)
	w.send("a=later 1", "a=2")
	s := w.stage(early)
	s.Later = &tardy{}
	stop := w.run(s)
	w.awaitStanding(2, 0)
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), bound)
	defer cancel()
	if err := w.stage(early).Run(ctx, w.process); fault.ClassOf(err) != fault.Fatal || !strings.Contains(err.Error(), "owed") {
		t.Errorf("got %v", err)
	}
	if at, owed := w.standing(); at != 2 || len(owed) != 1 {
		t.Errorf("%d are committed, and %v owed", at, owed)
	}
}
