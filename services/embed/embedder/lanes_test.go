package embedder

import (
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/freshet-io/freshet/libs/kafka"
	"github.com/freshet-io/freshet/libs/record"
	"github.com/freshet-io/freshet/libs/stage"
	"github.com/freshet-io/freshet/services/embed/provider"
)

// TestLiveTextsDoNotWaitForABackfill: all requests that a backfill may have wait at the
// provider's limit, as the lane that each of them has tells it.
func TestLiveTextsDoNotWaitForABackfill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		waiting := map[*provider.Lane][]string{}
		limit := make(chan struct{})
		p := &fakeProvider{before: func(ctx context.Context, texts []string) error {
			lane := provider.LaneOf(ctx)
			if !lane.Bulk() {
				return nil
			}
			mu.Lock()
			waiting[lane] = texts
			mu.Unlock()
			<-limit
			return nil
		}}
		b := batcherOf(p, func(c *Config) { c.InFlight, c.BatchItems = 2, 1 })
		bulk := provider.WithLane(t.Context(), provider.BulkLane())
		var all sync.WaitGroup
		all.Go(func() {
			if answers, err := b.embed(bulk, numbered(0, 5)); err != nil || !allPassed(answers) {
				t.Errorf("%v, %v", answers, err)
			}
		})
		synctest.Wait()
		began := time.Now()
		if _, err := b.embed(t.Context(), numbered(100, 3)); err != nil || time.Since(began) > time.Second {
			t.Errorf("live texts waited %s: %v", time.Since(began), err)
		}

		// One that waits in the queue: it goes with the live ones.
		if _, err := b.embed(t.Context(), numbered(4, 1)); err != nil || time.Since(began) > time.Second {
			t.Errorf("a bulk text that a live caller asks for waited %s: %v", time.Since(began), err)
		}
		// One under way: its request becomes a live one.
		all.Go(func() { _, _ = b.embed(t.Context(), numbered(0, 1)) })
		synctest.Wait()
		live := 0
		for lane, texts := range waiting {
			if !lane.Bulk() {
				live++
				if texts[0] != "text 0" {
					t.Errorf("the request for %v became live", texts)
				}
			}
		}
		if live != 1 || len(waiting) != 2 {
			t.Errorf("%d of %d requests of the backfill became live", live, len(waiting))
		}
		close(limit)
		all.Wait()
		asked := map[string]int{}
		for _, texts := range p.asked() {
			for _, text := range texts {
				asked[text]++
			}
		}
		for text, n := range asked {
			if n != 1 {
				t.Errorf("%q was asked for %d times", text, n)
			}
		}
		if len(asked) != 8 || b.lanes[0].flying+b.lanes[1].flying != 0 {
			t.Errorf("%d texts asked for, %d and %d requests left", len(asked), b.lanes[0].flying, b.lanes[1].flying)
		}
	})
}

// TestStageOfTheBackfillSaysSo: the lanes differ by their handlers alone.
func TestStageOfTheBackfillSaysSo(t *testing.T) {
	var lanes []bool
	p := &fakeProvider{before: func(ctx context.Context, _ []string) error {
		lanes = append(lanes, provider.LaneOf(ctx).Bulk())
		return nil
	}}
	live, bulk := NewStages(Settings{}, kafka.Identity{}, newEmbedder(t, p, &fakeIndex{}))
	for i, handler := range []stage.Handler[Input, *record.Vector]{live.Handler, bulk.Handler} {
		if _, err := handler.Handle(t.Context(), []Input{upsert("1", []string{"a", "b"}[i], 1)}); err != nil {
			t.Fatal(err)
		}
	}
	if !slices.Equal(lanes, []bool{false, true}) {
		t.Errorf("bulk is %v", lanes)
	}
}
