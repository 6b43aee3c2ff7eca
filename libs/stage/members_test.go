package stage

import (
	"context"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/freshet-io/freshet/libs/service"
)

type nothing struct{}

func (nothing) settle() error { return nil }
func (nothing) drop()         {}

// owner is a member whose batches run handle, with one partition to give and take.
type owner struct {
	*members
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
	m := newMembers(memberOptions{
		from: Source{Topics: []string{"t"}}, settings: settings, log: slog.New(slog.DiscardHandler), process: process,
		commit: func(context.Context, *kgo.Client, []commitment) error { return nil },
		storms: newStorms(false), places: new(service.Process).Places(), spawn: func(f func() error) { go func() { _ = f() }() },
	})
	return owner{m, client, map[string][]int32{"t": {0}}}
}

func (o owner) give(ctx context.Context) { o.assigned(ctx, o.client, o.parts) }

func (o owner) read() {
	o.mu.Lock()
	w := o.workers[o.key("t", 0)]
	o.mu.Unlock()
	w.push("t", [16]byte{}, 0, []*kgo.Record{{Topic: "t"}})
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
		o.mu.Lock()
		closed = o.closed
		o.mu.Unlock()
	}
	time.AfterFunc(50*time.Millisecond, func() { close(end) })
	release(o.take(o.parts), o.settings.Drain)
	if !ended.Load() {
		t.Error("the partition is given up while its batch is still being written")
	}
	<-down
}
