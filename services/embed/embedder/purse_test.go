package embedder

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/freshet-io/freshet/libs/fault"
	"github.com/freshet-io/freshet/libs/record"
	"github.com/freshet-io/freshet/libs/stage"
	"github.com/freshet-io/freshet/services/embed/provider"
)

// offers has a budget of 40 tokens a day, at 10 a text; products, the pipeline of the other documents, has none.
func offersBound(tokens float64) func(*Config) {
	return func(c *Config) {
		c.PricePerMillion, c.Currency, c.Budgets = 1e6, "tokens", map[string]float64{"offers": tokens}
		c.OvertakeAfter = 2 * time.Second
	}
}

func offer(d *record.Document) { d.Pipeline = "offers" }

// offers returns so many documents of the pipeline, each with a text of its own that is estimated as 10 tokens.
func offers(from, n int64) (batch []Input) {
	for i := from; i < from+n; i++ {
		batch = append(batch, upsert(fmt.Sprint("offer", i), fmt.Sprintf("%036d", i), 6+i, offer))
	}
	return batch
}

// member is a replica that keeps its ledger in a shared journal until stop.
func member(t *testing.T, shared *log, out *bytes.Buffer, change ...func(*Config)) (e *Embedder, stop func()) {
	t.Helper()
	e = newEmbedder(t, &charging{}, &fakeIndex{states: map[string]record.State{"Product/known": stored("shoe")}}, change...)
	j := &journal{shared: shared}
	if err := e.ledger.read(t.Context(), j); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = e.ledger.keep(ctx, j, slog.New(slog.NewTextHandler(out, nil)))
		_ = e.ledger.finish(ctx, j)
	}()
	return e, func() { cancel(); <-done }
}

// due returns the times before which nothing is handled again.
func due(outcomes []stage.Outcome[*record.Vector]) string {
	var times []string
	for _, o := range outcomes {
		if !o.NotBefore.IsZero() {
			times = append(times, o.NotBefore.Format("02 15:04:05"))
		}
	}
	return strings.Join(times, ", ")
}

func TestPurse_thatIsSpentStopsItsOwnTextsAloneUntilTheNextDay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		e, stop := member(t, &log{}, &out, offersBound(40))
		defer stop()
		expect(t, e, strings.TrimSpace(strings.Repeat("embedded:present ", 4)), 0, offers(0, 4)...)
		late := offers(4, 2)
		got := expect(t, e, "pending:pending… embedded:present reused:present deleted:none pending:pending…", 0,
			late[0], upsert("1", "boot", 20), upsert("known", "shoe", 21), remove("2", 22), late[1])
		if due(got) != "02 00:00:00, 02 00:00:00" || got[0].Out[0].GetDocument() != late[0].Document {
			t.Errorf("due %s: %v", due(got), got[0].Out)
		}
		time.Sleep(time.Minute)
		if said := e.ledger.pause(); said != "the embedding budget of pipeline offers is spent (40.0000 of 40.0000 tokens): 2 texts wait until 2000-01-02T00:00:00Z, or for a higher budgetPerDay in the pipeline file; nothing fails" {
			t.Errorf("readiness says %q", said)
		}
		if n := strings.Count(out.String(), "the embedding budget of the day is spent"); n != 1 || !strings.Contains(out.String(), "pipeline=offers spent=40.0000 budget=40.0000 currency=tokens until=2000-01-02T00:00:00.000Z") {
			t.Errorf("it says %d times\n%s", n, out.String())
		}
		if waiting := gauge(e, func(p purchase) float64 { return float64(p.waiting) }); waiting["offers"] != 2 || waiting[""] != 0 {
			t.Errorf("what waits is shown as %v", waiting)
		}
		expect(t, followers{e}, "pending… embedded:present", 0, late[0], upsert("3", "sock", 23)) // what is owed does not wait for it
		time.Sleep(24*time.Hour - time.Minute)
		expect(t, followers{e}, "embedded:present embedded:present", 0, late...)
		expect(t, e, "embedded:present", 0, offers(6, 1)...)
		if spent := gauge(e, func(p purchase) float64 { return float64(p.spent) }); e.ledger.pause() != "" || spent["offers"] != 30 || e.Counts().Texts != 9 {
			t.Errorf("on the new day: %q, %v spent, %d texts", e.ledger.pause(), spent, e.Counts().Texts)
		}
	})
}

