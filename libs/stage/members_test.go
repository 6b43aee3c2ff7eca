package stage

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/freshet-io/freshet/libs/fault"
	"github.com/freshet-io/freshet/libs/service"
)

type nothing struct{}

func (nothing) settle() ([]leftover, error) { return nil, nil }
func (nothing) told() []ended               { return nil }
func (nothing) drop()                       {}

// ledger keeps what is committed.
type ledger struct {
	mu  sync.Mutex
	all []commitment
}

func (l *ledger) commit(_ context.Context, _ *kgo.Client, all []commitment) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, all...)
	return nil
}

// last returns what was committed last for a partition.
func (l *ledger) last(partition int32) commitment {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range slices.Backward(l.all) {
		if c.partition == partition {
			return c
		}
	}
	return commitment{}
}

// owner is a member whose batches run handle, with one partition to give and take.
type owner struct {
	*members
	*ledger
	client *kgo.Client
	parts  map[string][]int32
}

func newOwner(t *testing.T, handle func()) owner {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers("127.0.0.1:1")) // nobody is there, and nobody is asked
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	settings := Settings{Items: 10, QueueRecords: 100, QueueBytes: 1 << 20, Drain: 5 * time.Second}
	process := func(tenure, []arrival) (verdict, error) {
		handle()
		return nothing{}, nil
	}
	l := &ledger{}
	m := newMembers(memberOptions{
		from: Source{Topics: []string{"t"}}, settings: settings, log: slog.New(slog.DiscardHandler), process: process,
		commit: l.commit,
		storms: newStorms(false), places: new(service.Process).Places(), spawn: func(f func() error) { go func() { _ = f() }() },
	})
	return owner{m, l, client, map[string][]int32{"t": {0}}}
}

func (o owner) give(ctx context.Context) { o.assigned(ctx, o.client, o.parts) }

func (o owner) worker(partition int32) *worker {
	o.members.mu.Lock()
	defer o.members.mu.Unlock()
	return o.workers[o.key("t", partition)]
}

func (o owner) read() { o.worker(0).push("t", [16]byte{}, []*kgo.Record{{Topic: "t"}}, 1) }

// giveUp has the partitions revoked, with a bound for what is in flight.
func (o owner) giveUp(ctx context.Context, bound time.Duration) {
	workers := o.take(o.parts)
	release(workers, bound)
	o.leave(ctx, o.client, workers)
}

func TestMembers_aThirdWorkerOfAPartitionWaitsForTheFirstWhichStillWrites(t *testing.T) {
	var running atomic.Int32
	began, end := make(chan struct{}, 2), make(chan struct{})
	o := newOwner(t, func() {
		if running.Add(1) > 1 {
			t.Error("two workers of one partition are in the handler at once")
		}
		began <- struct{}{}
		<-end // a put that is never cancelled
		running.Add(-1)
	})
	o.give(t.Context())
	o.read()
	<-began
	release(o.take(o.parts), 0) // lost
	o.give(t.Context())
	release(o.take(o.parts), 0) // lost once more, before the second worker could begin
	o.give(t.Context())
	o.read()
	select {
	case <-began:
		t.Error("the third worker has begun")
	case <-time.After(100 * time.Millisecond):
	}
	close(end)
	<-began
}

func TestMembers_aRevokeDuringTheShutdownWaitsForTheBatchInFlight(t *testing.T) {
	began, end := make(chan struct{}), make(chan struct{})
	var ended atomic.Bool
	o := newOwner(t, func() {
		close(began)
		<-end
		ended.Store(true)
	})
	o.give(t.Context())
	o.read()
	<-began
	down := make(chan struct{})
	go func() { o.shutdown(t.Context(), o.client); close(down) }()
	for closed := false; !closed; {
		o.members.mu.Lock()
		closed = o.closed
		o.members.mu.Unlock()
	}
	time.AfterFunc(50*time.Millisecond, func() { close(end) })
	release(o.take(o.parts), o.settings.Drain)
	if !ended.Load() {
		t.Error("the partition is given up while its batch is still being written")
	}
	<-down
}

func TestMembers_aRecordThatIsGivenUpIsNoneThatEndedTheProcess(t *testing.T) {
	began, end := make(chan struct{}), make(chan struct{})
	o := newOwner(t, func() { close(began); <-end })
	defer close(end)
	o.give(t.Context())
	before := `{"starts":3}`
	o.tell("t", 0, kgo.EpochOffset{Epoch: -1, Offset: 0}, parseNote(&before))
	o.read()
	<-began
	if n := o.last(0).note; n.Tries != 1 {
		t.Fatalf("while it is worked on the note is %+v", n)
	}
	o.giveUp(t.Context(), 10*time.Millisecond)
	if n := o.last(0).note; n.Tries != 0 || n.Clean {
		t.Errorf("the next owner is told %+v", n)
	}
}

