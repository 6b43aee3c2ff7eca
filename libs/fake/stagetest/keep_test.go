package stagetest

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/freshet-io/freshet/libs/fault"
	"github.com/freshet-io/freshet/libs/record"
	"github.com/freshet-io/freshet/libs/stage"
)

// keeper says where partitions begin, and what is committed when it is called.
type keeper struct {
	mu        sync.Mutex
	starts    map[int32]stage.Start
	committed map[int32]stage.Committed // as it was told
	kept      chan stage.Progress
	keep      func(stage.Progress) stage.Start // may be nil
}

func (k *keeper) Resume(_ context.Context, committed map[int32]stage.Committed) (map[int32]stage.Start, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.committed = committed
	return k.starts, nil
}

func (k *keeper) Keep(_ context.Context, _ int32, p stage.Progress) (stage.Start, error) {
	k.kept <- p
	if k.keep != nil {
		return k.keep(p), nil
	}
	return stage.Start{Seal: "kept"}, nil
}

// keeping is a stage that a keeper looks after, and the partition of key a.
func (w *world) keeping(k *keeper, h handler) (s *stage.Stage[string, string], partition int32) {
	s = w.stage(h)
	s.From.CoPartitioned, s.Flights, s.Keeper = true, 1, k
	k.kept = make(chan stage.Progress, 100)
	return s, record.Partition([]byte("a"), sourcePartitions)
}

// note returns the offset and the metadata that the group has committed for a partition.
func (w *world) note(partition int32) kadm.Offset {
	w.Helper()
	offsets, err := kadm.NewClient(w.client).FetchOffsets(w.Context(), w.group)
	if err != nil && !errors.Is(err, kerr.GroupIDNotFound) { // it has none yet
		w.Fatal(err)
	}
	o, _ := offsets.Lookup(w.source, partition)
	return o.Offset
}

