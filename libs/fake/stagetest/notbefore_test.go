package stagetest

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/freshet-io/freshet/libs/stage"
)

// Records that may not be handled before a time are more than a batch holds, and stand before the one that may.
func TestStage_whatMayNotBeHandledYetIsPassedOver(t *testing.T) {
	w := newWorld(t)
	s := w.stage(func(_ context.Context, batch []string) ([]stage.Outcome[string], error) {
		out := make([]stage.Outcome[string], len(batch))
		for i, in := range batch {
			out[i] = stage.Later[string]("later")
			if strings.HasPrefix(in, "a=tomorrow") {
				out[i].NotBefore = time.Now().Add(24 * time.Hour)
			}
		}
		return out, nil
	})
	s.Later = handler(func(_ context.Context, batch []string) ([]stage.Outcome[string], error) {
		out := make([]stage.Outcome[string], len(batch))
		for i, in := range batch {
			if strings.HasPrefix(in, "a=tomorrow") {
				t.Errorf("%s is handled today", in)
			}
			out[i] = stage.Emit("late", in)
		}
		return out, nil
	})
	for i := range 3 * s.Settings.Items {
		w.send("a=tomorrow " + strconv.Itoa(i))
	}
	w.send("a=today")
	stop := w.run(s)
	if got := values(w.read(w.topics.DocumentsLive(), 1)); !slices.Equal(got, []string{"a=today"}) {
		t.Errorf("got %v", got)
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	if at, owed := w.standing(); at != int64(3*s.Settings.Items+1) || len(owed) != 3*s.Settings.Items {
		t.Errorf("%d committed, %v owed", at, owed)
	}
}

// One record has a time that comes while another, which stands before it, is tried without end; a third one gets its time
// only when it is handled again.
func TestStage_whatHasComeDueIsHandledBesideWhatStillFails(t *testing.T) {
	w := newWorld(t)
	var mu sync.Mutex
	postponed, goOn := false, false
	s := w.stage(func(_ context.Context, batch []string) ([]stage.Outcome[string], error) {
		out := make([]stage.Outcome[string], len(batch))
		for i, in := range batch {
			out[i] = stage.Later[string]("later")
			if in == "a=soon" {
				out[i].NotBefore = time.Now().Add(time.Second)
			}
		}
		return out, nil
	})
	s.Later = handler(func(_ context.Context, batch []string) ([]stage.Outcome[string], error) {
		mu.Lock()
		defer mu.Unlock()
		out := make([]stage.Outcome[string], len(batch))
		for i, in := range batch {
			switch {
			case in == "a=stuck" && !goOn:
				out[i] = stage.Later[string]("not yet")
			case in == "a=again" && !postponed:
				postponed = true
				out[i] = stage.Later[string]("not yet")
				out[i].NotBefore = time.Now().Add(time.Second)
			default:
				out[i] = stage.Emit("late", in)
			}
		}
		return out, nil
	})
	w.send("a=stuck", "a=soon", "a=again")
	stop := w.run(s)
	got := values(w.read(w.topics.DocumentsLive(), 2))
	if slices.Sort(got); !slices.Equal(got, []string{"a=again", "a=soon"}) {
		t.Errorf("got %v", got)
	}
	w.awaitStanding(3, 0)
	mu.Lock()
	goOn = true
	mu.Unlock()
	w.awaitStanding(3)
	if got := w.count(w.topics.DocumentsLive()); got != 3 {
		t.Errorf("%d were emitted, not 3", got)
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
}
