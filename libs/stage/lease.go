package stage

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/freshet-io/freshet/libs/fault"
)

// lease tells for how long this member certainly owns its partitions: Kafka gives
// them to another only after a whole session without a heartbeat. It counts from when
// a heartbeat was sent, by the monotonic clock.
//
// A process that slept through its session wakes up in the midst of its work and
// would go on, until it learns that it was put out. What it must not do then is begin
// a call that changes what its successor has written, and what it must not do is commit. One that slept while it joined
// is taken in again under another id, and franz-go has it go on with what it had until its next assignment says
// otherwise: Kafka would take its commits, and its successor may be far ahead.
type lease struct {
	length time.Duration

	mu sync.Mutex
	// answered is when the heartbeat was sent that was answered last. The answer may be
	// that the member is unknown, which shows only by no heartbeat following: so it renews
	// the lease when the next one is sent.
	answered time.Time
	begun    time.Time // zero while there is none
	member   string    // the id that the last assignment was for
}

// newLease returns the lease of a session. A fifth of it is left for what lies between
// the look at the lease and the call.
func newLease(session time.Duration) *lease { return &lease{length: session - session/5} }

var _ interface {
	kgo.HookBrokerWrite
	kgo.HookBrokerE2E
} = (*lease)(nil)

// OnBrokerWrite implements kgo.HookBrokerWrite.
func (l *lease) OnBrokerWrite(_ kgo.BrokerMetadata, key int16, _ int, _, _ time.Duration, err error) {
	if err != nil || !heartbeat(key) {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.answered.After(l.begun) {
		l.begun = l.answered
	}
}

// OnBrokerE2E implements kgo.HookBrokerE2E.
func (l *lease) OnBrokerE2E(_ kgo.BrokerMetadata, key int16, e kgo.BrokerE2E) {
	if e.Err() != nil || !heartbeat(key) && key != kmsg.SyncGroup.Int16() {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.answered = time.Now().Add(-e.DurationE2E())
}

func heartbeat(key int16) bool {
	return key == kmsg.Heartbeat.Int16() || key == kmsg.ConsumerGroupHeartbeat.Int16()
}

// renew begins the lease with the answer that brought an assignment to a member of the group.
func (l *lease) renew(member string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.begun, l.member = l.answered, member
}

// mayCommit returns an error where a member commits what an assignment gave to another, its former self.
func (l *lease) mayCommit(member string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if member != l.member {
		return errors.New("the group has taken this member in under another id, and not yet said what is still its own")
	}
	return nil
}

func (l *lease) valid() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	// By the wall clock, too: the monotonic one may stand still with a machine that is paused.
	return time.Since(l.begun) < l.length && time.Now().Round(0).Sub(l.begun.Round(0)) < l.length
}

type leaseKey struct{}

func (l *lease) into(ctx context.Context) context.Context {
	return context.WithValue(ctx, leaseKey{}, l)
}

// Owned returns nil while the caller certainly owns the inputs that it was given with
// ctx, and a transient fault otherwise. A handler whose calls must not overtake those
// of another owner asks right before each of them. Without a stage there is no doubt.
func Owned(ctx context.Context) error {
	if l, ok := ctx.Value(leaseKey{}).(*lease); ok && !l.valid() {
		return fault.Wait(0, "Kafka has not confirmed for most of a session that this member owns its partitions")
	}
	return nil
}
