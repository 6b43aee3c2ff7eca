package inspect

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/freshet-io/freshet/libs/kafka"
	"github.com/freshet-io/freshet/libs/record"
)

const (
	// charactersPerToken is a rule of thumb for English text.
	charactersPerToken = 4
	// priceAge is how far back a price is looked for.
	priceAge = 7 * 24 * time.Hour
)

// cost returns what the text of the newest change has cost.
func (q *inquiry) cost(ctx context.Context) *Cost {
	var text string
	c := &Cost{}
	if q.indexed != nil {
		text, c.Tokens = q.indexed.State.Text, q.indexed.State.OriginalTokens
	}
	if newest := q.newest(); newest != nil && newest.document.GetOp().IsRow() {
		if newest.tokens > 0 || newest.document.GetText() != text {
			c.Tokens = max(newest.tokens, 0)
		}
		text = newest.document.GetText()
	}
	if text == "" {
		return nil
	}
	if c.Counted = c.Tokens > 0; !c.Counted {
		c.Tokens = int64(len([]rune(text))/charactersPerToken + 1)
	}
	c.Paid, c.Why = q.paid()
	if err := c.price(ctx, q); err != nil {
		q.note("the price of a token: %v", err)
	}
	return c
}

// paid tells whether the newest change's text was paid for: where the change before had the same one, its vector was known.
func (q *inquiry) paid() (paid *bool, why string) {
	var rows []seen
	orders := record.Orders{}
	for _, d := range q.documents {
		if d.bulk && d.version < q.version() {
			continue // refused, as every older row of a backfill is
		}
		late := slices.ContainsFunc(d.document.GetSources(), func(so *record.SourceOrder) bool { return orders.Compare(so) < 0 })
		if orders.Take(d.document.GetSources()); d.document.GetOp().IsRow() && !late {
			rows = append(rows, d)
		}
	}
	switch n := len(rows); {
	case n == 0:
		return nil, "its documents are not in Kafka any more"
	case rows[n-1].document.GetOp() == record.Op_OP_PARTIAL:
		return nil, "a part of a row came, and its text was made later"
	case n > 1 && rows[n-1].document.GetText() == rows[n-2].document.GetText():
		return new(false), "the change before had the same text"
	case n > 1:
		return new(true), "the change before had another text"
	case q.first:
		return new(true), "it is its first text"
	}
	return nil, "the change before it is beyond what was looked at, if there was one"
}

// price adds the money, by the last price that the ledger has of the collection. Where Kafka is away, look has said so.
func (c *Cost) price(ctx context.Context, q *inquiry) error {
	client, err := q.own.get(ctx)
	if err != nil {
		return nil //nolint:nilerr // see above
	}
	ledger, err := kafka.OpenCosts(ctx, client, q.cfg.Topics, q.answer.At.Add(-priceAge))
	if err != nil {
		return err
	}
	entries, err := ledger.Read(ctx)
	for _, e := range entries {
		if e.Collection == q.item.Collection {
			c.Currency, c.Money = e.Currency, float64(c.Tokens)*e.Price/1e6
		}
	}
	return err
}

// day is what the cost ledger has of a day, so that each look reads only what has come since.
type day struct {
	mu       sync.Mutex
	midnight time.Time // UTC
	ledger   *kafka.Costs
	last     map[string]*record.Cost // by their keys: each entry replaces the one before
}

// read reads what has come, and returns the entries of the day in the order of their keys: sums of money depend on the order.
func (d *day) read(ctx context.Context, i *Inspector, midnight time.Time) (entries []*record.Cost, err error) {
	client, err := i.own.get(ctx)
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.ledger == nil || !d.midnight.Equal(midnight) {
		if d.ledger, err = kafka.OpenCosts(ctx, client, i.cfg.Topics, midnight); err != nil {
			return nil, err
		}
		d.midnight, d.last = midnight, map[string]*record.Cost{}
	}
	came, err := d.ledger.Read(ctx)
	if err != nil {
		return nil, err
	}
	for _, c := range came {
		if !c.Hour.Before(midnight) {
			d.last[c.Key()] = c
		}
	}
	for _, key := range slices.Sorted(maps.Keys(d.last)) {
		entries = append(entries, d.last[key])
	}
	return entries, nil
}

// money returns what embedding costs, by the ledger and by the services' metrics.
func (i *Inspector) money(ctx context.Context, w window) (*Money, error) {
	ctx, cancel := context.WithTimeout(ctx, askBound)
	defer cancel()
	entries, err := i.day.read(ctx, i, w.now.at.Truncate(24*time.Hour))
	if err != nil {
		return nil, err
	}
	m := &Money{PerHour: -1}
	for _, c := range entries {
		m.Currency = c.Currency
		for _, tenant := range slices.Sorted(maps.Keys(c.Tenants)) {
			m.Today += float64(c.Tenants[tenant].Paid) * c.Price / 1e6
			m.Saved += float64(c.Tenants[tenant].Saved) * c.Price / 1e6
		}
	}
	if perSecond, ok := w.rate(metricCost); ok {
		m.PerHour = perSecond * time.Hour.Seconds()
	}
	for _, s := range w.now.samples[metricBudgetLimit] {
		if s.labels["pipeline"] == "" { // each replica shows that of all
			m.Budget = max(m.Budget, s.value)
		}
	}
	return m, nil
}
