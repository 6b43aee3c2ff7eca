package embedder

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/freshet-io/freshet/libs/fault"
)

// TestForce_isPaidForOnceHoweverOftenItsBatchIsTriedAgain: what it has brought since it came does for it, and nothing before.
func TestForce_isPaidForOnceHoweverOftenItsBatchIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newOutage(fault.Wait(0, "away"))
		p.spared = func(texts []string) bool { return !slices.Contains(texts, "sock") }
		e := newEmbedder(t, p, &fakeIndex{}, func(c *Config) { c.BatchItems = 1 })
		paid := func() (n int) {
			for _, texts := range p.asked() {
				if slices.Contains(texts, "shoe") {
					n++
				}
			}
			return n
		}
		for range 3 {
			time.Sleep(time.Second)
			_, _ = e.Handle(t.Context(), []Input{upsert("1", "shoe", 6, force), upsert("2", "sock", 7)})
		}
		if paid() != 1 {
			t.Errorf("paid %d times", paid())
		}
		time.Sleep(time.Second)
		expect(t, e, Embedded+":present", 0, upsert("1", "shoe", 8, force))
		if paid() != 2 {
			t.Errorf("another order is not obeyed: paid %d times", paid())
		}
	})
}

// Its document has gone on, and is handled again when the request has long landed.
func TestForce_isPaidForOnceWhereItsVectorCameLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newSlow(3 * time.Second)
		e := newEmbedder(t, p, &fakeIndex{}, overtaking)
		boot := upsert("1", "boot", 7, force)
		expect(t, e, "pending:pending…", 2*time.Second, boot)
		time.Sleep(time.Hour)
		expect(t, followers{e}, "reused:present", 0, boot)
	})
}
