package embedder

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/freshet-io/freshet/libs/fault"
	"github.com/freshet-io/freshet/libs/record"
	"github.com/freshet-io/freshet/libs/stage"
)

// failing makes the provider fail, as with a server error, where bad is true.
func failing(bad func(texts []string) bool) func(context.Context, []string) error {
	return func(_ context.Context, texts []string) error {
		if bad(texts) {
			return &fault.Error{Status: 500, Err: errors.New("the provider answered 500")}
		}
		return nil
	}
}

func fifty(prefix string) []Input {
	var batch []Input
	for i := range 50 {
		batch = append(batch, upsert(fmt.Sprint(prefix, i), fmt.Sprintf("%s text %d", prefix, i), int64(i+10)))
	}
	return batch
}

// persist calls Handle as the stage does, at most so many times.
func persist(t *testing.T, e *Embedder, batch []Input, times int) ([]stage.Outcome[*record.Vector], int) {
	t.Helper()
	for n := range times {
		outcomes, err := e.Handle(t.Context(), batch)
		if err == nil {
			return outcomes, n + 1
		}
		if fault.ClassOf(err) != fault.Transient {
			t.Fatal(err)
		}
	}
	return nil, times
}

func TestTextThatAloneMakesTheProviderFailBecomesADeadLetterAndHoldsUpNobody(t *testing.T) {
	p := &fakeProvider{before: failing(func(texts []string) bool { return slices.Contains(texts, "b text 7") })}
	e := newEmbedder(t, p, &fakeIndex{})
	outcomes, tries := persist(t, e, fifty("b"), 100)
	if outcomes == nil {
		t.Fatal("the batch is held for ever")
	}
	for i, o := range outcomes {
		if i == 7 && fault.ReasonOf(o.Err) != fault.Exhausted || i != 7 && o.Label != Embedded && o.Label != Reused {
			t.Errorf("input %d: %s, %v", i, o.Label, o.Err)
		}
	}
	if n := len(p.asked()); n > 60 {
		t.Errorf("%d requests", n)
	}
	t.Logf("after %d tries and %d requests", tries, len(p.asked()))
}

func TestProviderThatIsAwayMakesNoTextADeadLetter(t *testing.T) {
	away := true
	p := &fakeProvider{before: failing(func([]string) bool { return away })}
	e := newEmbedder(t, p, &fakeIndex{})
	for _, batch := range [][]Input{fifty("a"), {upsert("x", "a lone text", 5)}} {
		if outcomes, _ := persist(t, e, batch, 50); outcomes != nil {
			t.Fatalf("outcomes of a provider that is away: %v", outcomes[0])
		}
	}
	if n := len(p.asked()); n > 300 {
		t.Errorf("%d requests for 100 tries", n)
	}
	away = false
	for _, batch := range [][]Input{fifty("a"), {upsert("x", "a lone text", 5)}} {
		outcomes, _ := persist(t, e, batch, 1)
		if outcomes == nil || outcomes[0].Label != Embedded {
			t.Fatal("it does not go on when the provider is back")
		}
	}
}

func TestProviderThatFailsAtRandomMakesNoTextADeadLetter(t *testing.T) {
	dice := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // a test's chance
	for _, percent := range []int{30, 50, 80, 95} {
		p := &fakeProvider{before: failing(func([]string) bool { return dice.IntN(100) < percent })}
		e := newEmbedder(t, p, &fakeIndex{}, func(c *Config) { c.InFlight = 1 })
		for n := range 20 {
			outcomes, _ := persist(t, e, fifty(fmt.Sprint(percent, "-", n, "-")), 10_000)
			for _, o := range outcomes {
				if o.Err != nil {
					t.Fatalf("with %d %% of requests failing: %v", percent, o.Err)
				}
			}
		}
	}
}

func TestRateLimitedTextIsNeverInDoubt(t *testing.T) {
	p := &fakeProvider{before: func(_ context.Context, texts []string) error {
		if slices.Contains(texts, "b text 7") {
			return &fault.Error{Status: 429, Err: errors.New("slow down")}
		}
		return nil
	}}
	e := newEmbedder(t, p, &fakeIndex{})
	if outcomes, _ := persist(t, e, fifty("b"), 30); outcomes != nil {
		t.Error("a rate limit has an outcome")
	}
	if n := len(p.asked()); n != 30 {
		t.Errorf("%d requests for 30 tries: a rate limit must not cost more of them", n)
	}
}
