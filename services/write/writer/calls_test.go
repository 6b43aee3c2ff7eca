package writer_test

import (
	"bytes"
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/freshet-io/freshet/libs/fault"
	"github.com/freshet-io/freshet/libs/record"
	"github.com/freshet-io/freshet/libs/weaviate"
	"github.com/freshet-io/freshet/services/write/writer"
)

func TestHandleChangesNothingOfItsBatch(t *testing.T) {
	index := newFake()
	w := writer.New(index, config())
	b := batch{row("a", 5, "lamp", 1), row("a", 6, "desk", 1)}
	index.hidden = map[string]int{string(itemOf("a").Key()): 2} // so that it gets nonces
	handle(t, w, b...)
	if !bytes.Equal(b[0].GetVector(), vectorOf("lamp")) || !bytes.Equal(b[1].GetVector(), vectorOf("desk")) {
		t.Error("the records' vectors were changed")
	}
}

func TestPutsBeforeItDeletes(t *testing.T) {
	index := newFake()
	w := writer.New(index, config())
	handle(t, w, row("a", 5, "lamp", 1), remove("b", 4), pending("c", 3, "chair", 1))
	index.calls = nil
	handle(t, w, remove("a", 6), row("b", 7, "desk", 1), row("c", 8, "chair", 1))
	want := []string{"put side 1", "load 1", "put 2", "delete 1", "delete side 2"}
	if !slices.Equal(index.calls, want) {
		t.Errorf("calls %q, want %q", index.calls, want)
	}
}

func TestVectorsAreLoadedOnlyWhereTheyAreWritten(t *testing.T) {
	index := newFake()
	w := writer.New(index, config())
	handle(t, w, row("a", 5, "lamp", 1), row("b", 5, "desk", 1))
	index.calls = nil
	handle(t, w, row("a", 6, "lamp", 2), failed("b", 7))
	want := []string{"load 1", "put 2"}
	if !slices.Equal(index.calls, want) {
		t.Errorf("calls %q, want %q", index.calls, want)
	}
}

// gate is an index whose loads wait, to see how many are let in.
type gate struct {
	*fakeIndex
	mu      sync.Mutex
	in, top int
}

func (g *gate) Load(ctx context.Context, name string, items []record.Item, vectors bool) ([]weaviate.Stored, error) {
	g.mu.Lock()
	g.in++
	g.top = max(g.top, g.in)
	g.mu.Unlock()
	time.Sleep(time.Second)
	g.mu.Lock()
	g.in--
	g.mu.Unlock()
	return g.fakeIndex.Load(ctx, name, items, vectors)
}

func TestCallsInFlightAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &gate{fakeIndex: newFake()}
		w := writer.New(g, config())
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() { handle(t, w, row(string(rune('a'+i)), 5, "lamp", 1)) })
		}
		wg.Wait()
		if g.top != 2 {
			t.Errorf("%d calls at a time, want 2", g.top)
		}
	})
}

func TestATransientErrorGivesNoOutcome(t *testing.T) {
	index := newFake()
	index.interrupt = func(int) failure { return silently }
	outcomes, err := writer.New(index, config()).Handle(t.Context(), batch{row("a", 5, "lamp", 1), row("b", 6, "desk", 1)})
	if err == nil || outcomes != nil || fault.ClassOf(err) != fault.Transient {
		t.Errorf("outcomes %v, error %v: want a transient error alone", outcomes, err)
	}
}
