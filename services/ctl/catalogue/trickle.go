package catalogue

import (
	"iter"
	"math/rand/v2"
	"slices"
	"time"
)

// Change is one change of a product: Before is nil where it is created, After
// where it is deleted.
type Change struct {
	Before, After *Product
}

// Envelope returns the change as Debezium would send it, committed at the time.
func (c Change) Envelope(at time.Time) (key, value []byte) {
	switch {
	case c.Before == nil:
		return Create(*c.After, at)
	case c.After == nil:
		return Delete(*c.Before, at)
	default:
		return Update(*c.Before, *c.After, at)
	}
}

// Trickle returns an endless run of changes to the products, the same for the
// same seed: about four in five change only a price or a stock, the others a
// description, a name, or delete a product and later create it again. At most
// one product is deleted at any moment. The products are not touched; each
// change owns its own copies. It yields nothing for fewer than two products.
func Trickle(seed uint64, products []Product) iter.Seq[Change] {
	return func(yield func(Change) bool) {
		if len(products) < 2 {
			return
		}
		shop := trickle{
			rand:     rand.New(rand.NewPCG(seed, seed)),
			original: slices.Clone(products),
			now:      slices.Clone(products),
			gone:     -1,
		}
		for yield(shop.next()) {
		}
	}
}

type trickle struct {
	rand          *rand.Rand
	original, now []Product
	gone          int // index of the product that is deleted now, -1: none
}

// Sentences and suffixes are put behind the original words, never behind each
// other, so that texts do not grow and names stay unique.
var (
	notes = map[Language][]string{
		English: {" More stock arrives next week.", " Ships within two days.", " Free returns within thirty days."},
		Chinese: {"下周补货。", "两天内发货。", "三十天内免费退货。"},
	}
	editions = map[Language][]string{
		English: {", New Design", ", Improved Version", ", Best Seller"},
		Chinese: {"（新款）", "（升级版）", "（热卖款）"},
	}
)

func (t *trickle) next() Change {
	dice := t.rand.IntN(100)
	if dice >= 94 {
		return t.deleteOrRecreate()
	}
	i := t.present()
	before := t.now[i]
	after, original := before, t.original[i]
	switch {
	case dice < 45:
		after.Price = t.other(original.Price, before.Price)
	case dice < 80:
		after.Stock = (before.Stock + 1 + t.rand.IntN(239)) % 240
	case dice < 88:
		after.Description = t.vary(original.Description, before.Description, notes[original.Language])
	default:
		after.Name = t.vary(original.Name, before.Name, editions[original.Language])
	}
	t.now[i] = after
	return Change{Before: &before, After: &after}
}

func (t *trickle) deleteOrRecreate() Change {
	if t.gone >= 0 {
		after := t.now[t.gone]
		t.gone = -1
		return Change{After: &after}
	}
	t.gone = t.present()
	before := t.now[t.gone]
	return Change{Before: &before}
}

// present picks a product that is not deleted.
func (t *trickle) present() int {
	if t.gone < 0 {
		return t.rand.IntN(len(t.now))
	}
	return (t.gone + 1 + t.rand.IntN(len(t.now)-1)) % len(t.now)
}

// other returns a price within 15 % of the original that is not the one of now.
func (t *trickle) other(original, now Price) Price {
	span := max(original*15/100, 1)
	price := original - span + Price(t.rand.Int64N(int64(2*span)))
	if price >= now {
		price++
	}
	return price
}

// vary returns the original with one of the endings, or without, but not what is now.
func (t *trickle) vary(original, now string, endings []string) string {
	choices := []string{original}
	for _, ending := range endings {
		choices = append(choices, original+ending)
	}
	choices = slices.DeleteFunc(choices, func(s string) bool { return s == now })
	return choices[t.rand.IntN(len(choices))]
}
