package stagetest

import (
	"context"
	"encoding/json"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/freshet-io/freshet/libs/fault"
	"github.com/freshet-io/freshet/libs/kafka"
	"github.com/freshet-io/freshet/libs/record"
	"github.com/freshet-io/freshet/libs/stage"
)

// early emits what can wait with a question mark, to be handled again, and copies the rest.
func early(_ context.Context, batch []string) ([]stage.Outcome[string], error) {
	out := make([]stage.Outcome[string], len(batch))
	for i, in := range batch {
		out[i] = stage.Emit("copied", in)
		if strings.Contains(in, "later") {
			out[i] = stage.Later("early", in+"?")
		}
	}
	return out, nil
}

// tardy is a Stage.Later that answers with an exclamation mark those inputs that are named, and nothing without a name.
type tardy struct {
	mu    sync.Mutex
	names []string
}

func (h *tardy) allow(names ...string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.names = append(h.names, names...)
}

func (h *tardy) Handle(_ context.Context, batch []string) ([]stage.Outcome[string], error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	out := make([]stage.Outcome[string], len(batch))
	done := false
	for i, in := range batch {
		out[i] = stage.Later[string]("not yet")
		if slices.Contains(h.names, in) {
			out[i], done = stage.Emit("late", in+"!"), true
		}
	}
	if !done {
		return nil, fault.Wait(0, "it is away")
	}
	return out, nil
}

// awaitStanding waits until the partition of key a is committed so far, and owes just that, by the note.
func (w *world) awaitStanding(committed int64, owed ...int64) {
	w.Helper()
	w.await(fmt.Sprintf("%d are committed and %v owed", committed, owed), func(context.Context) (bool, error) {
		at, noted := w.standing()
		return at == committed && slices.Equal(noted, owed), nil
	})
}

// standing returns how far the partition of key a is committed, and what it owes.
func (w *world) standing() (committed int64, owed []int64) {
	w.Helper()
	o := w.note(record.Partition([]byte("a"), sourcePartitions))
	var note struct{ Owed string }
	if err := json.Unmarshal([]byte(o.Metadata), &note); err != nil {
		return o.At, nil
	}
	owed, err := kafka.DecodeOwed(note.Owed)
	if err != nil {
		w.Fatal(err)
	}
	return o.At, owed
}

func TestStage_whatComesLaterHoldsNothingUpAndIsNotedUntilItHasCome(t *testing.T) {
	eachBroker(t, func(t *testing.T, w *world) {
		w.send("a=1", "a=later 2", "a=3", "a=later 4", "a=later 5", "a=6")
		late := &tardy{}
		s := w.stage(early)
		s.Later = late
		stop := w.run(s)
		got := values(w.read(w.topics.DocumentsLive(), 6))
		if want := []string{"a=1", "a=3", "a=6", "a=later 2?", "a=later 4?", "a=later 5?"}; !slices.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
		w.awaitStanding(6, 1, 3, 4)
		late.allow("a=later 4") // behind one that is still owed
		w.read(w.topics.DocumentsLive(), 7)
		w.awaitStanding(6, 1, 4)
		if err := stop(); err != nil {
			t.Fatal(err)
		}
		if n, owed := w.standing(); n != 6 || !slices.Equal(owed, []int64{1, 4}) {
			t.Errorf("%d offsets are committed, and %v owed", n, owed)
		}

		// The next one has only what is owed to handle, and what is new.
		late.allow("a=later 2")
		s = w.stage(early)
		s.Later = late
		stop = w.run(s)
		w.awaitStanding(6, 4)
		w.send("a=later 7", "a=8")
		w.awaitStanding(8, 4, 6)
		late.allow("a=later 5")
		w.awaitStanding(8, 6)
		late.allow("a=later 7")
		w.awaitStanding(8)
		if err := stop(); err != nil {
			t.Fatal(err)
		}
		got = values(w.read(w.topics.DocumentsLive(), 8+4))
		want := []string{
			"a=1", "a=3", "a=6", "a=8", "a=later 2!", "a=later 2?", "a=later 4!", "a=later 4?", "a=later 5!", "a=later 5?", "a=later 7!", "a=later 7?",
		}
		if slices.Sort(got); !slices.Equal(got, want) || w.count(w.topics.DocumentsLive()) != int64(len(want)) {
			t.Errorf("got %v, want %v", got, want)
		}
	})
}

