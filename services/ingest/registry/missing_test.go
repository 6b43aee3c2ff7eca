package registry_test

import (
	"errors"
	"fmt"
	"math"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/freshet-io/freshet/libs/fake/schemaregistry"
	"github.com/freshet-io/freshet/libs/fault"
	"github.com/freshet-io/freshet/services/ingest/registry"
	"github.com/freshet-io/freshet/services/ingest/wire"
)

// clock is one that a test moves.
type clock struct{ at time.Time }

func wound(r *registry.Registry) *clock {
	c := &clock{at: time.Date(2026, 11, 30, 0, 0, 0, 0, time.UTC)}
	r.Wind(func() time.Time { return c.at })
	return c
}

// waits asks for an id, waits as long as it is told to, and returns for how long in all, and the last answer.
func (c *clock) waits(t *testing.T, r *registry.Registry, id uint32) (waited time.Duration, err error) {
	t.Helper()
	for range 100 {
		_, err = r.Schema(t.Context(), id)
		if !errors.Is(err, wire.ErrNotYet) {
			return waited, err
		}
		waited += fault.AfterOf(err)
		c.at = c.at.Add(fault.AfterOf(err))
	}
	t.Fatal("it is waited for for ever")
	return 0, nil
}

func TestSchema_ofAnUnknownIDIsWaitedForAndThenRejectedForAWhile(t *testing.T) {
	server, url := start(t)
	r := open(t, "URL="+url)
	c := wound(r)
	asked := func(want int) {
		t.Helper()
		if n := server.Asked("/schemas/ids/8"); n != want {
			t.Errorf("asked %d times instead of %d", n, want)
		}
	}
	waited, err := c.waits(t, r, 8)
	if waited != 31*time.Second || fault.ReasonOf(err) != fault.UnknownSchema {
		t.Errorf("after %s: %v", waited, err)
	}
	asked(6)
	c.at = c.at.Add(4 * time.Second)
	if waited, err := c.waits(t, r, 8); waited != 0 || fault.ReasonOf(err) != fault.UnknownSchema {
		t.Errorf("after %s: %v", waited, err)
	}
	asked(6)
	c.at = c.at.Add(2 * time.Second) // and once more, without a wait
	if waited, err := c.waits(t, r, 8); waited != 0 || fault.ReasonOf(err) != fault.UnknownSchema {
		t.Errorf("after %s: %v", waited, err)
	}
	asked(7)
	c.at = c.at.Add(time.Hour)
	if waited, err := c.waits(t, r, 8); waited != 31*time.Second {
		t.Errorf("after %s: %v", waited, err)
	}
	server.Put(8, schemaregistry.Schema{Text: `"string"`})
	c.at = c.at.Add(6 * time.Second)
	if _, err := r.Schema(t.Context(), 8); err != nil {
		t.Error(err)
	}
}

func TestSchema_ofACopyThatLagsIsFound(t *testing.T) {
	server, url := start(t)
	r := open(t, "URL="+url)
	c := wound(r)
	began := c.at
	server.Have(func(http.ResponseWriter, *http.Request) bool {
		if c.at.Sub(began) >= 20*time.Second {
			server.Put(8, schemaregistry.Schema{Text: `"string"`})
		}
		return false
	})
	if waited, err := c.waits(t, r, 8); waited != 31*time.Second || err != nil {
		t.Errorf("after %s: %v", waited, err)
	}
}

// All partitions of a table that was altered have the new id at one time: that is one look, not many.
func TestSchema_askedForBySeveralAtOnceIsWaitedForNoShorter(t *testing.T) {
	const at = 12
	server, url := start(t)
	r := open(t, "URL="+url)
	c := wound(r)
	for range 3 {
		var all, answered sync.WaitGroup
		all.Add(at)
		server.Have(func(http.ResponseWriter, *http.Request) bool {
			all.Done()
			all.Wait()
			return false
		})
		for range at {
			answered.Go(func() {
				if _, err := r.Schema(t.Context(), 8); !errors.Is(err, wire.ErrNotYet) {
					t.Errorf("%v", err)
				}
			})
		}
		answered.Wait()
		_, err := r.Schema(t.Context(), 8)
		c.at = c.at.Add(fault.AfterOf(err))
	}
	server.Have(nil)
	if waited, err := c.waits(t, r, 8); waited != (8+16)*time.Second {
		t.Errorf("after %s more: %v", waited, err)
	}
}

// Keys that are somebody's bytes begin with a zero byte by chance.
func TestSchema_ofBytesThatAreNoID(t *testing.T) {
	server, url := start(t)
	r := open(t, "URL="+url)
	for _, id := range []uint32{math.MaxInt32 + 1, math.MaxUint32} {
		if _, err := r.Schema(t.Context(), id); fault.ReasonOf(err) != fault.UnknownSchema {
			t.Errorf("%v", err)
		}
		if n := server.Asked(fmt.Sprint("/schemas/ids/", id)); n != 0 {
			t.Errorf("asked %d times", n)
		}
	}
	c := wound(r)
	finds(t, r)
	for id := uint32(1000); id < 2200; id++ {
		waited, err := c.waits(t, r, id)
		if want := 31 * time.Second; id < 1008 && waited != want || id >= 1008 && waited != time.Second {
			t.Fatalf("%d after %s: %v", id, waited, err)
		}
	}
	finds(t, r)
	if n := server.Asked("/schemas/ids/7"); n != 1 {
		t.Errorf("a schema that is known was asked for %d times: bytes put it out", n)
	}
}