func TestMembers_aStopCommitsNothingOfAPartitionThatWasGivenAwayMeanwhile(t *testing.T) {
	began, end := make(chan struct{}, 2), make(chan struct{})
	o := newOwner(t, func() { began <- struct{}{}; <-end })
	o.assigned(t.Context(), o.client, map[string][]int32{"t": {0, 1}})
	o.read() // stays with the handler
	<-began
	done := o.worker(1)
	done.mu.Lock()
	c := done.owned["t"]
	c.begun, c.next = true, kgo.EpochOffset{Epoch: -1, Offset: 500}
	done.mu.Unlock()
	down := make(chan struct{})
	go func() { o.shutdown(t.Context(), o.client); close(down) }()
	<-done.done
	taken := o.take(map[string][]int32{"t": {1}}) // a cooperative rebalance
	release(taken, time.Second)
	o.leave(t.Context(), o.client, taken)
	_ = o.commit(t.Context(), nil, []commitment{{"t", 1, kgo.EpochOffset{Epoch: -1, Offset: 1000}, note{}}}) // its next owner
	close(end)
	<-down
	if got := o.last(1); got.next.Offset != 1000 {
		t.Errorf("partition 1 is committed back to %d with note %+v", got.next.Offset, got.note)
	}
}

func TestMembers_aRevokeInTheMidstOfTheLastCommitWaitsForIt(t *testing.T) {
	o := newOwner(t, nil)
	o.give(t.Context())
	w := o.worker(0)
	w.mu.Lock()
	c := w.owned["t"]
	c.begun, c.next = true, kgo.EpochOffset{Epoch: -1, Offset: 500}
	w.mu.Unlock()
	revoked := make(chan struct{})
	var began atomic.Bool
	o.members.commit = func(ctx context.Context, client *kgo.Client, all []commitment) error {
		if !began.Swap(true) {
			go func() {
				o.giveUp(t.Context(), time.Second)
				_ = o.commit(t.Context(), nil, []commitment{{"t", 0, kgo.EpochOffset{Epoch: -1, Offset: 1000}, note{}}}) // its next owner
				close(revoked)
			}()
			select {
			case <-revoked: // it has not waited
			case <-time.After(100 * time.Millisecond):
			}
		}
		return o.commit(ctx, client, all)
	}
	o.shutdown(t.Context(), o.client)
	<-revoked
	if got := o.last(0); got.next.Offset != 1000 {
		t.Errorf("the next owner's commit is overwritten with %d and note %+v", got.next.Offset, got.note)
	}
}

func TestMembers_aCallThatHasJustFailedIsDoubtedByTheNextOwner(t *testing.T) {
	o := newOwner(t, nil)
	o.doubt = 90 * time.Second
	began := make(chan struct{}, 1)
	o.process = func(t tenure, _ []arrival) (verdict, error) {
		began <- struct{}{}
		if !t.sleep(time.Minute) { // as behind a put whose connection was reset
			return nil, errGivenUp
		}
		return nothing{}, nil
	}
	o.give(t.Context())
	o.read()
	<-began
	o.giveUp(t.Context(), 5*time.Second)
	if n := o.last(0).note; !n.Clean || n.Doubt == 0 {
		t.Errorf("the next owner is told %+v", n)
	}
}

func TestStorms_oneBadRecordAtTheHeadDoesNotStopAMendedStage(t *testing.T) {
	bad := map[bool]error{true: fault.Reject(fault.Malformed, "it is no JSON")}
	s := newStorms(true)
	s.expect("t")
	for i := range stormProbe {
		if err := s.see("t", bad[i < 4]); err != nil {
			t.Errorf("4 bad records of %d: %v", stormProbe, err)
		}
	}
	s = newStorms(true)
	s.expect("t")
	var err error
	for i := range stormProbe {
		err = s.see("t", bad[i >= 5])
	}
	if err == nil {
		t.Error("half of the first records is bad, and it goes on")
	}
}

func TestStorms_tellTheCommonestReasonOfTheLastRecords(t *testing.T) {
	s := newStorms(true)
	many := func(n int, outcome error) (err error) {
		for range n {
			err = s.see("t", outcome)
		}
		return err
	}
	// Long ago, and so no reason of what is now.
	if err := errors.Join(many(90, fault.Reject(fault.MissingID, "there is no id")), many(stormWindow, nil)); err != nil {
		t.Fatal(err)
	}
	price := fault.Reject(fault.FieldType, "field price is no number")
	if err := errors.Join(many(60, fault.Reject(fault.Malformed, "it is no JSON")), many(439, price)); err != nil {
		t.Fatal(err)
	}
	err := many(1, fault.Reject(fault.FieldType, "field stock is no number"))
	if err == nil || !strings.Contains(err.Error(), `500 of the last 1000 records of t cannot be read, most often as in "field-type: field stock is no number": the stage stops`) {
		t.Errorf("it says %v", err)
	}
}
