package dev

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/freshet-io/freshet/services/ctl/catalogue"
	"github.com/freshet-io/freshet/services/ctl/finder"
	"github.com/freshet-io/freshet/services/ctl/inspect"
	"github.com/freshet-io/freshet/services/ctl/rig"
)

const (
	topK          = catalogue.TopK
	englishGoal   = 80 // percent of queries whose product type is among the first five
	chineseGoal   = 75
	visibleBound  = 30 * time.Second
	trickleCount  = 200
	oversizeBytes = 40 << 10
	mostLetters   = 100
)

// scenario shows and checks what Freshet promises, and returns what did not hold.
func (s *stack) scenario(ctx context.Context) error {
	var lines []string
	var failed []error
	for _, part := range []struct {
		name string
		run  func(context.Context) (string, error)
	}{
		{"search set, English", func(ctx context.Context) (string, error) { return s.searchSet(ctx, catalogue.English, englishGoal) }},
		{"search set, Chinese", func(ctx context.Context) (string, error) { return s.searchSet(ctx, catalogue.Chinese, chineseGoal) }},
		{"a new name is found by its new meaning", s.rename},
		{"a deleted product is no longer found", s.remove},
		{"an oversize and a malformed change are dead letters", s.deadLetters},
		{"freshness of a trickle of changes", s.measure},
	} {
		said, err := part.run(ctx)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		mark := "ok  "
		if err != nil {
			mark = "FAIL"
			failed = append(failed, fmt.Errorf("%s: %w", part.name, err))
			said = strings.TrimPrefix(said+"; "+err.Error(), "; ")
		}
		lines = append(lines, fmt.Sprintf("%s  %s: %s", mark, part.name, said))
	}
	s.say("\n%s", strings.Join(lines, "\n"))
	return errors.Join(failed...)
}

// find returns the products that a search finds, nearest first.
func (s *stack) find(ctx context.Context, query string) ([]catalogue.Product, error) {
	hits, err := s.finder.Find(ctx, finder.Query{Text: query, Limit: topK})
	if err != nil {
		return nil, err
	}
	found := make([]catalogue.Product, len(hits))
	for i, h := range hits {
		id, err := strconv.ParseInt(h.Item.ID[0], 10, 64)
		if err != nil {
			return nil, fmt.Errorf("a product with the id %q: %w", h.Item.ID[0], err)
		}
		found[i] = productByID(id)
	}
	return found, nil
}

func productByID(id int64) catalogue.Product {
	for _, p := range catalogue.Products() {
		if p.ID == id {
			return p
		}
	}
	return catalogue.Product{}
}

// searchSet asks the committed queries of a language; goal is in percent.
func (s *stack) searchSet(ctx context.Context, language catalogue.Language, goal int) (string, error) {
	hits, total := 0, 0
	var missed []string
	for _, q := range catalogue.SearchSet() {
		if q.Language != language {
			continue
		}
		found, err := s.find(ctx, q.Text)
		if err != nil {
			return "", err
		}
		var kinds []string
		for _, p := range found {
			kinds = append(kinds, p.Kind)
		}
		if total++; q.Hit(kinds) {
			hits++
		} else {
			missed = append(missed, strconv.Quote(q.Text))
		}
	}
	said := fmt.Sprintf("%d of %d queries have their product among the first %d (%.0f %%)", hits, total, topK, 100*float64(hits)/float64(total))
	if 100*hits < goal*total {
		return said, fmt.Errorf("less than %d %%; missed: %s", goal, strings.Join(missed, ", "))
	}
	return said, nil
}

