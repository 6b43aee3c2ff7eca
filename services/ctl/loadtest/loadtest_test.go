package loadtest_test

import (
	"context"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/freshet-io/freshet/libs/fault"
	"github.com/freshet-io/freshet/services/ctl/loadtest"
	"github.com/freshet-io/freshet/services/embed/provider"
)

// standIn takes a millisecond more with each request, beginning at 1.
type standIn struct {
	mu    sync.Mutex
	asked int
	most  int // at once
	now   int
	texts map[string]bool
	fail  func(request int) error
}

func (s *standIn) embed(ctx context.Context, texts []string) (provider.Embeddings, error) {
	s.mu.Lock()
	s.asked++
	request := s.asked
	s.now++
	s.most = max(s.most, s.now)
	for _, text := range texts {
		s.texts[text] = true
	}
	s.mu.Unlock()
	defer func() { s.mu.Lock(); s.now--; s.mu.Unlock() }()
	select {
	case <-ctx.Done():
		return provider.Embeddings{}, ctx.Err()
	case <-time.After(time.Duration(request) * time.Millisecond):
	}
	if s.fail != nil {
		if err := s.fail(request); err != nil {
			return provider.Embeddings{}, err
		}
	}
	return provider.Embeddings{Tokens: int64(len(texts))}, nil
}

func run(t *testing.T, s *standIn, p loadtest.Plan) (levels []loadtest.Level, done int, err error) {
	t.Helper()
	s.texts = map[string]bool{}
	p.Text = strconv.Itoa
	var mu sync.Mutex
	levels, err = p.Run(t.Context(), s.embed, func() { mu.Lock(); done++; mu.Unlock() })
	return levels, done, err
}

func TestFiguresAreThoseOfTheRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &standIn{}
		// The first request takes 1 ms and does not count; the others take 2 to 101 ms.
		levels, done, err := run(t, s, loadtest.Plan{Concurrency: []int{1}, Requests: 100, Texts: 3})
		if err != nil || done != 101 || len(s.texts) != 303 || s.most != 1 {
			t.Fatalf("%v; %d requests, %d texts, %d at once", err, done, len(s.texts), s.most)
		}
		rate := 100 / (5150 * time.Millisecond).Seconds()
		ms := func(f float64) loadtest.Time { return loadtest.Time(f * float64(time.Millisecond)) }
		want := loadtest.Level{
			Concurrency: 1, Requests: 100, SuccessRate: 1, Tokens: 300,
			Mean: ms(51.5), P50: ms(52), P95: ms(97), P99: ms(101), Max: ms(101), Min: ms(2),
			RequestsPerSecond: rate, TextsPerSecond: rate * 3,
		}
		if levels[0] != want {
			t.Errorf("got  %+v\nwant %+v", levels[0], want)
		}
		text, err := json.Marshal(levels[0])
		if err != nil || !strings.Contains(string(text), `"mean_ms":51.500,`) || strings.Contains(string(text), "error") {
			t.Errorf("%v: %s", err, text)
		}
	})
}

func TestAsManyAreUnderWayAsALevelSays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &standIn{}
		plan := loadtest.Plan{Concurrency: []int{2, 30}, Requests: 10, Texts: 1}
		levels, done, err := run(t, s, plan)
		if err != nil || s.most != 30 || levels[0].Requests != 10 || levels[1].Requests != 30 || done != 41 || done != plan.Total() {
			t.Errorf("%v; %d at once, %d requests: %+v", err, s.most, done, levels)
		}
	})
}

func TestFailuresAreCountedAndNotTimed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &standIn{fail: func(request int) error {
			if request > 1 && request%2 == 0 {
				return errors.New("overloaded")
			}
			return nil
		}}
		levels, _, err := run(t, s, loadtest.Plan{Concurrency: []int{1}, Requests: 4, Texts: 1})
		got := levels[0]
		if err != nil || got.Failed != 2 || got.SuccessRate != 0.5 || got.Error != "overloaded" || got.Min != loadtest.Time(3*time.Millisecond) || got.Tokens != 2 {
			t.Errorf("%v: %+v", err, got)
		}
	})
}

func TestItStopsWhereGoingOnWouldOnlyCost(t *testing.T) {
	for name, tt := range map[string]struct {
		fail   func(int) error
		asked  int
		levels int
		err    string
	}{
		"the first request fails": {func(int) error { return errors.New("no route") }, 1, 0, "the first request: no route"},
		"a key is revoked":        {func(n int) error { return fatalFrom(n, 15) }, 15, 1, "revoked"},
		"a level has no success": {func(n int) error {
			if n > 11 {
				return errors.New("overloaded")
			}
			return nil
		}, 21, 2, "no request of 10 succeeded with 2 at once: overloaded"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &standIn{fail: tt.fail}
				levels, _, err := run(t, s, loadtest.Plan{Concurrency: []int{1, 2, 3}, Requests: 10, Texts: 1})
				// A caller beside may have asked once more when the other is told.
				if err == nil || err.Error() != tt.err || len(levels) != tt.levels || s.asked > tt.asked+1 {
					t.Errorf("%v after %d requests, %d levels", err, s.asked, len(levels))
				}
			})
		})
	}
}

func fatalFrom(request, first int) error {
	if request >= first {
		return fault.Halt("revoked")
	}
	return nil
}

func TestPlansThatCannotBeAreRefused(t *testing.T) {
	good := loadtest.Plan{Concurrency: []int{1, 200}, Requests: 1, Texts: 2048}
	if err := good.Check(); err != nil {
		t.Error(err)
	}
	for _, bad := range []loadtest.Plan{
		{Requests: 1, Texts: 1},
		{Concurrency: []int{1, 0}, Requests: 1, Texts: 1},
		{Concurrency: []int{10_001}, Requests: 1, Texts: 1},
		{Concurrency: []int{1}, Texts: 1},
		{Concurrency: []int{1}, Requests: 1},
		{Concurrency: []int{1}, Requests: 1, Texts: 2049},
	} {
		if bad.Check() == nil {
			t.Errorf("%+v passes", bad)
		}
	}
}
