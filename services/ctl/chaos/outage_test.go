package chaos

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/freshet-io/freshet/libs/record"
	"github.com/freshet-io/freshet/libs/telemetry"
)

// outageItems are changed in turn, for an hour in which the provider is away.
const outageItems = 59

// fresh is within what a change must be in the index: what its document waits for its vector, and what the stand-ins
// take, some tenths of a second.
const fresh = overtakeAfter + 3*time.Second

// TestOutage_anHourWithoutTheProviderDelaysNothingButVectors: prices and deletes reach the index meanwhile, the vector of
// the last text follows, no text is paid for twice, and one that was replaced meanwhile hardly ever. The embed service is
// told to stop in the middle of it: the next one goes on.
func TestOutage_anHourWithoutTheProviderDelaysNothingButVectors(t *testing.T) {
	if !virtual {
		t.Skip("SKIPPED without -tags synctests; `make test` runs it")
	}
	tel, err := telemetry.New(t.Context(), telemetry.Config{Exporter: "none"}, "chaos", "test")
	if err != nil {
		t.Fatal(err)
	}
	for name, how := range map[string]int32{"it answers 503": answers503, "it answers nothing": answersNothing} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { anHourWithoutTheProvider(t, tel, how) })
		})
	}
}

func anHourWithoutTheProvider(t *testing.T, tel *telemetry.Telemetry, how int32) {
	w := newWorld(t, &plan{seed: 1, partitions: 2}, tel)
	for _, service := range services {
		w.launch(service)
	}
	o := &longOutage{world: w}
	for i := range outageItems {
		o.change(i, good, fmt.Sprintf("text r%d 1", i))
	}
	w.settle(w.ctx)
	w.provider.away.Store(how)
	every := time.Second
	if underRace || testing.Short() {
		every *= 4
	}
	changes := int(time.Hour / every)
	for n := range changes {
		o.step(n, every)
		if n == changes/2 {
			w.halt(w.ctx, w.of("embed")[0])
			w.launch("embed")
			_ = wait(w.ctx, 2*sessionTimeout)
		}
	}
	w.provider.away.Store(0)
	w.settle(w.ctx)
	e := w.stopAll()
	for _, v := range append(w.found, judge(e)...) {
		t.Errorf("VIOLATION %s item=%s: %s", v.invariant, v.item, v.what)
	}
	o.judgePaid(how == answers503)
	t.Logf("%d changes in the outage, in the index after %s at most; %d were handed on without their vectors; %d texts were paid for",
		len(w.plan.changes)-outageItems, o.worst, o.pending(), len(w.provider.times))
}

// longOutage sends changes and looks after them.
type longOutage struct {
	*world
	seqs  [outageItems]int
	texts [outageItems]string
	worst time.Duration // from the change to the index
}

// change sends an item's next change.
func (o *longOutage) change(i int, f fate, text string) *change {
	o.seqs[i]++
	c := &change{item: fmt.Sprintf("r%d", i), seq: o.seqs[i], fate: f, text: text}
	o.texts[i] = text
	o.plan.changes = append(o.plan.changes, c)
	o.send(o.ctx, c)
	return c
}

// step is a moment of the outage. Of ten changes eight are of a price, one is of a text, and one deletes the item, which
// comes again.
func (o *longOutage) step(n int, lasts time.Duration) {
	i := n % outageItems
	next := o.seqs[i] + 1
	var c *change
	switch {
	case o.texts[i] == "", n%10 == 3:
		c = o.change(i, good, fmt.Sprintf("text r%d %d", i, next))
	case n%10 == 7:
		c = o.change(i, removed, "")
	default:
		c = o.change(i, good, o.texts[i])
	}
	took := time.Duration(0)
	for ; took < fresh && !o.arrived(c); took += fresh / 100 {
		_ = wait(o.ctx, fresh/100)
	}
	if o.worst = max(o.worst, took); took >= fresh {
		o.report("fresh", "change %d of %s (%s) is not in the index %s later", c.seq, c.item, c.fate, fresh)
	}
	_ = wait(o.ctx, lasts-took)
}

// arrived reports whether the index has a change, be it aside.
func (o *longOutage) arrived(c *change) bool {
	o.index.mu.Lock()
	defer o.index.mu.Unlock()
	s := o.index.joined(keyOf(c.item))
	if c.fate == removed {
		return !s.Live()
	}
	return s.Live() && seqOf(&s) >= c.seq
}

// judgePaid checks that no text was paid for twice, and where onlyLast is set, none of the outage that was not its item's
// last: one whose request is under way for a minute may be replaced meanwhile.
func (o *longOutage) judgePaid(onlyLast bool) {
	last := map[string]bool{}
	for i, text := range o.texts {
		last[text], last[fmt.Sprintf("text r%d 1", i)] = true, true
	}
	for text, n := range o.provider.times {
		if text == "freshet" {
			continue
		}
		if n != 1 || onlyLast && !last[text] {
			o.t.Errorf("%q was paid for %d times; an item's last text: %v", text, n, last[text])
		}
	}
}

// pending returns how often a document went to write without its vector.
func (o *longOutage) pending() (n int) {
	for _, l := range o.observed.records {
		if l.vector != nil && l.vector.GetState() == record.VectorState_VECTOR_STATE_PENDING {
			n++
		}
	}
	return n
}