// rename gives a product a new name and description, and finds it by them.
func (s *stack) rename(ctx context.Context) (string, error) {
	before := searchable()[0]
	after := before
	after.Name, after.Brand, after.CategoryPath = "Brass Trumpet in B Flat", "Hornwell", []string{"Music", "Wind instruments"}
	after.Description = "A wind instrument for brass bands and orchestras, with a mouthpiece, valve oil and a padded case."
	const query = "horn to play in an orchestra"
	if found, err := s.among(ctx, query, before.ID); err != nil || found {
		return "", errors.Join(err, errors.New("it was found by its new meaning before it had it"))
	}
	start := time.Now()
	key, value := catalogue.Update(before, after, time.Now())
	if err := s.send(ctx, source(key, value)); err != nil {
		return "", err
	}
	err := rig.Poll(ctx, visibleBound, 5*time.Millisecond, func(ctx context.Context) (bool, error) { return s.among(ctx, query, before.ID) })
	return fmt.Sprintf("product %d is found by %q after %d ms", before.ID, query, time.Since(start).Milliseconds()), err
}

// remove deletes a product and looks for it by its own text.
func (s *stack) remove(ctx context.Context) (string, error) {
	p := searchable()[1]
	if found, err := s.among(ctx, p.Text(), p.ID); err != nil || !found {
		return "", errors.Join(err, errors.New("it was not found before it was deleted"))
	}
	start := time.Now()
	key, value := catalogue.Delete(p, time.Now())
	if err := s.send(ctx, source(key, value), source(key, nil)); err != nil {
		return "", err
	}
	err := rig.Poll(ctx, visibleBound, 5*time.Millisecond, func(ctx context.Context) (bool, error) {
		found, err := s.among(ctx, p.Text(), p.ID)
		return !found, err
	})
	return fmt.Sprintf("product %d is gone after %d ms", p.ID, time.Since(start).Milliseconds()), err
}

// among reports whether a product is among the first that a query finds.
func (s *stack) among(ctx context.Context, query string, id int64) (bool, error) {
	found, err := s.find(ctx, query)
	return slices.ContainsFunc(found, func(p catalogue.Product) bool { return p.ID == id }), err
}

// deadLetters sends two changes that cannot be used and looks for their letters.
func (s *stack) deadLetters(ctx context.Context) (string, error) {
	p := searchable()[2]
	long := p
	long.Description = strings.Repeat("A very long story about this product. ", oversizeBytes/38)
	key, value := catalogue.Update(p, long, time.Now())
	if err := s.send(ctx, source(key, value), source(key, value[:len(value)/2])); err != nil {
		return "", err
	}
	var reasons map[string]int
	err := rig.Poll(ctx, visibleBound, tick, func(ctx context.Context) (bool, error) {
		letters, _, err := inspect.ReadLetters(ctx, s.cluster, s.client, s.topics, "", mostLetters)
		reasons = map[string]int{}
		for _, l := range letters {
			reasons[l.Reason]++
		}
		return reasons["oversize"] > 0 && reasons["malformed"] > 0, err
	})
	if err == nil && (len(reasons) != 2 || reasons["oversize"] != 1 || reasons["malformed"] != 1) {
		err = fmt.Errorf("other letters are there too: %v", reasons)
	}
	return fmt.Sprintf("%d oversize, %d malformed", reasons["oversize"], reasons["malformed"]), err
}

// measure plays a trickle and tells how fresh the index was.
func (s *stack) measure(ctx context.Context) (string, error) {
	s.fresh.restart()
	before := s.fresh.arrived()
	ticker := time.NewTicker(25 * time.Millisecond)
	defer ticker.Stop()
	shop := catalogue.NewShop(1, searchable()[10:])
	for range trickleCount {
		key, value := shop.Next().Envelope(time.Now())
		if err := s.send(ctx, source(key, value)); err != nil {
			return "", err
		}
		select {
		case <-ctx.Done():
			return "", ctx.Err()
		case <-ticker.C:
		}
	}
	err := rig.Poll(ctx, visibleBound, tick, func(context.Context) (bool, error) { return s.fresh.arrived()-before >= trickleCount, nil })
	p50, p95, p99 := s.fresh.percentiles()
	return fmt.Sprintf("%d changes, p50 %s  p95 %s  p99 %s, from the commit at the source to the index", trickleCount, p50, p95, p99), err
}