// gauge returns what a gauge of the ledger shows, by pipeline.
func gauge(e *Embedder, value func(purchase) float64) map[string]float64 {
	shown := map[string]float64{}
	e.ledger.each(value)(func(v float64, labels ...string) { shown[strings.Join(labels[min(1, len(labels)):], "")] = v })
	return shown
}

func TestPurse_isThatOfAllReplicasAndOutlivesThemUntilItIsRaised(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared := &log{}
		var out bytes.Buffer
		a, stopA := member(t, shared, &out, offersBound(40))
		b, stopB := member(t, shared, &out, offersBound(40))
		expect(t, a, "embedded:present embedded:present", 0, offers(0, 2)...)
		expect(t, a, "embedded:present", 0, upsert("1", "boot", 40)) // another pipeline's money
		time.Sleep(2*keepEvery + time.Second)
		expect(t, b, "embedded:present embedded:present", 0, offers(2, 2)...)
		time.Sleep(2*keepEvery + time.Second)
		for name, e := range map[string]*Embedder{"the first": a, "the second": b} {
			if out, err := e.Handle(bounded(t), offers(4, 1)); err != nil || due(out) != "02 00:00:00" {
				t.Errorf("%s goes on though both together have spent the budget: %s, %v", name, summary(out), err)
			}
		}
		stopA()
		stopB()
		for budget, want := range map[float64]string{40: "02 00:00:00", 50: ""} {
			e, stop := member(t, shared, &out, offersBound(budget))
			if out, err := e.Handle(bounded(t), offers(4, 1)); err != nil || due(out) != want {
				t.Errorf("started again with a budget of %g: %s until %q, %v", budget, summary(out), due(out), err)
			}
			stop()
		}
	})
}

func TestPurse_isNotExceededWithinARequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		e, stop := member(t, &log{}, &out, offersBound(40))
		defer stop()
		batch := append(offers(0, 6), upsert("1", "boot", 30))
		got, err := e.Handle(bounded(t), batch)
		if err != nil || summary(got) != strings.Repeat("embedded:present ", 4)+"pending:pending… pending:pending… embedded:present" {
			t.Errorf("%s, %v", summary(got), err)
		}
		if due(got) != "01 00:00:15, 01 00:00:15" { // what was under way might have cost less
			t.Errorf("due %s", due(got))
		}
		time.Sleep(keepEvery)
		got, err = followers{e}.Handle(bounded(t), batch[4:6])
		if err != nil || due(got) != "02 00:00:00, 02 00:00:00" {
			t.Errorf("%s until %s, %v", summary(got), due(got), err)
		}
		if asked := e.batcher.halver.provider.(*charging).asked(); len(asked) != 1 || len(asked[0]) != 5 {
			t.Errorf("asked for %v", asked)
		}
	})
}

func TestPurse_aTextIsPaidByWhoeverHasMoney(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		e, stop := member(t, &log{}, &out, offersBound(40))
		defer stop()
		// Both are in the queue when the purse is found to be spent.
		e.batcher.wait = time.Second
		var all sync.WaitGroup
		all.Go(func() {
			expect(t, e, "embedded:present reused:present", time.Second, upsert("o", "boot", 7, offer), upsert("p", "boot", 8))
		})
		synctest.Wait()
		shut(e, "offers")
		all.Wait()
		expect(t, e, "reused:present", 0, upsert("o2", "boot", 9, offer)) // what is known costs nothing
		if spent := gauge(e, func(p purchase) float64 { return float64(p.spent) }); spent["offers"] != 0 || spent[""] != 10 {
			t.Errorf("spent is %v", spent)
		}
	})
}

// shut has a pipeline's budget be spent.
func shut(e *Embedder, pipeline string) {
	p := e.ledger.purses[pipeline]
	p.mu.Lock()
	defer p.mu.Unlock()
	p.shut = dayOf(time.Now())
}

