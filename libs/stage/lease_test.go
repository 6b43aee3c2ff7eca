package stage

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// beat is a heartbeat that is sent and answered.
func (l *lease) beat() {
	l.OnBrokerWrite(kgo.BrokerMetadata{}, kmsg.Heartbeat.Int16(), 0, 0, 0, nil)
	l.OnBrokerE2E(kgo.BrokerMetadata{}, kmsg.Heartbeat.Int16(), kgo.BrokerE2E{})
}

func TestLease_endsForAProcessThatSleptThroughItsSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLease(10 * time.Second)
		if l.valid() {
			t.Error("it is valid before anything was assigned")
		}
		l.OnBrokerE2E(kgo.BrokerMetadata{}, kmsg.SyncGroup.Int16(), kgo.BrokerE2E{})
		l.renew("")
		for range 10 {
			time.Sleep(3 * time.Second)
			if !l.valid() {
				t.Fatal("it ends although every heartbeat is answered")
			}
			l.beat()
		}
		time.Sleep(11 * time.Second)
		if l.valid() {
			t.Error("it outlives the session")
		}
		// The first heartbeat after the sleep is answered with "unknown member", which its
		// answer's arrival does not show.
		l.beat()
		if l.valid() {
			t.Error("the answer to a heartbeat renews it, whatever it says")
		}
		if err := Owned(l.into(t.Context())); err == nil {
			t.Error("a handler is told that it owns its inputs")
		}
	})
}

func TestLease_countsFromWhenTheHeartbeatWasSentNotFromItsAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLease(10 * time.Second)
		time.Sleep(6 * time.Second) // the answer to it takes as long
		l.OnBrokerE2E(kgo.BrokerMetadata{}, kmsg.Heartbeat.Int16(), kgo.BrokerE2E{TimeToRead: 6 * time.Second})
		l.OnBrokerWrite(kgo.BrokerMetadata{}, kmsg.Heartbeat.Int16(), 0, 0, 0, nil)
		time.Sleep(3 * time.Second)
		if l.valid() {
			t.Error("nine of ten seconds after it was sent it is still valid")
		}
	})
}

// A member that slept while it joined is taken in again under another id, and has what it had until it is told otherwise.
func TestLease_commitsOnlyWhatWasAssignedUnderTheMembersPresentID(t *testing.T) {
	l := newLease(10 * time.Second)
	l.renew("first")
	if err := l.mayCommit("first"); err != nil {
		t.Error(err)
	}
	if l.mayCommit("second") == nil {
		t.Error("what the first was assigned may be committed by the second")
	}
	l.renew("second")
	if err := l.mayCommit("second"); err != nil {
		t.Error(err)
	}
}
