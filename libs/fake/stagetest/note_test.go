package stagetest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/freshet-io/freshet/libs/service"
	"github.com/freshet-io/freshet/libs/stage"
)

// mortal is a stage in a process of its own that can end at any moment, as by kill -9:
// Kafka hears nothing of it from then on.
type mortal struct {
	dialer net.Dialer
	cancel context.CancelFunc
	ended  chan struct{}

	mu    sync.Mutex
	dead  bool
	conns []net.Conn
}

var errDead = errors.New("the process is dead")

// raise starts a stage whose handler is given the means to end its process. later may be nil.
func (w *world) raise(later stage.Handler[string, string], handle func(m *mortal, batch []string) ([]stage.Outcome[string], error)) *mortal {
	w.Helper()
	m := &mortal{ended: make(chan struct{})}
	s := w.stage(func(_ context.Context, batch []string) ([]stage.Outcome[string], error) { return handle(m, batch) })
	s.Later = later
	s.From.Cluster.Dial, s.To.Cluster.Dial = m.dial, m.dial
	s.Settings.Drain = time.Millisecond
	ctx, cancel := context.WithCancel(w.Context())
	m.cancel = cancel
	process := &service.Process{Name: "test", Log: w.process.Log, Telemetry: w.process.Telemetry, Health: service.NewHealth()}
	go func() {
		_ = s.Run(ctx, process) // whatever a dead process would say
		close(m.ended)
	}()
	w.Cleanup(cancel)
	return m
}

func (m *mortal) dial(ctx context.Context, network, address string) (net.Conn, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.dead {
		return nil, errDead
	}
	conn, err := m.dialer.DialContext(ctx, network, address)
	if err == nil {
		m.conns = append(m.conns, conn)
	}
	return conn, err
}

// die ends the process.
func (m *mortal) die() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.dead = true
	for _, c := range m.conns {
		_ = c.Close()
	}
	m.cancel()
}

// bury waits until the dead process is gone, and takes its place in the group away, as
// its session's end would.
func (w *world) bury(m *mortal) {
	w.Helper()
	<-m.ended
	groups, err := kadm.NewClient(w.client).DescribeGroups(w.Context(), w.group)
	if err != nil {
		w.Fatal(err)
	}
	leave := kmsg.NewPtrLeaveGroupRequest()
	leave.Group = w.group
	for _, member := range groups[w.group].Members {
		out := kmsg.NewLeaveGroupRequestMember()
		out.MemberID = member.MemberID
		leave.Members = append(leave.Members, out)
	}
	if _, err := leave.RequestWith(w.Context(), w.client); err != nil {
		w.Fatal(err)
	}
}

func TestStage_aRecordThatEndsTheProcessBecomesALetterAndNoInnocentOneDoes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var good []string
	for i := range 30 {
		good = append(good, fmt.Sprintf("k%d=%d", i, i))
	}
	w.send(good[:15]...)
	w.send("worst=1")
	w.send(good[15:]...)
	deaths := 0
	handle := func(m *mortal, batch []string) ([]stage.Outcome[string], error) {
		if slices.Contains(batch, "worst=1") {
			m.die()
			return nil, errDead
		}
		return copies(t.Context(), batch)
	}
	m := w.raise(nil, handle)
	for {
		select {
		case <-m.ended:
			if deaths++; deaths > 12 {
				t.Fatal("it loops for ever")
			}
			w.bury(m)
			m = w.raise(nil, handle)
			continue
		case <-time.After(50 * time.Millisecond):
		}
		if w.count(w.topics.DeadLetters()) > 0 && w.committed() == 31 {
			break
		}
	}
	m.cancel()
	<-m.ended
	letters := w.read(w.topics.DeadLetters(), 1)
	if got := headerOf(letters[0], stage.HeaderReason); len(letters) != 1 || got != "panic" || string(letters[0].Key) != "worst" {
		t.Errorf("%d letters, the first of %s for %s", len(letters), letters[0].Key, got)
	}
	if got := slices.Compact(values(w.read(w.topics.DocumentsLive(), 30))); !slices.Equal(got, slices.Sorted(slices.Values(good))) {
		t.Errorf("copied %v", got)
	}
	t.Logf("the process ended %d times", deaths)
}

func TestStage_cleanStopsAtOneOffsetRaiseNoSuspicion(t *testing.T) {
	w := newWorld(t)
	w.send("a=1", "b=1")
	for range 8 {
		began := make(chan struct{}, 4)
		stop := w.run(w.stage(func(context.Context, []string) ([]stage.Outcome[string], error) {
			began <- struct{}{}
			return nil, errors.New("away")
		}))
		<-began
		if err := stop(); err != nil {
			t.Fatal(err)
		}
	}
	sizes := make(chan int, 10)
	w.send("a=2", "a=3")
	w.run(w.stage(func(ctx context.Context, batch []string) ([]stage.Outcome[string], error) {
		sizes <- len(batch)
		return copies(ctx, batch)
	}))
	w.read(w.topics.DocumentsLive(), 4)
	if n := w.count(w.topics.DeadLetters()); n > 0 {
		t.Errorf("%d dead letters of a process that was only stopped", n)
	}
	close(sizes)
	for n := range sizes {
		if n > 1 {
			return
		}
	}
	t.Error("records are still worked on one by one")
}

func TestStage_aTopicThatCannotBeReadStopsTheStageAndStillDoesAfterARestart(t *testing.T) {
	w := newWorld(t)
	for i := range 40 {
		w.send(fmt.Sprintf("k%d=%d", i, i))
	}
	var bad []string
	for i := range 300 {
		bad = append(bad, fmt.Sprintf("k%d=malformed", i))
	}
	w.send(bad...)
	s := w.stage(copies)
	s.Settings.StormBreaker = true
	err := s.Run(t.Context(), w.process)
	if err == nil || !strings.Contains(err.Error(), "of source cannot be read") {
		t.Fatalf("got %v", err)
	}
	first := w.count(w.topics.DeadLetters())
	if first > 150 {
		t.Errorf("%d letters before it stopped", first)
	}
	for range 3 {
		s := w.stage(copies)
		s.Settings.StormBreaker = true
		if err := s.Run(t.Context(), w.process); err == nil {
			t.Fatal("it goes on")
		}
	}
	if again := w.count(w.topics.DeadLetters()); again > first {
		t.Errorf("three restarts wrote %d letters more", again-first)
	}
	// The pipeline file is mended: what was unreadable is read.
	mended := w.stage(copies)
	mended.Settings.StormBreaker = true
	mended.Decode = func(r stage.Record) (string, error) { return string(r.Key) + "=" + string(r.Value), nil }
	w.run(mended)
	w.read(w.topics.DocumentsLive(), 340-int(first))
}
