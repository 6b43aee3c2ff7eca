package bench

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/freshet-io/freshet/services/ctl/catalogue"
	"github.com/freshet-io/freshet/services/embed/builtin"
)

// builtinModel measures what the built-in model finds in the demo catalogue, against
// what chance would. How fast it is, `freshet bench-provider --builtin` measures.
func builtinModel(ctx context.Context, r run) ([]Figure, error) {
	model, err := builtin.New()
	if err != nil {
		return nil, err
	}
	return r.quality(ctx, model)
}

// unreadable writes English in Georgian letters: words of a script that the model does
// not know, and whose meaning we do.
func unreadable(text string) string {
	return strings.Map(func(r rune) rune {
		if r < 'a' || r > 'z' {
			return r
		}
		return 'ა' + r - 'a'
	}, strings.ToLower(text))
}

// quality asks the queries of the search set, which share no word with what they look
// for, and some that do, for texts of which the model sees only the letters.
func (r run) quality(ctx context.Context, model *builtin.Model) ([]Figure, error) {
	// As `freshet dev` has them: those that are switched off are in no index.
	products := slices.DeleteFunc(catalogue.Products(), func(p catalogue.Product) bool { return !p.Active })
	if r.rounds == 1 {
		products = everyTenth(products) // for a tiny run: of almost every kind
	}
	r.say("embedding %d products", len(products))
	all, err := stock(ctx, model, products, strings.Clone)
	if err != nil {
		return nil, err
	}
	strange, err := stock(ctx, model, products, unreadable)
	if err != nil {
		return nil, err
	}
	english := queriesIn(catalogue.English)
	var figures []Figure
	for _, q := range []struct {
		name  string
		shelf shelf
		asked []query
	}{
		{"English by its meaning", all, english},
		{"Chinese by its meaning", all, queriesIn(catalogue.Chinese)},
		{"English asked for in Chinese", all.english(), forEnglish(queriesIn(catalogue.Chinese))},
		{"unreadable by its meaning", strange.english(), rewritten(english, unreadable)},
		{"unreadable by two words of its name", strange.english(), rewritten(namesOf(everyTenth(products)), unreadable)},
	} {
		found, chance, err := q.shelf.ask(ctx, model, q.asked)
		if err != nil {
			return nil, err
		}
		name := fmt.Sprintf("%s: the right thing is among the first %d (%d asked)", q.name, catalogue.TopK, len(q.asked))
		figures = append(figures, rate(name, "%", 100*found, 100*chance, 0))
	}
	return figures, nil
}

func everyTenth(products []catalogue.Product) []catalogue.Product {
	var some []catalogue.Product
	for i := 0; i < len(products); i += 10 {
		some = append(some, products[i])
	}
	return some
}

// query is a text and the thing that answers it.
type query struct{ text, thing string }

func queriesIn(language catalogue.Language) []query {
	var list []query
	for _, q := range catalogue.SearchSet() {
		if q.Language == language {
			list = append(list, query{q.Text, catalogue.Thing(q.Kind)})
		}
	}
	return list
}

// forEnglish leaves those queries that English products answer, too.
func forEnglish(queries []query) []query {
	sold := map[string]bool{}
	for _, p := range catalogue.Products() {
		sold[p.Kind] = p.Language == catalogue.English
	}
	return slices.DeleteFunc(queries, func(q query) bool { return !sold[q.thing] })
}

func rewritten(queries []query, f func(string) string) []query {
	list := slices.Clone(queries)
	for i := range list {
		list[i].text = f(list[i].text)
	}
	return list
}

// namesOf asks for English products by two words of their names, without the brand.
func namesOf(products []catalogue.Product) []query {
	var list []query
	for _, p := range products {
		if words := strings.Fields(p.Name); p.Language == catalogue.English && len(words) > 2 {
			list = append(list, query{words[1] + " " + words[2], catalogue.Thing(p.Kind)})
		}
	}
	return list
}

// shelf is products that are searched.
type shelf struct {
	products []catalogue.Product
	vectors  [][]float32 // of each
}

func stock(ctx context.Context, model *builtin.Model, products []catalogue.Product, rewrite func(string) string) (shelf, error) {
	texts := make([]string, len(products))
	for i, p := range products {
		texts[i] = rewrite(p.Text())
	}
	answer, err := model.Embed(ctx, texts)
	return shelf{products, answer.Vectors}, err
}

// english returns the English products.
func (s shelf) english() shelf {
	var part shelf
	for i, p := range s.products {
		if p.Language == catalogue.English {
			part.products, part.vectors = append(part.products, p), append(part.vectors, s.vectors[i])
		}
	}
	return part
}

// ask returns the shares of queries that are answered, and that a blind choice of as
// many products would.
func (s shelf) ask(ctx context.Context, model *builtin.Model, queries []query) (found, chance float64, err error) {
	texts := make([]string, len(queries))
	for i, q := range queries {
		texts[i] = q.text
	}
	answer, err := model.Embed(ctx, texts)
	if err != nil {
		return 0, 0, err
	}
	for i, q := range queries {
		if slices.Contains(s.nearest(answer.Vectors[i]), q.thing) {
			found++
		}
		right := 0
		for _, p := range s.products {
			if catalogue.Thing(p.Kind) == q.thing {
				right++
			}
		}
		chance += 1 - math.Pow(1-float64(right)/float64(len(s.products)), catalogue.TopK)
	}
	n := float64(len(queries))
	return found / n, chance / n, nil
}

// nearest returns the things whose vectors are nearest to one.
func (s shelf) nearest(vector []float32) []string {
	nearness := make([]float64, len(s.vectors))
	order := make([]int, len(s.vectors))
	for i, v := range s.vectors {
		order[i] = i
		for k := range v {
			nearness[i] += float64(v[k]) * float64(vector[k])
		}
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(nearness[b], nearness[a]) })
	things := make([]string, catalogue.TopK)
	for i := range things {
		things[i] = catalogue.Thing(s.products[order[i]].Kind)
	}
	return things
}
