package embedder

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/freshet-io/freshet/libs/record"
	"github.com/freshet-io/freshet/services/embed/provider"
)

func TestApportion_givesAwayAllAndToEachWithinOneOfItsShare(t *testing.T) {
	for seed := range uint64(2000) {
		r := rand.New(rand.NewPCG(seed, 0))
		total, weights := r.Int64N(300_000), make([]int64, 1+r.IntN(300))
		for i := range weights {
			weights[i] = 1 + r.Int64N(9000)
		}
		shares, whole := apportion(total, weights), sum(weights)
		if sum(shares) != total {
			t.Fatalf("seed %d: the shares of %d sum up to %d", seed, total, sum(shares))
		}
		for i, s := range shares {
			if exact := float64(total) * float64(weights[i]) / float64(whole); float64(s) <= exact-1 || float64(s) >= exact+1 {
				t.Fatalf("seed %d: a share of %f is %d", seed, exact, s)
			}
		}
	}
	for want, weights := range map[string][]int64{
		"[2 3 5]": {1, 2, 3}, // 1.67, 3.33, 5
		"[2 2 6]": {1, 1, 4}, // 1.67, 1.67, 6.67: the first of equal ones
	} {
		if got := apportion(10, weights); fmt.Sprint(got) != want {
			t.Errorf("%v, want %s", got, want)
		}
	}
}

// charging charges ten tokens a text, or does not say.
type charging struct {
	fakeProvider
	silent bool
	lame   bool // its answer lacks a vector
}

func (p *charging) Embed(ctx context.Context, texts []string) (provider.Embeddings, error) {
	got, err := p.fakeProvider.Embed(ctx, texts)
	got.Tokens = int64(10 * len(texts))
	if p.silent {
		got.Tokens = 0
	}
	if p.lame {
		got.Vectors = got.Vectors[1:]
	}
	return got, err
}

// journal is one that several replicas share. Each has its own place.
type journal struct {
	shared *log
	read   int
}

type log struct {
	mu   sync.Mutex
	puts []*record.Cost
	err  error
}

func (j *journal) Put(_ context.Context, costs []*record.Cost) error {
	j.shared.mu.Lock()
	defer j.shared.mu.Unlock()
	if j.shared.err == nil {
		j.shared.puts = append(j.shared.puts, costs...)
	}
	return j.shared.err
}

func (j *journal) Read(context.Context) ([]*record.Cost, error) {
	j.shared.mu.Lock()
	defer j.shared.mu.Unlock()
	news := j.shared.puts[j.read:]
	j.read = len(j.shared.puts)
	return news, nil
}

// kept returns the tokens that the last entry of each key has, by hour, pipeline and tenant.
func (l *log) kept() map[string]record.Tokens {
	last := map[string]*record.Cost{}
	for _, c := range l.puts {
		last[c.Key()] = c
	}
	kept := map[string]record.Tokens{}
	for _, c := range last {
		for tenant, tokens := range c.Tenants {
			at := c.Hour.Format("15:04") + " " + c.Pipeline + "/" + tenant
			kept[at] = kept[at].Plus(tokens)
		}
	}
	return kept
}

// bounded is a context that ends what would wait for ever. In virtual time that is soon.
func bounded(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Hour)
	t.Cleanup(cancel)
	return ctx
}

func handle(t *testing.T, e *Embedder, in ...Input) {
	t.Helper()
	if _, err := e.Handle(bounded(t), in); err != nil {
		t.Fatal(err)
	}
}

func tenant(name string) func(*record.Document) {
	return func(d *record.Document) { d.Tenant = name }
}