// The second record is read for Later while its first handling is still under way, and is owed only then. What is owed
// meanwhile never ends, and must not starve it.
func TestStage_whatIsOwedIsHandledInItsOrder(t *testing.T) {
	w := newWorld(t)
	const n = 6
	first, second, goOn := make(chan struct{}), make(chan struct{}), make(chan struct{})
	s := w.stage(func(_ context.Context, batch []string) ([]stage.Outcome[string], error) {
		switch batch[0] {
		case "a=1":
			close(first)
			<-second
		case "a=2":
			close(second)
			<-goOn
		}
		return slices.Repeat([]stage.Outcome[string]{stage.Later[string]("later")}, len(batch)), nil
	})
	s.Flights = 2
	next, seen := 3, make(chan []string, n)
	s.Later = handler(func(_ context.Context, batch []string) ([]stage.Outcome[string], error) {
		if next == 3 {
			close(goOn)
		}
		if next <= n {
			w.send(fmt.Sprint("a=", next))
			next++
		}
		seen <- slices.Clone(batch)
		return slices.Repeat([]stage.Outcome[string]{stage.Skip[string]("done")}, len(batch)), nil
	})
	stop := w.run(s)
	w.send("a=1")
	<-first
	w.send("a=2")
	var got []string
	for len(got) < n {
		got = append(got, <-seen...)
	}
	if !slices.IsSorted(got) {
		t.Errorf("handled in the order %v", got)
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
}

func TestStage_leavesNothingForLaterThatNobodyWouldHandle(t *testing.T) {
	w := newWorld(t)
	w.send("a=later 1")
	ctx, cancel := context.WithTimeout(t.Context(), bound)
	defer cancel()
	if err := w.stage(early).Run(ctx, w.process); fault.ClassOf(err) != fault.Fatal || w.committed() != 0 {
		t.Errorf("%d committed, %v", w.committed(), err)
	}
}

// weighed is an input whose garbage collection is counted.
type weighed struct{ value string }

func TestStage_whatComesLaterIsKeptAsOffsets(t *testing.T) {
	w := newWorld(t)
	const n = 3000
	for range n {
		w.send("a=" + strings.Repeat("x", 1000))
	}
	var alive, most atomic.Int64
	plain := w.stage(nil)
	s := &stage.Stage[*weighed, string]{
		Name: plain.Name, From: plain.From, To: plain.To, Settings: plain.Settings, Flights: plain.Flights, Encode: plain.Encode,
		Describe: func(*weighed) stage.Facts { return stage.Facts{} },
		Decode: func(r stage.Record) (*weighed, error) {
			in := &weighed{string(r.Value)}
			alive.Add(1)
			runtime.AddCleanup(in, func(struct{}) { alive.Add(-1) }, struct{}{})
			return in, nil
		},
		Handler: handlerOf[*weighed](func(batch []*weighed) ([]stage.Outcome[string], error) {
			out := make([]stage.Outcome[string], len(batch))
			for i := range out {
				out[i] = stage.Later("early", "a=early")
			}
			return out, nil
		}),
		Later: handlerOf[*weighed](func(batch []*weighed) ([]stage.Outcome[string], error) {
			most.Store(max(most.Load(), int64(len(batch))))
			return nil, fault.Wait(0, "it is away")
		}),
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx, w.process) }()
	w.await("all of it is handed on", func(context.Context) (bool, error) { return w.count(w.topics.DocumentsLive()) == n, nil })
	// Batches that may be under way, and that of what is owed.
	w.await("the inputs are forgotten", func(context.Context) (bool, error) {
		runtime.GC()
		return alive.Load() <= int64((s.Flights+1)*s.Settings.Items), nil
	})
	w.await("what is owed is tried", func(context.Context) (bool, error) { return most.Load() == int64(s.Settings.Items), nil })
	stop()
	// More than a note holds: what it does not is read again.
	if err := <-done; err != nil {
		t.Error(err)
	}
	if at, owed := w.standing(); at < 1000 || at == n || int64(len(owed)) != at {
		t.Errorf("%d are committed, and %d of them owed", at, len(owed))
	}
	w.awaitAll(s, n)
}

// awaitAll runs such a stage until it has handled so many inputs again.
func (w *world) awaitAll(s *stage.Stage[*weighed, string], n int) {
	w.Helper()
	var again atomic.Int64
	next := *s // it runs once
	next.Later = handlerOf[*weighed](func(batch []*weighed) ([]stage.Outcome[string], error) {
		again.Add(int64(len(batch)))
		return slices.Repeat([]stage.Outcome[string]{stage.Skip[string]("done")}, len(batch)), nil
	})
	ctx, stop := context.WithCancel(w.Context())
	done := make(chan error, 1)
	go func() { done <- next.Run(ctx, w.process) }()
	w.awaitStanding(int64(n))
	stop()
	if err := <-done; err != nil || again.Load() != int64(n) {
		w.Errorf("%d of %d were handled again: %v", again.Load(), n, err)
	}
}

// handlerOf makes a handler of a function.
type handlerOf[In any] func([]In) ([]stage.Outcome[string], error)

func (h handlerOf[In]) Handle(_ context.Context, batch []In) ([]stage.Outcome[string], error) {
	return h(batch)
}

func TestStage_stopsWhereWhatIsOwedCannotBeReadAgain(t *testing.T) {
	w := newWorld(t)
	w.send("a=later 1", "a=2", "a=later 3", "a=4")
	partition := record.Partition([]byte("a"), 2)
	s := w.stage(early)
	s.Later = handler(func(context.Context, []string) ([]stage.Outcome[string], error) {
		t.Error("something could be read again")
		return nil, fault.Halt("stop")
	})
	var once sync.Once
	s.Handler = handler(func(ctx context.Context, batch []string) ([]stage.Outcome[string], error) {
		once.Do(func() {
			var gone kadm.Offsets
			gone.AddOffset(w.source, partition, 2, -1)
			if _, err := kadm.NewClient(w.client).DeleteRecords(ctx, gone); err != nil {
				t.Error(err)
			}
		})
		return early(ctx, batch)
	})
	ctx, cancel := context.WithTimeout(t.Context(), bound)
	defer cancel()
	if err := s.Run(ctx, w.process); fault.ClassOf(err) != fault.Fatal || !strings.Contains(err.Error(), "deleted before they were read") {
		t.Errorf("got %v", err)
	}
}
