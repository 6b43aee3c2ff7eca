package dev

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/freshet-io/freshet/libs/fault"
	"github.com/freshet-io/freshet/libs/weaviate"
	"github.com/freshet-io/freshet/services/ctl/catalogue"
	"github.com/freshet-io/freshet/services/ctl/console"
	"github.com/freshet-io/freshet/services/ctl/finder"
	"github.com/freshet-io/freshet/services/ctl/inspect"
	"github.com/freshet-io/freshet/services/ctl/rig"
)

// shop is the products table, which changes by chance and by a person at the console. Its changes are sent in the order in
// which they are made, as a database would: one that came later is newer.
type shop struct {
	stack *stack
	mu    sync.Mutex
	table *catalogue.Shop
}

func newShop(s *stack) *shop {
	return &shop{stack: s, table: catalogue.NewShop(uint64(time.Now().UnixNano()), searchable())} //nolint:gosec // a seed
}

func (*shop) Collection() string { return "Product" }

func (s *shop) commit(ctx context.Context, next func() (catalogue.Change, error)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	change, err := next()
	if err != nil {
		return err
	}
	key, value := change.Envelope(time.Now())
	return s.stack.send(ctx, source(key, value))
}

// Change implements console.Shop: the clock runs from before the change is sent until a search by the meaning of the
// product's text, among those of its price, has found it under its name. The text is embedded before, so that the clock does
// not count that.
func (s *shop) Change(ctx context.Context, wanted console.Change) (console.Seen, error) {
	id, err := strconv.ParseInt(wanted.ID, 10, 64)
	price, ok := parsePrice(wanted.Price)
	name := strings.TrimSpace(wanted.Name)
	switch {
	case err != nil:
		return console.Seen{}, fault.Reject(fault.Malformed, "the id %q is no number", wanted.ID)
	case !ok:
		return console.Seen{}, fault.Reject(fault.Malformed, "the price %q is no number with at most two digits after the point", wanted.Price)
	case name == "":
		return console.Seen{}, fault.Reject(fault.Malformed, "a product needs a name")
	}
	// Before the table has it: a change that it has and that is not sent would never come to the index.
	after, ok := s.product(id)
	after.Name, after.Price = name, price
	if !ok {
		return console.Seen{}, fault.Reject(fault.Malformed, "the shop has no product %d now", id)
	}
	vector, err := s.stack.finder.Vector(ctx, after.Text())
	if err != nil {
		return console.Seen{}, err
	}
	var began time.Time
	err = s.commit(context.WithoutCancel(ctx), func() (catalogue.Change, error) { // whoever wanted it may have gone
		began = time.Now()
		change, ok := s.table.Update(id, name, price)
		if !ok {
			return change, fault.Reject(fault.Malformed, "the shop has no product %d now", id)
		}
		return change, nil
	})
	if err != nil {
		return console.Seen{}, err
	}
	place, err := s.await(ctx, vector, after)
	if err != nil {
		return console.Seen{}, err
	}
	return console.Seen{
		Took: inspect.Seconds(time.Since(began)),
		By:   fmt.Sprintf("number %d that a search by the meaning of its text finds, where price = %s", place, after.Price),
	}, nil
}

func (s *shop) product(id int64) (catalogue.Product, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.table.Product(id)
}

// await returns the place at which a search finds the product as it should be.
func (s *shop) await(ctx context.Context, vector []float32, want catalogue.Product) (place int, err error) {
	q := finder.Query{Collection: s.Collection(), Limit: topK, Where: []weaviate.Filter{{Property: "price", Op: "=", Value: want.Price.String()}}}
	err = rig.Poll(ctx, visibleBound, pollEvery, func(ctx context.Context) (bool, error) {
		hits, err := s.stack.finder.Near(ctx, vector, q)
		place = 1 + slices.IndexFunc(hits, func(h weaviate.Hit) bool {
			return h.Item.ID[0] == strconv.FormatInt(want.ID, 10) && nameOf(h) == want.Name
		})
		return place > 0, err
	})
	if err != nil {
		return 0, errors.Join(fmt.Errorf("product %d is changed, and a search does not find it so", want.ID), err)
	}
	return place, nil
}

// pollEvery is the time between two searches that look for a change: it is what a measured time may be too long by.
const pollEvery = 2 * time.Millisecond

func nameOf(h weaviate.Hit) string {
	for _, p := range h.Properties {
		if p.GetName() == "name" {
			return p.GetValue().Display()
		}
	}
	return ""
}

var decimal = regexp.MustCompile(`^(\d{1,7})(?:\.(\d{1,2}))?$`)

// parsePrice reads a price with at most two digits after the point.
func parsePrice(text string) (catalogue.Price, bool) {
	m := decimal.FindStringSubmatch(strings.TrimSpace(text))
	if m == nil {
		return 0, false
	}
	cents, err := strconv.ParseInt(m[1]+(cmp.Or(m[2], "0") + "0")[:2], 10, 64)
	return catalogue.Price(cents), err == nil
}