func TestLedger_saysWhatWasPaidPaidAgainAndSaved(t *testing.T) {
	const known = 2 // tokens of "shoe", estimated
	reject := refuse(func(texts []string) bool { return len(texts) > 1 })
	states := map[string]record.State{"Product/1": stored("shoe")}
	for name, tt := range map[string]struct {
		batches [][]Input
		cache   int
		before  func(context.Context, []string) error
		want    map[string]record.Tokens
	}{
		"a new text is paid for":                      {batches: [][]Input{{upsert("2", "boot", 6)}}, want: map[string]record.Tokens{"products/": {Paid: 10}}},
		"a known vector is saved":                     {batches: [][]Input{{upsert("1", "shoe", 6)}}, want: map[string]record.Tokens{"products/": {Saved: known}}},
		"by order it is paid for again":               {batches: [][]Input{{upsert("1", "shoe", 6, force)}}, want: map[string]record.Tokens{"products/": {Paid: 10, Again: 10}}},
		"by order, what nobody knew is paid for once": {batches: [][]Input{{upsert("2", "boot", 6, force)}}, want: map[string]record.Tokens{"products/": {Paid: 10}}},
		"what was forgotten is paid for again":        {batches: [][]Input{{upsert("2", "boot", 6)}, {upsert("3", "boot", 7)}}, want: map[string]record.Tokens{"products/": {Paid: 20, Again: 10}}},
		"what is remembered is saved":                 {cache: 1 << 20, batches: [][]Input{{upsert("2", "boot", 6)}, {upsert("3", "boot", 7)}}, want: map[string]record.Tokens{"products/": {Paid: 10, Saved: known}}},
		"one text of two tenants is paid for by the first": {
			batches: [][]Input{{upsert("2", "boot", 6, tenant("a")), upsert("3", "boot", 7, tenant("b")), upsert("4", "sock", 8, tenant("b"))}},
			want:    map[string]record.Tokens{"products/a": {Paid: 10}, "products/b": {Paid: 10, Saved: known}},
		},
		"the halves of a refused batch are paid for, and the batch is not": {
			batches: [][]Input{{upsert("2", "boot", 6, tenant("a")), upsert("3", "sock", 7, tenant("b"))}}, before: reject,
			want: map[string]record.Tokens{"products/a": {Paid: 10}, "products/b": {Paid: 10}},
		},
		"who is refused pays for the question whether all are": {
			batches: [][]Input{{upsert("2", "boot", 6, tenant("a"))}}, before: refuse(func(texts []string) bool { return texts[0] == "boot" }),
			want: map[string]record.Tokens{"products/a": {Paid: 10}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := &charging{fakeProvider: fakeProvider{before: tt.before}}
				e := newEmbedder(t, p, &fakeIndex{states: states}, func(c *Config) { c.CacheBytes = tt.cache })
				for _, batch := range tt.batches {
					handle(t, e, batch...)
				}
				j := &journal{shared: &log{}}
				if err := e.ledger.finish(t.Context(), j); err != nil {
					t.Fatal(err)
				}
				want := map[string]record.Tokens{}
				for at, tokens := range tt.want {
					want["00:00 "+at] = tokens
				}
				if got := j.shared.kept(); !maps.Equal(got, want) {
					t.Errorf("%v, want %v", got, want)
				}
			})
		})
	}
}

func TestLedger_countsWhatIsSavedOnceHoweverOftenABatchIsTried(t *testing.T) {
	p := &charging{fakeProvider: fakeProvider{before: func(context.Context, []string) error { return errors.New("away") }}}
	e := newEmbedder(t, p, &fakeIndex{states: map[string]record.State{"Product/1": stored("shoe")}})
	batch := []Input{upsert("1", "shoe", 6), upsert("2", "boot", 7)}
	for range 3 {
		if _, err := e.Handle(t.Context(), batch); err == nil {
			t.Fatal("it passes")
		}
	}
	p.before = nil
	handle(t, e, batch...)
	if c := e.Counts(); c.ReusedTokens != 2 || c.Reused != 1 || c.Tokens != 10 {
		t.Errorf("%+v", c)
	}
}

