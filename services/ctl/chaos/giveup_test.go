package chaos

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/freshet-io/freshet/libs/service"
	"github.com/freshet-io/freshet/libs/stage"
	"github.com/freshet-io/freshet/libs/telemetry"
)

// offsets is a handler that notes what it is given, and cannot do the first of it.
type offsets struct {
	mu   sync.Mutex
	seen []int64
}

func (h *offsets) Handle(_ context.Context, batch []int64) ([]stage.Outcome[string], error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.seen = append(h.seen, batch...)
	if slices.Contains(batch, 0) {
		return nil, errors.New("the index is away")
	}
	return make([]stage.Outcome[string], len(batch)), nil
}

// Seed 660, reduced. write's handler puts into the index: where it does so for a batch
// behind one that was given up, a mark of a dead letter overtakes its item's row, and the
// row is dropped as out of order when it comes again.
func TestStage_handlesNothingBehindABatchThatWasGivenUp(t *testing.T) {
	if !virtual {
		t.Skip("SKIPPED without -tags synctests; `make test` runs it")
	}
	tel, err := telemetry.New(t.Context(), telemetry.Config{Exporter: "none"}, "chaos", "test")
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, &plan{seed: 1, partitions: 1}, tel)
		for n := range 3 {
			w.send(t.Context(), &change{item: "d0", seq: n + 1, text: "text"})
		}
		h := &offsets{}
		cfg := settings()
		cfg.Items = 1
		cluster := w.kafka(w.network.Host(latency), "reduced")
		s := &stage.Stage[int64, string]{
			Name: "reduced", Settings: cfg, Handler: h,
			From:     stage.Source{Cluster: cluster, Topics: []string{"shop.items"}, Group: "reduced"},
			To:       stage.Sink{Cluster: cluster, Topics: w.topics, Identity: w.identity},
			Decode:   func(r stage.Record) (int64, error) { return r.Offset, nil },
			Describe: func(int64) stage.Facts { return stage.Facts{} },
		}
		ctx, stop := context.WithCancel(t.Context())
		time.AfterFunc(20*time.Second, stop)
		if err := s.Run(ctx, &service.Process{Name: "reduced", Log: w.log, Telemetry: tel, Health: service.NewHealth()}); err != nil {
			t.Error(err)
		}
		if slices.ContainsFunc(h.seen, func(offset int64) bool { return offset > 0 }) {
			t.Errorf("offset 0 was given up, and the handler was given %v", slices.Compact(h.seen))
		}
		w.stopAll()
	})
}
