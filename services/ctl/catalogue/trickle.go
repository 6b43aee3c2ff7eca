package catalogue

import (
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

// Shop is the products table, which keeps changing by chance: the same for the same seed. It is not safe for concurrent use.
type Shop struct {
	rand          *rand.Rand
	original, now []Product
	gone          int // index of the product that is deleted now, -1: none
}

// NewShop returns a shop of at least two products. They are not touched: each change owns its own copies.
func NewShop(seed uint64, products []Product) *Shop {
	return &Shop{rand: rand.New(rand.NewPCG(seed, seed)), original: slices.Clone(products), now: slices.Clone(products), gone: -1}
}

// Product returns a product as it is. ok is false where the shop does not have it, or not now.
func (s *Shop) Product(id int64) (p Product, ok bool) {
	i := s.find(id)
	if i < 0 {
		return Product{}, false
	}
	return s.now[i], true
}

func (s *Shop) find(id int64) int {
	i := slices.IndexFunc(s.now, func(p Product) bool { return p.ID == id })
	if i == s.gone {
		return -1
	}
	return i
}

// Update changes a product as a person wants it; changes by chance are of this from then on. ok is false where the shop does
// not have the product, or not now.
func (s *Shop) Update(id int64, name string, price Price) (c Change, ok bool) {
	i := s.find(id)
	if i < 0 {
		return Change{}, false
	}
	before := s.now[i]
	after := before
	after.Name, after.Price = name, price
	s.now[i] = after
	s.original[i].Name, s.original[i].Price = name, price
	return Change{Before: &before, After: &after}, true
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

// Next returns a change by chance: about four in five change only a price or a stock, the others a description, a name, or
// delete a product and later create it again. At most one product is deleted at any moment.
func (s *Shop) Next() Change {
	dice := s.rand.IntN(100)
	if dice >= 94 {
		return s.deleteOrRecreate()
	}
	i := s.present()
	before := s.now[i]
	after, original := before, s.original[i]
	switch {
	case dice < 45:
		after.Price = s.other(original.Price, before.Price)
	case dice < 80:
		after.Stock = (before.Stock + 1 + s.rand.IntN(239)) % 240
	case dice < 88:
		after.Description = s.vary(original.Description, before.Description, notes[original.Language])
	default:
		after.Name = s.vary(original.Name, before.Name, editions[original.Language])
	}
	s.now[i] = after
	return Change{Before: &before, After: &after}
}

func (s *Shop) deleteOrRecreate() Change {
	if s.gone >= 0 {
		after := s.now[s.gone]
		s.gone = -1
		return Change{After: &after}
	}
	s.gone = s.present()
	before := s.now[s.gone]
	return Change{Before: &before}
}

func (s *Shop) present() int {
	if s.gone < 0 {
		return s.rand.IntN(len(s.now))
	}
	return (s.gone + 1 + s.rand.IntN(len(s.now)-1)) % len(s.now)
}

// other returns a price within 15 % of the original that is not the one of now.
func (s *Shop) other(original, now Price) Price {
	span := max(original*15/100, 1)
	price := original - span + Price(s.rand.Int64N(int64(2*span)))
	if price >= now {
		price++
	}
	return price
}

// vary returns the original with one of the endings, or without, but not what is now.
func (s *Shop) vary(original, now string, endings []string) string {
	choices := []string{original}
	for _, ending := range endings {
		choices = append(choices, original+ending)
	}
	choices = slices.DeleteFunc(choices, func(choice string) bool { return choice == now })
	return choices[s.rand.IntN(len(choices))]
}
