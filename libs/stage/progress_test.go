package stage

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/freshet-io/freshet/libs/fault"
)

func TestComesAgain_untilEachTopicIsPastWhatWasThereAtFirst(t *testing.T) {
	o := newOwner(t, func() {})
	o.from = Source{Topics: []string{"live", "bulk"}, CoPartitioned: true}
	w := newWorker(t.Context(), o.members, o.client, 0)
	push := func(topic string, from, to, end int64) {
		var records []*kgo.Record
		for offset := from; offset < to; offset++ {
			records = append(records, &kgo.Record{Topic: topic, Offset: offset})
		}
		w.push(topic, [16]byte{}, records, end)
	}
	work := func(want ...bool) {
		t.Helper()
		for i, want := range want {
			batch := w.next()
			w.begin(batch)
			if got := ComesAgain(w.ctx); got != want {
				t.Errorf("batch %d, which begins with %s %d: %t", i, batch[0].Topic, batch[0].Offset, got)
			}
			w.mark(batch, nil)
		}
	}
	w.own("live")
	w.own("bulk")
	if ComesAgain(w.ctx) || ComesAgain(t.Context()) {
		t.Error("where nothing was read, something comes again")
	}
	push("bulk", 0, 2, 12)
	push("live", 0, 25, 25)
	work(true, true, true) // the backlog in the live lane, and the first of what waits behind it
	push("live", 25, 35, 35)
	work(true) // new records pass what waits
	push("bulk", 2, 20, 20)
	work(true, false)
	push("live", 35, 45, 45)
	work(false)
	w.lower(map[string]int64{"bulk": 15})
	push("live", 45, 55, 55)
	work(true)
	push("bulk", 15, 35, 35)
	work(true, false)
}

func TestComesAgain_notWhereTheOwnerBeforeLeftNothingInFlight(t *testing.T) {
	for n, want := range map[note]bool{
		{Clean: true}: false, {Clean: true, Doubt: 1}: true, {Clean: true, byHand: true}: true, {Seal: "an ordinary commit"}: true, {Starts: 1}: true,
	} {
		o := newOwner(t, func() {})
		w := newWorker(t.Context(), o.members, o.client, 0)
		o.workers[o.key("t", 0)] = w
		w.own("t")
		o.tell("t", 0, kgo.EpochOffset{Offset: 3}, n)
		w.push("t", [16]byte{}, []*kgo.Record{{Topic: "t", Offset: 3}}, 9)
		if got := ComesAgain(w.ctx); got != want {
			t.Errorf("after %+v: %t, want %t", n, got, want)
		}
	}
}

// A note that Kafka never takes would have its partition wait for ever.
func TestMembers_aNoteThatIsTooLongIsFatal(t *testing.T) {
	o := newOwner(t, func() { t.Error("the batch is handled") })
	o.members.commit = func(context.Context, *kgo.Client, []commitment) error {
		return fmt.Errorf("committing: %w", kerr.OffsetMetadataTooLarge)
	}
	ends := make(chan error, 10)
	o.spawn = func(f func() error) { go func() { ends <- f() }() }
	o.give(t.Context())
	o.read()
	if err := <-ends; fault.ClassOf(err) != fault.Fatal || !strings.Contains(err.Error(), "offset.metadata.max.bytes") {
		t.Errorf("got %v, want a fatal fault that says what to do", err)
	}
	release(o.take(o.parts), 0)
}

// The keeper has a partition go back to what it was told, and to Kafka -1 is the end of the log: all that waits would be
// passed over.
func TestMembers_aKeeperIsToldOfNoOffsetThatNobodyKnows(t *testing.T) {
	o := newOwner(t, func() {})
	w := newWorker(t.Context(), o.members, o.client, 0)
	w.own("live")
	w.own("bulk")
	w.owned["live"].next.Offset = 0
	if now := w.progress(time.Now()).Now; len(now) != 1 || now["live"] != 0 {
		t.Errorf("it is told of %v, want live at 0 alone", now)
	}
}
