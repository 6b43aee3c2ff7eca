package embedder

import (
	"context"
	"crypto/rand"
	"maps"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/freshet-io/freshet/libs/record"
	"github.com/freshet-io/freshet/libs/telemetry"
)

const (
	// mostTenants is how many tenants an entry names, and longestTenant how long such a name is,
	// in bytes: Kafka would not take a larger entry, and so none at all.
	mostTenants   = 1000
	longestTenant = 256
	// rememberedTexts is of how many texts a replica knows that it has paid for them.
	rememberedTexts = 1 << 16
)

// account is in whose name a text is paid for.
type account struct{ collection, pipeline, tenant string }

func accountOf(d *record.Document) account {
	return account{collection: d.GetCollection(), pipeline: d.GetPipeline(), tenant: d.GetTenant()}
}

// ledger counts what this replica pays for and saves, by hour and account, and holds the budget.
// It is safe for concurrent use, and does no I/O.
type ledger struct {
	metrics  *telemetry.Metrics // nil: nothing is measured
	model    string
	replica  string
	price    float64 // of a million tokens
	currency string
	budget   budget
	purses   purses
	texts    *lru.Cache[string, struct{}] // fingerprints of what was paid for

	mu      sync.Mutex
	entries map[entryKey]*entry // of this hour, and those that are not written yet
	total   record.Tokens       // since the start
}

type entryKey struct {
	hour                 time.Time
	collection, pipeline string
}

type entry struct {
	cost    record.Cost
	changed bool // since it was written
}

// newLedger returns the ledger of a model. A budget wants a price.
func newLedger(cfg Config, model string) *ledger {
	texts, _ := lru.New[string, struct{}](rememberedTexts) // its only error is a size below 1
	l := &ledger{
		model: model, replica: rand.Text(), price: cfg.priceOf(model), currency: cfg.Currency,
		texts: texts, entries: map[entryKey]*entry{},
	}
	l.budget.allowance, l.budget.stopped = allow(cfg.BudgetPerDay, l.price), make(chan struct{})
	l.purses = newPurses(cfg.Budgets, l.price)
	return l
}

// bounded reports whether anything bounds what is spent.
func (l *ledger) bounded() bool { return l.budget.limit > 0 || len(l.purses) > 0 }

func (l *ledger) money(tokens int64) float64 { return float64(tokens) * l.price / 1e6 }

// pay books what a request has cost to the accounts of its texts. Where the provider did not
// say what it charges, that is what was estimated.
func (l *ledger) pay(ctx context.Context, asks []ask, charged int64) {
	weights := make([]int64, len(asks))
	for i, a := range asks {
		weights[i] = int64(a.tokens)
	}
	if charged <= 0 {
		charged = sum(weights)
	}
	l.budget.spend(charged)
	l.metrics.Charged(ctx, l.model, charged)
	for i, share := range apportion(charged, weights) {
		t := record.Tokens{Paid: share}
		if known, _ := l.texts.ContainsOrAdd(string(asks[i].fingerprint), struct{}{}); known || asks[i].held {
			t.Again = share
		}
		l.purses.spend(asks[i].account.pipeline, share)
		l.add(asks[i].account, t)
	}
}

func (l *ledger) add(a account, t record.Tokens) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.total = l.total.Plus(t)
	e := l.entry(a)
	e.changed = true
	if _, named := e.cost.Tenants[a.tenant]; !named && len(e.cost.Tenants) >= mostTenants || len(a.tenant) > longestTenant {
		a.tenant = record.OtherTenants
	}
	e.cost.Tenants[a.tenant] = e.cost.Tenants[a.tenant].Plus(t)
}

func (l *ledger) entry(a account) *entry {
	key := entryKey{time.Now().UTC().Truncate(time.Hour), a.collection, a.pipeline}
	e := l.entries[key]
	if e == nil {
		e = &entry{cost: record.Cost{
			Hour: key.hour, Collection: a.collection, Pipeline: a.pipeline, Replica: l.replica,
			Currency: l.currency, Price: l.price, Tenants: map[string]record.Tokens{},
		}}
		l.entries[key] = e
	}
	return e
}

// unwritten returns the entries that have changed since they were written, as they are now.
func (l *ledger) unwritten() []*record.Cost {
	l.mu.Lock()
	defer l.mu.Unlock()
	var costs []*record.Cost
	for _, e := range l.entries {
		if e.changed {
			cost := e.cost
			cost.Tenants = maps.Clone(cost.Tenants)
			costs = append(costs, &cost)
			e.changed = false
		}
	}
	return costs
}

// written settles the entries of unwritten: those that could not be written are due again, and
// what is over and written is forgotten.
func (l *ledger) written(costs []*record.Cost, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil {
		for _, c := range costs {
			l.entries[entryKey{c.Hour, c.Collection, c.Pipeline}].changed = true
		}
	}
	hour := time.Now().UTC().Truncate(time.Hour)
	maps.DeleteFunc(l.entries, func(k entryKey, e *entry) bool { return k.hour.Before(hour) && !e.changed })
}

// learn takes what other replicas have spent into the budget.
func (l *ledger) learn(costs []*record.Cost) {
	for _, c := range costs {
		if c.Replica != l.replica && c.Currency == l.currency && l.price > 0 {
			tokens := int64(float64(c.Paid()) * c.Price / l.price)
			l.budget.learn(c.Key(), c.Hour, tokens)
			l.purses.learn(c.Pipeline, c.Key(), c.Hour, tokens)
		}
	}
}

func (l *ledger) totals() record.Tokens {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.total
}

func sum(numbers []int64) int64 {
	var s int64
	for _, n := range numbers {
		s += n
	}
	return s
}
