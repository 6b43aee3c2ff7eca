package embedder

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/freshet-io/freshet/libs/fault"
	"github.com/freshet-io/freshet/libs/kafka"
	"github.com/freshet-io/freshet/libs/record"
	"github.com/freshet-io/freshet/libs/stage"
)

func overtaking(c *Config) { c.OvertakeAfter = 2 * time.Second }

// summary writes outcomes as words: the label, the state of the vector that is emitted, and whether more comes later.
func summary(outcomes []stage.Outcome[*record.Vector]) string {
	var words []string
	for _, o := range outcomes {
		parts := []string{o.Label}
		for _, v := range o.Out {
			parts = append(parts, strings.ToLower(strings.TrimPrefix(v.GetState().String(), "VECTOR_STATE_")))
		}
		word := strings.Join(parts, ":")
		if o.Later {
			word += "…"
		}
		words = append(words, word)
	}
	return strings.Join(words, " ")
}

// expect handles a batch and compares what becomes of it, and within which time.
func expect(t *testing.T, h stage.Handler[Input, *record.Vector], want string, within time.Duration, batch ...Input) []stage.Outcome[*record.Vector] {
	t.Helper()
	began := time.Now()
	outcomes, err := h.Handle(t.Context(), batch)
	if err != nil {
		t.Fatal(err)
	}
	if got := summary(outcomes); got != want || time.Since(began) != within {
		t.Errorf("%s after %s, not %s after %s", got, time.Since(began), want, within)
	}
	return outcomes
}

// outage is a provider that is silent, or fails, while it lasts.
type outage struct {
	fakeProvider
	mu     sync.Mutex
	err    error         // nil: silent
	over   chan struct{} // closed when it is
	ended  int           // requests that were given up
	spared func(texts []string) bool
}

func newOutage(err error) *outage {
	o := &outage{err: err, over: make(chan struct{})}
	o.before = func(ctx context.Context, texts []string) error {
		o.mu.Lock()
		over := o.over
		o.mu.Unlock()
		select {
		case <-over:
			return nil
		default:
		}
		switch {
		case o.spared != nil && o.spared(texts):
			return nil
		case o.err != nil:
			return o.err
		}
		select {
		case <-over:
			return nil
		case <-ctx.Done():
			o.mu.Lock()
			defer o.mu.Unlock()
			o.ended++
			return ctx.Err()
		}
	}
	return o
}

func TestOvertake_aProviderThatIsSilentDelaysPricesOnceAndIsPaidOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newOutage(nil)
		e := newEmbedder(t, p, &fakeIndex{states: map[string]record.State{"Product/known": stored("shoe")}}, overtaking)
		boot := upsert("1", "boot", 7)
		out := expect(t, e, "pending:pending… reused:present deleted:none", 2*time.Second, boot, upsert("known", "shoe", 8), remove("2", 9))
		v := out[0].Out[0]
		if v.GetVersion() != 7 || v.GetDocument() != boot.Document || len(v.GetVector()) > 0 || string(v.GetFingerprint()) != string(print16("boot")) {
			t.Errorf("what is handed on is %v", v)
		}
		expect(t, e, "reused:present pending:pending…", 0, upsert("known", "shoe", 10), upsert("3", "sock", 11)) // nothing waits any more
		expect(t, e, "pending:pending…", 0, upsert("4", "boot", 12))                                             // nor for what is under way
		var all sync.WaitGroup
		all.Go(func() {
			expect(t, followers{e}, "reused:present embedded:present reused:present", time.Hour, boot, upsert("3", "sock", 11), upsert("4", "boot", 12))
		})
		time.Sleep(time.Hour)
		close(p.over)
		all.Wait()
		if asked := p.asked(); len(asked) != 2 || !slices.Equal(asked[0], []string{"boot"}) || !slices.Equal(asked[1], []string{"sock"}) {
			t.Errorf("asked for %v", asked)
		}
		expect(t, e, "embedded:present", 0, upsert("5", "hat", 13))
	})
}

func TestOvertake_aProviderThatFailsDelaysNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newOutage(&fault.Error{Status: 503, After: 7 * time.Second, Err: errors.New("503")})
		e := newEmbedder(t, p, &fakeIndex{}, overtaking)
		expect(t, e, "pending:pending…", 0, upsert("1", "boot", 7))
		expect(t, e, "pending:pending…", 0, upsert("2", "sock", 8))
		if n := len(p.asked()); n != 1 {
			t.Errorf("%d requests while it is known to fail", n)
		}
		_, err := followers{e}.Handle(t.Context(), []Input{upsert("1", "boot", 7), upsert("2", "sock", 8)})
		if fault.ClassOf(err) != fault.Transient || fault.AfterOf(err) != 7*time.Second {
			t.Errorf("where nothing comes true it is tried again: %v", err)
		}
		close(p.over)
		expect(t, followers{e}, "embedded:present embedded:present", 0, upsert("1", "boot", 7), upsert("2", "sock", 8))
		expect(t, e, "embedded:present", 0, upsert("3", "hat", 9))
	})
}

