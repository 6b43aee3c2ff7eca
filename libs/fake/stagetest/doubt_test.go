package stagetest

import (
	"context"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/freshet-io/freshet/libs/stage"
)

// watched copies and tells what it was given.
func watched(to chan<- string) handler {
	return func(ctx context.Context, batch []string) ([]stage.Outcome[string], error) {
		for _, in := range batch {
			to <- in
		}
		return copies(ctx, batch)
	}
}

const doubt = 1500 * time.Millisecond

func (w *world) doubting(h handler) *stage.Stage[string, string] {
	s := w.stage(h)
	s.Doubt = doubt
	return s
}

func TestStage_commitsNothingAfterACrashUntilACallOfBeforeHasEndedAndWorksOnItAllAgain(t *testing.T) {
	w := newWorld(t)
	w.send("a=1", "a=2")
	m := w.raise(nil, func(m *mortal, _ []string) ([]stage.Outcome[string], error) {
		m.die() // its call may still be under way
		return nil, errDead
	})
	w.bury(m)
	seen := make(chan string, 100)
	start := time.Now()
	s := w.doubting(watched(seen))
	var assigned, twice atomic.Int64
	s.Assigned = func(...int32) { assigned.Add(1) }
	s.Again = func(...int32) { twice.Add(1) }
	stop := w.run(s)
	first := []string{<-seen, <-seen}
	if assigned.Load() != 1 || twice.Load() != 0 {
		t.Errorf("the handler was told of %d assignments, and %d times that it works once more", assigned.Load(), twice.Load())
	}
	w.send("a=3")
	first = append(first, <-seen)
	if n := w.committed(); n > 0 && time.Since(start) < doubt {
		t.Errorf("%d offsets are committed", n)
	}
	again := []string{<-seen, <-seen, <-seen}
	if took := time.Since(start); took < doubt {
		t.Errorf("it works once more after %s", took)
	}
	if want := []string{"a=1", "a=2", "a=3"}; !slices.Equal(first, want) || !slices.Equal(again, want) {
		t.Errorf("first %v, then %v", first, again)
	}
	if assigned.Load() != 1 || twice.Load() != 1 {
		t.Errorf("the handler was told of %d assignments, and %d times that it works once more", assigned.Load(), twice.Load())
	}
	w.send("a=4")
	if got := <-seen; got != "a=4" {
		t.Errorf("got %s", got)
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	if n := w.committed(); n != 4 {
		t.Errorf("%d offsets are committed", n)
	}
}

func TestStage_handsADoubtOnWithWhatIsLeftOfIt(t *testing.T) {
	w := newWorld(t)
	w.send("a=1")
	m := w.raise(nil, func(m *mortal, _ []string) ([]stage.Outcome[string], error) {
		m.die()
		return nil, errDead
	})
	w.bury(m)
	seen := make(chan string, 100)
	start := time.Now()
	for range 3 { // stopped cleanly, each time within the doubt
		stop := w.run(w.doubting(watched(seen)))
		<-seen
		if err := stop(); err != nil {
			t.Fatal(err)
		}
		if n := w.committed(); n > 0 && time.Since(start) < doubt {
			t.Errorf("%d offsets are committed", n)
		}
	}
	stop := w.run(w.doubting(watched(seen)))
	<-seen
	<-seen // once more
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	if n := w.committed(); n != 1 {
		t.Errorf("%d offsets are committed", n)
	}
}

func TestStage_doubtsNothingAfterACleanStop(t *testing.T) {
	w := newWorld(t)
	seen := make(chan string, 100)
	for _, line := range []string{"a=1", "a=2", "a=3"} {
		w.send(line)
		stop := w.run(w.doubting(watched(seen)))
		if got := <-seen; got != line {
			t.Errorf("got %s, want %s", got, line)
		}
		w.read(w.topics.DocumentsLive(), 1)
		if err := stop(); err != nil {
			t.Fatal(err)
		}
	}
	if n := w.committed(); n != 3 {
		t.Errorf("%d offsets are committed", n)
	}
}
