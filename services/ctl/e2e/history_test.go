package e2e_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// change is one change of a row: before and after are as in Debezium's envelope.
type change struct {
	op            string
	before, after *product
}

// history makes up the changes of a shop, and knows what must be in the index after
// them. It shares nothing with the code under test but the row's columns.
type history struct {
	rng  *rand.Rand
	rows map[int64]*product // the newest; nil: deleted
	seq  int

	creates, texts, prices, deletes, again int
}

func newHistory(seed uint64) *history {
	return &history{rng: rand.New(rand.NewPCG(seed, 1)), rows: map[int64]*product{}} //nolint:gosec // a test's chance
}

// picks returns whose turn it is, n times: every one of the items at least once, the
// hot ones much more often than the others.
func (h *history) picks(n, items, hot int) []int64 {
	ids := make([]int64, 0, n)
	for id := range items {
		ids = append(ids, int64(id+1))
	}
	for len(ids) < n {
		among := items
		if h.rng.IntN(4) == 0 {
			among = hot
		}
		ids = append(ids, int64(h.rng.IntN(among)+1))
	}
	h.rng.Shuffle(n, func(i, j int) { ids[i], ids[j] = ids[j], ids[i] })
	return ids
}

var words = strings.Fields("oak steel glass linen copper wool cork slate birch brass quiet heavy light round narrow tall folding garden kitchen office winter")

// next changes an item: most changes are of the price, as in a shop.
func (h *history) next(id int64) change {
	h.seq++
	before, known := h.rows[id]
	after := &product{ID: id, Seq: h.seq, Price: float64(h.rng.IntN(100_000)) / 100, Stock: h.rng.IntN(500)}
	switch dice := h.rng.IntN(100); {
	case before == nil:
		h.creates++
		if known {
			h.again++
		}
		after.Name, after.Description = h.name(id), h.description()
	case dice < 15:
		h.deletes++
		h.rows[id] = nil
		return change{"d", before, nil}
	case dice < 45:
		h.texts++
		after.Name, after.Description = h.name(id), h.description()
	default:
		h.prices++
		after.Name, after.Description = before.Name, before.Description
	}
	h.rows[id] = after
	op := "u"
	if before == nil {
		op = "c"
	}
	return change{op, before, after}
}

// name is another one for each item, so that no two have one text.
func (h *history) name(id int64) string {
	return fmt.Sprintf("%s %s no %d", words[h.rng.IntN(len(words))], words[h.rng.IntN(len(words))], id)
}

func (h *history) description() string {
	text := make([]string, 4+h.rng.IntN(12))
	for i := range text {
		text[i] = words[h.rng.IntN(len(words))]
	}
	return strings.Join(text, " ")
}

func (h *history) String() string {
	return fmt.Sprintf("%d changes of %d items: %d creates (%d of them again), %d of the text, %d of the price alone, %d deletes",
		h.seq, len(h.rows), h.creates, h.again, h.texts, h.prices, h.deletes)
}