// What the index has need not be handed on again, and what write asks for is no state.
func TestOvertake_handsOnOnlyWhatTheIndexHasNot(t *testing.T) {
	pending := stored("shoe")
	pending.Wanted = print16("boot")
	newer := stored("boot")
	newer.Base, newer.Sources = 9, record.Orders{"shop": {9}}
	states := map[string]record.State{"Product/pending": pending, "Product/old": stored("shoe"), "Product/newer": newer}
	for name, tt := range map[string]struct {
		in   Input
		want string
	}{
		"a new item":                          {upsert("new", "boot", 6), "pending:pending…"},
		"a new text":                          {upsert("old", "boot", 6), "pending:pending…"},
		"a row that is there without its own": {upsert("pending", "boot", 5), "pending…"},
		"a price of one that is there so":     {upsert("pending", "boot", 6), "pending:pending…"},
		"a row that was replaced":             {upsert("newer", "sock", 6), "stale"},
		"what write asks for":                 {input(record.Op_OP_COMPLETION_REQUEST, "pending", "boot", 6), "pending…"},
		"a row that lacks columns":            {input(record.Op_OP_PARTIAL, "old", "", 6), "passed:partial"},
		"an order to embed again":             {upsert("old", "shoe", 6, force), "pending:pending…"},
		"an order of which the row is there":  {upsert("old", "shoe", 5, force), "pending…"},
		"a text that is refused":              {upsert("old", " ", 6), "deadlettered:failed"},
	} {
		t.Run(name, func(t *testing.T) {
			p := newOutage(fault.Wait(0, "away"))
			e := newEmbedder(t, p, &fakeIndex{states: states}, overtaking)
			out, err := e.Handle(t.Context(), []Input{tt.in})
			if err != nil || summary(out) != tt.want {
				t.Errorf("%s, %v; want %s", summary(out), err, tt.want)
			}
		})
	}
}

func TestOvertake_someThatComeTrueDoNotWaitForOthers(t *testing.T) {
	p := newOutage(fault.Wait(0, "away"))
	p.spared = func(texts []string) bool { return !slices.Contains(texts, "bad") }
	e := newEmbedder(t, p, &fakeIndex{}, overtaking, func(c *Config) { c.BatchItems = 1 })
	batch := []Input{upsert("1", "good", 6), upsert("2", "bad", 7), upsert("3", "fine", 8)}
	for _, step := range []struct {
		h    stage.Handler[Input, *record.Vector]
		want string
	}{
		{e, "embedded:present pending:pending… embedded:present"},
		{followers{e}, "reused:present pending… reused:present"},
	} {
		out, err := step.h.Handle(t.Context(), batch)
		if got := summary(out); err != nil || got != step.want {
			t.Errorf("%s, %v; want %s", got, err, step.want)
		}
	}
}

// What was handed on must come true: write may refuse the later row.
func TestOvertake_nothingSupersedesWhatWasHandedOn(t *testing.T) {
	e := newEmbedder(t, &fakeProvider{}, &fakeIndex{}, overtaking)
	out, err := followers{e}.Handle(t.Context(), []Input{upsert("1", "boot", 6), upsert("1", "sock", 7)})
	if got := summary(out); err != nil || got != "embedded:present embedded:present" {
		t.Errorf("%s, %v", got, err)
	}
}

// The partition has moved since it was handed on: it is in the index as write has it, and the next owner reads both rows.
func TestOvertake_nothingSupersedesWhatAnOwnerBeforeHasHandedOn(t *testing.T) {
	pending := stored("shoe")
	pending.Wanted = print16("boot")
	e := newEmbedder(t, &fakeProvider{}, &fakeIndex{states: map[string]record.State{"Product/1": pending}}, overtaking)
	out, err := e.Handle(t.Context(), []Input{upsert("1", "boot", 5), upsert("1", "sock", 6), upsert("1", "hat", 7)})
	if got := summary(out); err != nil || got != "embedded:present superseded embedded:present" {
		t.Errorf("%s, %v", got, err)
	}
}

