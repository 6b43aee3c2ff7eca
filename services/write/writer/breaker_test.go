package writer_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/freshet-io/freshet/libs/weaviate"
	"github.com/freshet-io/freshet/services/write/writer"
)

// Unwritable tells what the index was made to say.
func (f *fakeIndex) Unwritable(context.Context, string) (cause, err error) { return f.status, nil }

var errReadOnly = errors.New("shard x is READONLY")

// broken is an index that takes no writes until it is mended, behind a writer whose take-over is
// long past. told collects what the writer tells of it.
func broken(index writer.Index, fake *fakeIndex) (w *writer.Writer, told *[]string) {
	fake.interrupt, fake.status = func(int) failure { return silently }, errReadOnly
	told = new([]string)
	cfg := forgetful()
	cfg.Observe = func(_ context.Context, collection string, why error) {
		*told = append(*told, fmt.Sprintf("%s: %v", collection, why))
	}
	w = writer.New(index, cfg)
	time.Sleep(5 * time.Minute)
	return w, told
}

func mended(f *fakeIndex) { f.interrupt, f.status = nil, nil }

func TestBreaker_oneItemAtATimeUntilOneIsWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		index := newFake()
		w, told := broken(index, index)
		b := batch{row("a", 5, "lamp", 1), row("b", 6, "desk", 1), row("c", 7, "chair", 1)}
		for range 3 {
			if _, err := w.Handle(t.Context(), b); !errors.Is(err, errReadOnly) || !errors.Is(err, errInterrupted) {
				t.Fatalf("error %v: want what failed, and what the index says of it", err)
			}
		}
		mended(index)
		handle(t, w, b...)
		handle(t, w, row("a", 8, "stool", 1), row("b", 9, "table", 1))
		want := []string{
			"load 3", "put 3", // it fails
			"load 1", "put 1", "load 1", "put 1", // it is still broken
			"load 1", "put 1", "load 2", "put 2", // it is mended
			"load 2", "put 2",
		}
		if !slices.Equal(index.calls, want) {
			t.Errorf("calls %q, want %q", index.calls, want)
		}
		if got := strings.Join(*told, "\n"); strings.Count(got, "Product: shard x is READONLY (putting") != 3 || !strings.HasSuffix(got, "\nProduct: <nil>") || len(*told) != 4 {
			t.Errorf("told\n%s", got)
		}
	})
}

// A read-only shard answers reads: an item that is only read shows nothing.
func TestBreaker_anItemThatIsOnlyReadDoesNotCloseIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		index := newFake()
		handle(t, writer.New(index, forgetful()), row("a", 9, "lamp", 1))
		w, told := broken(index, index)
		b := batch{row("a", 5, "old", 1), row("b", 6, "desk", 1), row("c", 7, "chair", 1)}
		for range 2 {
			if _, err := w.Handle(t.Context(), b); err == nil {
				t.Fatal("the put was not interrupted")
			}
		}
		index.calls = nil
		mended(index)
		handle(t, w, b...)
		if want := []string{"load 1", "load 1", "put 1", "load 1", "put 1"}; !slices.Equal(index.calls, want) {
			t.Errorf("calls %q, want %q", index.calls, want)
		}
		if len(*told) != 3 {
			t.Errorf("told %q, want two faults and the end of them", *told)
		}
	})
}

// What comes again and stands in the index already is only searched for.
func TestBreaker_anItemThatIsOnlySearchedForDoesNotCloseIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		index := newFake()
		w, told := broken(index, index)
		mended(index)
		w.TakeOver()
		handle(t, w, row("a", 5, "lamp", 1))
		w.Again()
		index.interrupt = func(int) failure { return before }
		for _, b := range []batch{{row("b", 6, "desk", 1)}, {row("a", 5, "lamp", 1), row("b", 6, "desk", 1)}} {
			if _, err := w.Handle(t.Context(), b); err == nil {
				t.Fatal("the put was not interrupted")
			}
		}
		if got := strings.Join(*told, "\n"); len(*told) != 2 || strings.Contains(got, "<nil>") {
			t.Errorf("told\n%s\nwant two faults and no end of them", got)
		}
	})
}

