package writer_test

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/freshet-io/freshet/libs/record"
	"github.com/freshet-io/freshet/libs/telemetry"
	"github.com/freshet-io/freshet/services/write/writer"
)

// sampled is a writer whose sample has all items, and what the sample has told.
type sampled struct {
	*writer.Writer

	index  *fakeIndex
	sample *writer.Sample
	mu     sync.Mutex
	told   []telemetry.Freshness
	traces []string // of the exemplars; "" for none
}

func newSampled(t *testing.T, share float64) *sampled {
	t.Helper()
	s := &sampled{index: newFake()}
	s.sample = writer.NewSample(t.Context(), share, s.index, func(ctx context.Context, f telemetry.Freshness) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.told = append(s.told, f)
		s.traces = append(s.traces, telemetry.Traceparent(ctx))
	}, slog.New(slog.DiscardHandler))
	cfg := config()
	cfg.Sample = s.sample
	s.Writer = writer.New(s.index, cfg)
	return s
}

// write writes a row of item "a" that was committed three seconds ago.
func (s *sampled) write(t *testing.T, v *record.Vector) {
	t.Helper()
	v.Document.Origin = &record.Origin{CommittedAt: time.Now().Add(-3 * time.Second).UnixMicro()}
	s.measure(t, v, nil)
}

// measure writes a record, and has its freshness measured as the stage does.
func (s *sampled) measure(t *testing.T, v *record.Vector, told *telemetry.Trace) {
	t.Helper()
	outcomes, err := s.Handle(t.Context(), batch{v})
	if err != nil {
		t.Fatal(err)
	}
	if outcomes[0].Measured != nil {
		outcomes[0].Measured(told)
	}
}

// blind has searches find nothing, or find everything again.
func (s *sampled) blind(on bool) {
	s.index.mu.Lock()
	defer s.index.mu.Unlock()
	s.index.blind = on
}

func TestSample_theTimeUntilASearchFindsAnItemIsMeasuredAndHoldsUpNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSampled(t, 1)
		defer s.sample.Close()
		// So long after its start the writer does not search itself.
		time.Sleep(10 * time.Minute)
		s.blind(true)
		began := time.Now()
		s.write(t, row("a", 5, "lamp", 1))
		if time.Since(began) > 0 {
			t.Errorf("the write has waited %s for the search", time.Since(began))
		}
		time.Sleep(4*time.Second - time.Millisecond)
		s.blind(false)
		time.Sleep(10 * time.Second)
		s.mu.Lock()
		defer s.mu.Unlock()
		if len(s.told) != 1 || s.told[0].Age < 7*time.Second || s.told[0].Age > 9*time.Second || s.told[0].Outcome != writer.Written || s.told[0].Lane != telemetry.Live {
			t.Errorf("told %+v, want one item written, found 4 s after its write and so 7 s to 9 s after its commit", s.told)
		}
	})
}

func TestSample_itsExemplarIsTheTraceThatIsTold(t *testing.T) {
	tel, err := telemetry.New(t.Context(), telemetry.Config{Exporter: "otlp", SampleRatio: 1}, "test", "test") // nothing is exported
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tel.Close(t.Context()) }()
	begun := tel.Begin(nil, nil, nil, true)
	told := tel.Tell(&telemetry.Way{Identity: telemetry.Identity{Item: &begun}, Stamps: record.NewStamps(time.Now()), Ended: record.Written, At: time.Now(), Arrived: true})
	synctest.Test(t, func(t *testing.T) {
		s := newSampled(t, 1)
		defer s.sample.Close()
		time.Sleep(10 * time.Minute)
		for i, x := range []*telemetry.Trace{told, nil} {
			s.blind(true) // until the batch is over
			v := row([]string{"a", "b"}[i], 5, "lamp", 1)
			v.Document.Origin = &record.Origin{CommittedAt: time.Now().UnixMicro()}
			s.measure(t, v, x)
			s.blind(false)
			time.Sleep(time.Minute)
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		want := telemetry.Traceparent(told.Exemplar(t.Context()))
		if len(s.traces) != 2 || s.traces[0] != want || s.traces[1] != "" || want == "" {
			t.Errorf("the exemplars are %v, want %s of the item that is told, and none of the other", s.traces, want)
		}
	})
}

func TestSample_anItemThatIsNeverFoundIsLateAndOneThatWasChangedIsNot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSampled(t, 1)
		defer s.sample.Close()
		time.Sleep(10 * time.Minute)
		s.blind(true)
		s.write(t, bulk(row("a", 5, "lamp", 1)))
		s.write(t, bulk(row("a", 6, "desk", 1)))
		time.Sleep(2 * time.Minute)
		s.mu.Lock()
		defer s.mu.Unlock()
		if len(s.told) != 1 || s.told[0].Age < time.Minute || s.told[0].Outcome != writer.Unfound || s.told[0].Lane != telemetry.Bulk {
			t.Errorf("told %+v, want the newer one alone, as not found after more than a minute", s.told)
		}
	})
}

func TestSample_whatIsNotOfItIsNotSearchedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSampled(t, 0)
		time.Sleep(10 * time.Minute)
		s.write(t, row("a", 5, "lamp", 1))
		synctest.Wait()
		s.sample.Close()
		if s.index.searches > 0 {
			t.Errorf("%d searches", s.index.searches)
		}
	})
}

func TestSample_anItemIsNotCalledUnfoundWhileTheIndexDoesNotAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSampled(t, 1)
		defer s.sample.Close()
		time.Sleep(10 * time.Minute)
		s.blind(true)
		s.write(t, row("a", 5, "lamp", 1))
		s.index.mu.Lock()
		s.index.searchErr = errors.New("the index does not answer")
		s.index.mu.Unlock()
		time.Sleep(2 * time.Minute)
		s.mu.Lock()
		defer s.mu.Unlock()
		if len(s.told) != 1 || s.told[0].Age < time.Minute || s.told[0].Outcome != writer.Written {
			t.Errorf("told %+v, want one that is late, and not one that the index does not find", s.told)
		}
	})
}