func TestLedger_countsAnAnswerOfNoUseAsPaidAndTheNextOneAsPaidAgain(t *testing.T) {
	p := &charging{lame: true}
	e := newEmbedder(t, p, &fakeIndex{})
	if _, err := e.Handle(t.Context(), []Input{upsert("1", "shoe", 6)}); err == nil {
		t.Fatal("it passes")
	}
	p.lame = false
	handle(t, e, upsert("1", "shoe", 6))
	if c := e.Counts(); c.Tokens != 20 || c.AgainTokens != 10 {
		t.Errorf("%+v", c)
	}
}

func TestLedger_isEstimatedWhereTheProviderDoesNotSay(t *testing.T) {
	e := newEmbedder(t, &charging{silent: true}, &fakeIndex{})
	handle(t, e, upsert("1", strings.Repeat("x", 400), 6))
	if got := e.Counts().Tokens; got != 101 {
		t.Errorf("%d tokens", got)
	}
}

func TestLedger_isWrittenByHourAndWhatCouldNotBeIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEmbedder(t, &charging{}, &fakeIndex{})
		ctx, stop := context.WithCancel(t.Context())
		j := &journal{shared: &log{err: errors.New("Kafka is away")}}
		var out bytes.Buffer
		var all sync.WaitGroup
		all.Go(func() { _ = e.ledger.keep(ctx, j, slog.New(slog.NewTextHandler(&out, nil))) })
		handle(t, e, upsert("1", "shoe", 6))
		time.Sleep(keepEvery + time.Second)
		j.shared.mu.Lock()
		j.shared.err = nil
		j.shared.mu.Unlock()
		time.Sleep(time.Hour)
		handle(t, e, upsert("2", "boot", 7))
		time.Sleep(keepEvery)
		handle(t, e, upsert("3", "sock", 8))
		stop()
		all.Wait()
		if err := e.ledger.finish(ctx, j); err != nil {
			t.Fatal(err)
		}
		want := map[string]record.Tokens{"00:00 products/": {Paid: 10}, "01:00 products/": {Paid: 20}}
		if got := j.shared.kept(); !maps.Equal(got, want) || len(j.shared.puts) != 3 {
			t.Errorf("%v in %d entries, want %v in 3", got, len(j.shared.puts), want)
		}
		if n := len(e.ledger.entries); n != 1 {
			t.Errorf("%d entries are remembered, and one hour is not over", n)
		}
		if strings.Count(out.String(), "the cost ledger is behind") != 1 || !strings.Contains(out.String(), "Kafka is away") {
			t.Errorf("it says\n%s", out.String())
		}
	})
}

func TestLedger_namesABoundedNumberOfTenants(t *testing.T) {
	l := newLedger(settings(), "model")
	for i := range mostTenants + 5 {
		l.add(account{"Product", "products", fmt.Sprint("shop-", i)}, record.Tokens{Paid: 1})
	}
	l.add(account{"Product", "products", "shop-0"}, record.Tokens{Paid: 1})
	l.add(account{"Product", "products", strings.Repeat("x", longestTenant+1)}, record.Tokens{Paid: 1})
	c := l.unwritten()[0]
	if c.Tenants["shop-0"].Paid != 2 || c.Tenants[record.OtherTenants].Paid != 6 || len(c.Tenants) != mostTenants+1 {
		t.Errorf("%d tenants, %+v others", len(c.Tenants), c.Tenants[record.OtherTenants])
	}
}

func TestLedger_entryIsAsItIsDocumented(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLedger(Config{PricePerMillion: -1, Currency: "USD"}, "openai/text-embedding-3-large")
		l.replica = "R"
		l.add(account{"Product", "products", ""}, record.Tokens{Paid: 10, Again: 4, Saved: 2})
		c := l.unwritten()[0]
		got, err := json.Marshal(c)
		want := `{"hour":"2000-01-01T00:00:00Z","collection":"Product","pipeline":"products","replica":"R","currency":"USD","price":0.13,"tenants":{"":{"paid":10,"again":4,"saved":2}}}`
		if err != nil || string(got) != want || c.Key() != "2000-01-01T00/Product/products/R" {
			t.Errorf("%s under %s, %v", got, c.Key(), err)
		}
	})
}
