package catalogue

import (
	"reflect"
	"strings"
	"testing"
)

func take(n int, seed uint64, products []Product) []Change {
	shop, changes := NewShop(seed, products), make([]Change, n)
	for i := range changes {
		changes[i] = shop.Next()
	}
	return changes
}

// sortOf says what a change changed: "price", "stock", "description", "name",
// "delete", "create", or "other" for none or more than one of these.
func sortOf(c Change) string {
	switch {
	case c.Before == nil:
		return "create"
	case c.After == nil:
		return "delete"
	}
	for sort, undo := range map[string]func(*Product){
		"price":       func(p *Product) { p.Price = c.Before.Price },
		"stock":       func(p *Product) { p.Stock = c.Before.Stock },
		"description": func(p *Product) { p.Description = c.Before.Description },
		"name":        func(p *Product) { p.Name = c.Before.Name },
	} {
		undone := *c.After
		undo(&undone)
		if reflect.DeepEqual(undone, *c.Before) && !reflect.DeepEqual(*c.After, *c.Before) {
			return sort
		}
	}
	return "other"
}

func TestTrickle_isMostlyPriceAndStock(t *testing.T) {
	const n = 10_000
	count := map[string]int{}
	for _, c := range take(n, 7, Products()) {
		count[sortOf(c)]++
	}
	cheap := float64(count["price"]+count["stock"]) / n
	if cheap < 0.78 || cheap > 0.82 {
		t.Errorf("%.1f %% of the changes are price or stock, want about 80: %v", 100*cheap, count)
	}
	for _, sort := range []string{"price", "stock", "description", "name", "delete", "create"} {
		if count[sort] < n/50 {
			t.Errorf("only %d of %d changes are of sort %s", count[sort], n, sort)
		}
	}
	if count["other"] > 0 {
		t.Errorf("%d changes changed nothing, or several columns", count["other"])
	}
}

func TestTrickle_followsOnFromTheStateItLeft(t *testing.T) {
	products := Products()[:40] // few, so that each is changed, deleted and created often
	now := map[int64]Product{}
	for _, p := range products {
		now[p.ID] = p
	}
	gone := map[int64]Product{}
	for i, c := range take(5000, 3, products) {
		if c.Before != nil {
			if held, ok := now[c.Before.ID]; !ok || !reflect.DeepEqual(held, *c.Before) {
				t.Fatalf("change %d starts from %+v, the table holds %+v", i, *c.Before, held)
			}
		}
		switch sortOf(c) {
		case "create":
			if left, ok := gone[c.After.ID]; !ok || !reflect.DeepEqual(left, *c.After) {
				t.Fatalf("change %d creates %+v, which was not deleted", i, *c.After)
			}
			delete(gone, c.After.ID)
			now[c.After.ID] = *c.After
		case "delete":
			gone[c.Before.ID] = *c.Before
			delete(now, c.Before.ID)
		default:
			now[c.After.ID] = *c.After
		}
		if len(gone) > 1 {
			t.Fatalf("after change %d %d products are deleted", i, len(gone))
		}
		if c.After != nil && (c.After.Price <= 0 || c.After.Stock < 0) {
			t.Fatalf("change %d: price %s, stock %d", i, c.After.Price, c.After.Stock)
		}
	}
	names := map[string]bool{}
	for _, p := range now {
		if names[p.Name] {
			t.Errorf("two products came to be named %q", p.Name)
		}
		names[p.Name] = true
	}
}

func TestTrickle_repeatsForASeedAndLeavesTheProductsAlone(t *testing.T) {
	products := Products()
	first, second, other := take(500, 1, products), take(500, 1, products), take(500, 2, products)
	if !reflect.DeepEqual(first, second) {
		t.Error("the same seed gave other changes")
	}
	if reflect.DeepEqual(first, other) {
		t.Error("another seed gave the same changes")
	}
	if !reflect.DeepEqual(products, Products()) {
		t.Error("the caller's products were changed")
	}
}

func TestShop_keepsWhatAPersonHasSet(t *testing.T) {
	products := Products()[:20]
	shop := NewShop(7, products)
	id := products[3].ID
	change, ok := shop.Update(id, "Brass Trumpet", 7750)
	if !ok || change.Before.Name != products[3].Name || change.After.Name != "Brass Trumpet" || change.After.Price != 7750 {
		t.Fatalf("got %+v, %v", change, ok)
	}
	if _, ok := shop.Update(1, "Nothing", 1); ok {
		t.Error("a product that there is not was changed")
	}
	renamed, gone := false, false
	for range 5000 {
		c := shop.Next()
		switch {
		case c.After == nil && c.Before.ID == id:
			gone = true
			if _, ok := shop.Update(id, "Ghost", 1); ok {
				t.Error("a product that is deleted was changed")
			}
		case c.After != nil && c.After.ID == id:
			renamed = renamed || c.After.Name != "Brass Trumpet"
			if !strings.HasPrefix(c.After.Name, "Brass Trumpet") || c.After.Price < 7750*85/100 || c.After.Price > 7750*115/100 {
				t.Fatalf("a change by chance makes it %s for %s", c.After.Name, c.After.Price)
			}
		}
	}
	if !renamed || !gone {
		t.Errorf("renamed: %v, deleted: %v; both must have been seen", renamed, gone)
	}
}