func TestPurse_nobodyWaitsForAnothersPurse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		e, stop := member(t, &log{}, &out, offersBound(40), func(c *Config) { c.Budgets["others"] = 1 })
		defer stop()
		e.batcher.wait = time.Second
		var all sync.WaitGroup
		all.Go(func() {
			got := expect(t, e, "pending:pending… pending:pending…", time.Second, upsert("o", "boot", 7, offer), upsert("p", "boot", 8, func(d *record.Document) { d.Pipeline = "others" }))
			if due(got) != "02 00:00:00" || got[1].NotBefore != (time.Time{}) {
				t.Errorf("due %s", due(got))
			}
		})
		synctest.Wait()
		shut(e, "others")
		shut(e, "offers")
		all.Wait()
	})
}

// A row of a backfill, and a live one where OVERTAKE_AFTER is 0, would hold up those behind it.
func TestPurse_holdsUpNoBatchThatWouldWaitForItsVectors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEmbedder(t, &charging{}, &fakeIndex{}, offersBound(40), func(c *Config) { c.OvertakeAfter = 0 })
		e.ledger.purses["offers"].spend(40)
		for _, h := range []stage.Handler[Input, *record.Vector]{e, backfill{Embedder: e}} {
			got := expect(t, h, "pending:pending… embedded:present", 0, offers(0, 1)[0], upsert("1", fmt.Sprintf("boot for %T", h), 7))
			if due(got) != "02 00:00:00" {
				t.Errorf("due %s", due(got))
			}
		}
	})
}

// That every text is refused is found by one that is good, which must be asked for whatever is spent meanwhile.
func TestPurse_makesNoDeadLettersOfAProviderThatRefusesAll(t *testing.T) {
	for _, texts := range []int64{1, 6} { // of six, two are turned away
		e := newEmbedder(t, &charging{}, &fakeIndex{}, offersBound(40))
		e.batcher.halver.provider.(*charging).before = func(ctx context.Context, texts []string) error {
			if len(texts) == 1 {
				e.ledger.purses["offers"].spend(40)
			}
			return refuse(func([]string) bool { return true })(ctx, texts)
		}
		if _, err := e.Handle(t.Context(), offers(0, texts)); fault.ClassOf(err) != fault.Fatal {
			t.Errorf("%d texts: %v", texts, err)
		}
	}
}

func TestPurse_ofACallThatFailedIsFreeAgain(t *testing.T) {
	e := newEmbedder(t, &charging{fakeProvider: fakeProvider{before: func(context.Context, []string) error { return fault.Halt("no quota") }}}, &fakeIndex{}, offersBound(40))
	_, _ = e.Handle(t.Context(), offers(0, 3))
	if reserved := e.ledger.purses["offers"].reserved; reserved != 0 {
		t.Errorf("%d tokens are set aside for nothing", reserved)
	}
}

func TestPurse_wantsAPriceUnlessTheModelIsFree(t *testing.T) {
	for model, want := range map[string]bool{"model": false, "use-lite": true, "text-embedding-3-large": true} {
		cfg := settings()
		cfg.PricePerMillion, cfg.Budgets = -1, map[string]float64{"offers": 1}
		_, err := New(&fakeProvider{}, &fakeIndex{}, Space{Name: "s", Model: model, Dimensions: dims}, cfg)
		if (err == nil) != want || err != nil && !strings.Contains(err.Error(), "set FRESHET_EMBED_PRICE_PER_MILLION") {
			t.Errorf("%s: %v", model, err)
		}
	}
}

func TestPurse_isExactWhateverGoesAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEmbedder(t, &charging{}, &fakeIndex{}, offersBound(100))
		p := e.batcher.halver.provider.(*charging)
		p.before = func(context.Context, []string) error { time.Sleep(time.Second); return nil }
		e.batcher.size.Texts = 3
		var all sync.WaitGroup
		for i := range int64(5) {
			all.Go(func() {
				batch := append(offers(10*i, 5), upsert(strconv.FormatInt(i, 10), fmt.Sprint("text ", i), 7+i))
				got, err := e.Handle(provider.WithLane(bounded(t), provider.NewLane(i%2 == 0, nil)), batch)
				if err != nil || got[5].Label != Embedded {
					t.Errorf("%s, %v", summary(got), err)
				}
			})
		}
		all.Wait()
		paid := 0
		for _, texts := range p.asked() {
			paid += len(slices.DeleteFunc(texts, func(text string) bool { return strings.HasPrefix(text, "text") }))
		}
		if paid != 10 {
			t.Errorf("%d texts of 10 tokens were paid for, and the budget is 100", paid)
		}
	})
}