func TestStage_goesOnWhereItsKeeperSaysAndCommitsThatBeforeItIsKept(t *testing.T) {
	w := newWorld(t)
	w.send("a=1", "a=2", "a=3")
	seen := make(chan string, 100)
	first := &keeper{}
	s, p := w.keeping(first, watched(seen))
	first.starts = map[int32]stage.Start{p: {Seal: "first"}}
	stop := w.run(s)
	_, _, _ = <-seen, <-seen, <-seen
	w.await("it has committed by itself", func(context.Context) (bool, error) { return w.note(p).At == 3, nil })
	if got := w.note(p).Metadata; !strings.Contains(got, `"seal":"first"`) {
		t.Errorf("an ordinary commit says %s", got)
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}

	second := &keeper{}
	var atKeep kadm.Offset
	s, _ = w.keeping(second, watched(seen))
	second.starts = map[int32]stage.Start{p: {Seal: "first", Offsets: map[string]int64{w.source: 1}}}
	second.keep = func(stage.Progress) stage.Start { atKeep = w.note(p); return stage.Start{Seal: "second"} }
	stop = w.run(s)
	if again := []string{<-seen, <-seen}; !slices.Equal(again, []string{"a=2", "a=3"}) {
		t.Errorf("it works once more on %v", again)
	}
	if progress := <-second.kept; progress.Now[w.source] != 1 || progress.Settled != nil || atKeep.At != 1 {
		t.Errorf("it is kept at %v, and %d is committed", progress, atKeep.At)
	}
	w.await("it has committed the rest", func(context.Context) (bool, error) { return w.note(p).At == 3, nil })
	if got := w.note(p).Metadata; !strings.Contains(got, `"seal":"second"`) {
		t.Errorf("the new seal is not committed: %s", got)
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	second.mu.Lock()
	defer second.mu.Unlock()
	if got := second.committed[p][w.source]; got.Offset != 3 || got.Seal != "first" || got.ByHand {
		t.Errorf("its keeper was told of %+v", got)
	}
}

func TestStage_worksOnceMoreWhereItsKeeperWants(t *testing.T) {
	w := newWorld(t)
	w.send("a=1", "a=2", "a=3")
	seen := make(chan string, 100)
	k := &keeper{}
	s, p := w.keeping(k, watched(seen))
	// It is kept at once where it begins lower, and wants it lower still.
	k.starts = map[int32]stage.Start{p: {Offsets: map[string]int64{w.source: 0}}}
	once := sync.OnceValue(func() stage.Start { return stage.Start{Offsets: map[string]int64{w.source: 0}} })
	asked := 0
	k.keep = func(stage.Progress) stage.Start {
		if asked++; asked == 1 {
			return once()
		}
		return stage.Start{Seal: "kept"}
	}
	stop := w.run(s)
	<-k.kept
	<-k.kept
	w.await("all is committed", func(context.Context) (bool, error) { return w.note(p).At == 3, nil })
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	close(seen)
	var all []string
	for line := range seen {
		all = append(all, line)
	}
	if last := all[max(0, len(all)-3):]; !slices.Equal(last, []string{"a=1", "a=2", "a=3"}) {
		t.Errorf("it saw %v", all)
	}
}

func TestStage_stopsWhereItsKeeperSaysSoOrTheLogHasNotGotWhatItWants(t *testing.T) {
	w := newWorld(t)
	w.send("a=1", "a=2", "a=3")
	k := &keeper{}
	s, p := w.keeping(k, copies)
	stop := w.run(s)
	w.await("all is committed", func(context.Context) (bool, error) { return w.note(p).At == 3, nil })
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	upTo := kadm.Offsets{}
	upTo.AddOffset(w.source, p, 2, -1)
	if _, err := kadm.NewClient(w.client).DeleteRecords(t.Context(), upTo); err != nil {
		t.Fatal(err)
	}
	s, _ = w.keeping(k, copies)
	k.starts = map[int32]stage.Start{p: {Offsets: map[string]int64{w.source: 1}}}
	if err := s.Run(t.Context(), w.process); fault.ClassOf(err) != fault.Fatal || !strings.Contains(err.Error(), "outside the log") {
		t.Errorf("records that the index lost and the log, too: %v", err)
	}
}

// doomed is a keeper whose index was emptied.
type doomed struct{ *keeper }

func (doomed) Resume(context.Context, map[int32]stage.Committed) (map[int32]stage.Start, error) {
	return nil, fault.Halt("the index was emptied")
}

func TestStage_stopsWithoutACommitWhereItsKeeperRefuses(t *testing.T) {
	w := newWorld(t)
	w.send("a=1")
	s, _ := w.keeping(&keeper{}, copies)
	s.Keeper = doomed{}
	if err := s.Run(t.Context(), w.process); fault.ClassOf(err) != fault.Fatal || !strings.Contains(err.Error(), "emptied") {
		t.Errorf("got %v", err)
	}
	if n := w.committed(); n != 0 {
		t.Errorf("%d offsets are committed", n)
	}
}

func TestStage_tellsItsKeeperOfAnOffsetThatAPersonHasSet(t *testing.T) {
	w := newWorld(t)
	w.send("a=1", "a=2")
	k := &keeper{}
	seen := make(chan string, 10)
	s, p := w.keeping(k, watched(seen))
	offsets := kadm.Offsets{}
	offsets.AddOffset(w.source, p, 1, -1)
	if err := kadm.NewClient(w.client).CommitAllOffsets(t.Context(), w.group, offsets); err != nil {
		t.Fatal(err)
	}
	stop := w.run(s)
	if got := <-seen; got != "a=2" {
		t.Errorf("it begins with %s", got)
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if got := k.committed[p][w.source]; !got.ByHand || got.Offset != 1 {
		t.Errorf("its keeper was told of %+v", got)
	}
	if got := k.committed[1-p][w.source]; got.ByHand {
		t.Errorf("a start that the stage has pinned counts as set by hand: %+v", got)
	}
}