func TestOvertake_aFatalFaultStopsTheServiceAllTheSame(t *testing.T) {
	for _, again := range []bool{false, true} {
		e := newEmbedder(t, newOutage(fault.Halt("the key is revoked")), &fakeIndex{}, overtaking)
		var h stage.Handler[Input, *record.Vector] = e
		if again {
			h = followers{e}
		}
		if _, err := h.Handle(t.Context(), []Input{upsert("1", "boot", 6)}); fault.ClassOf(err) != fault.Fatal {
			t.Errorf("again %v: %v", again, err)
		}
	}
}

func TestOvertake_aSpentBudgetDelaysVectorsAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEmbedder(t, &charging{}, &fakeIndex{}, tight, overtaking)
		e.ledger.budget.spend(40)
		expect(t, e, "pending:pending…", 2*time.Second, upsert("1", "one", 6))
		expect(t, e, "pending:pending… deleted:none", 0, upsert("2", "two", 7), remove("3", 8))
		out, err := followers{e}.Handle(t.Context(), []Input{upsert("1", "one", 6), upsert("2", "two", 7)})
		if now := time.Now(); err != nil || summary(out) != "reused:present embedded:present" || now.Day() != 2 || e.Counts().Texts != 2 {
			t.Errorf("%s at %s, %d texts: %v", summary(out), now, e.Counts().Texts, err)
		}
	})
}

// TestOvertake_aTextThatAloneMakesTheProviderFailIsFound: nobody but what follows asks for it again.
func TestOvertake_aTextThatAloneMakesTheProviderFailIsFound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newOutage(&fault.Error{Status: 500, Err: errors.New("500")})
		p.spared = func(texts []string) bool { return !slices.Contains(texts, "bad") }
		e := newEmbedder(t, p, &fakeIndex{}, overtaking)
		owed := []Input{upsert("bad", "bad", 1)}
		expect(t, e, "pending:pending…", 0, owed[0])
		var letter error
		for i := 0; letter == nil && i < 500; i++ {
			in := upsert(strconv.Itoa(i), fmt.Sprint("good ", i), int64(i+2))
			out, err := e.Handle(t.Context(), []Input{in})
			if err != nil {
				t.Fatal(err)
			}
			if out[0].Later {
				owed = append(owed, in)
			}
			out, _ = followers{e}.Handle(t.Context(), owed)
			var rest []Input
			for j, o := range out {
				if o.Later {
					rest = append(rest, owed[j])
				} else if o.Err != nil {
					letter = o.Err
				}
			}
			if out != nil {
				owed = rest
			}
			time.Sleep(time.Second)
		}
		if fault.ReasonOf(letter) != fault.Exhausted || len(owed) != 0 {
			t.Errorf("%v, and %d are owed", letter, len(owed))
		}
	})
}

func TestOvertake_whatIsUnderWayEndsWithTheService(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newOutage(nil)
		e := newEmbedder(t, p, &fakeIndex{}, overtaking)
		expect(t, e, "pending:pending…", 2*time.Second, upsert("1", "boot", 7))
		e.Close()
		if p.ended != 1 {
			t.Error("a request that nobody waits for is still under way")
		}
	})
}

// TestOvertake_isOfTheLiveLane: a backfill's rows have time.
func TestOvertake_isOfTheLiveLane(t *testing.T) {
	e := newEmbedder(t, newOutage(fault.Wait(0, "away")), &fakeIndex{}, overtaking)
	live, bulk := NewStages(Settings{}, kafka.Identity{}, e)
	if live.Later == nil || bulk.Later == nil {
		t.Error("nobody would handle what an owner before has left")
	}
	if _, err := bulk.Handler.Handle(t.Context(), []Input{upsert("1", "boot", 7)}); fault.ClassOf(err) != fault.Transient || err == nil {
		t.Errorf("a backfill's row went on without its vector: %v", err)
	}
}

func TestIndexThatCannotBeAskedIsDoneWithoutWhereThatIsWanted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		without := func(c *Config) { c.WithoutIndex = true }
		e := newEmbedder(t, &fakeProvider{}, &fakeIndex{err: errors.New("connection refused")}, without)
		expect(t, e, "embedded:present", 0, upsert("1", "shoe", 6))
		expect(t, e, "reused:present", 0, upsert("1", "shoe", 7)) // what is remembered is used
		e = newEmbedder(t, &fakeProvider{}, &fakeIndex{err: fault.Halt("the key is revoked")}, without)
		if _, err := e.Handle(t.Context(), []Input{upsert("1", "shoe", 6)}); fault.ClassOf(err) != fault.Fatal {
			t.Errorf("got %v", err)
		}
	})
}