// held is an index whose puts wait for their end.
type held struct {
	*fakeIndex
	begun, end chan struct{}
}

func (h *held) Put(ctx context.Context, collection string, objs []weaviate.Object) (map[int]error, error) {
	h.begun <- struct{}{}
	<-h.end
	return h.fakeIndex.Put(ctx, collection, objs)
}

func TestBreaker_othersMakeNoCallMeanwhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		index := &held{newFake(), make(chan struct{}), make(chan struct{})}
		w, _ := broken(index, index.fakeIndex)
		errs := make(chan error)
		for _, id := range []string{"a", "b", "c"} {
			go func() {
				_, err := w.Handle(t.Context(), batch{row(id, 5, id, 1), row(id+"2", 6, id, 1)})
				errs <- err
			}()
		}
		<-index.begun
		<-index.begun // the third waits for a place
		synctest.Wait()
		index.end <- struct{}{}
		index.end <- struct{}{}
		for range 3 {
			if err := <-errs; !errors.Is(err, errReadOnly) {
				t.Errorf("error %v, want the reason why nothing is written", err)
			}
		}
		if puts := countPuts(index.calls); puts != 2 {
			t.Errorf("calls %q: %d puts, want 2: a batch that had begun went on", index.calls, puts)
		}
		index.calls = nil
		go func() {
			_, err := w.Handle(t.Context(), batch{row("a", 5, "a", 1)})
			errs <- err
		}()
		<-index.begun
		if _, err := w.Handle(t.Context(), batch{row("b", 5, "b", 1)}); !errors.Is(err, errReadOnly) {
			t.Errorf("beside a probe: error %v", err)
		}
		index.end <- struct{}{}
		if err := <-errs; !errors.Is(err, errReadOnly) {
			t.Errorf("the probe: error %v", err)
		}
		if want := []string{"load 1", "put 1"}; !slices.Equal(index.calls, want) {
			t.Errorf("calls %q, want %q", index.calls, want)
		}
	})
}

func countPuts(calls []string) (n int) {
	for _, c := range calls {
		if strings.HasPrefix(c, "put ") {
			n++
		}
	}
	return n
}

// What says nothing of the index leaves the breaker closed: the partition went while the call ran.
func TestBreaker_anEndedPartitionSaysNothingOfTheIndex(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		index := newFake()
		w, told := broken(index, index)
		ctx, cancel := context.WithCancel(t.Context())
		index.interrupt = func(int) failure { cancel(); return before }
		if _, err := w.Handle(ctx, batch{row("a", 5, "lamp", 1)}); err == nil {
			t.Fatal("the put was not interrupted")
		}
		mended(index)
		index.calls = nil
		handle(t, w, row("a", 5, "lamp", 1), row("b", 6, "desk", 1))
		if want := []string{"load 2", "put 2"}; !slices.Equal(index.calls, want) || len(*told) > 0 {
			t.Errorf("calls %q, want %q; told %q", index.calls, want, *told)
		}
	})
}

// forgetful is a writer that reads each item each time, so that the calls can be counted.
func forgetful() writer.Config {
	cfg := config()
	cfg.Remembered = 0
	return cfg
}

// A whole batch that is put anew mends a vector index sooner than one item.
func TestBreaker_anItemThatIsWrittenAndNotFoundClosesIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		index := newFake()
		w, told := broken(index, index)
		b := batch{row("b", 6, "desk", 1), row("c", 7, "chair", 1)}
		if _, err := w.Handle(t.Context(), b); err == nil {
			t.Fatal("the put was not interrupted")
		}
		mended(index)
		index.blind = true
		for range 2 {
			if _, err := w.Handle(t.Context(), b); err == nil {
				t.Error("a batch that is not found is written")
			}
		}
		if len(*told) != 2 || !strings.HasSuffix((*told)[1], "<nil>") || !slices.Contains(index.calls, "put 2") {
			t.Errorf("told %q, calls %q", *told, index.calls)
		}
	})
}
