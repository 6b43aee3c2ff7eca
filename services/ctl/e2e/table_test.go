package e2e_test

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// table is what became of faults: a row a kind and process.
type table struct{ rows []*row }

// row is the faults of one kind. Where several rows share a run, what was found at its end is in the one that is
// together.
type row struct {
	fault, process string
	unfinished     []int64 // records, at each moment

	compared    bool
	lost, stale int // items, at the end; one that goes back on the way and must not is stale
	back        int // times that an item was seen going back, and may

	paid                 bool
	paidAgain, paidBound int // texts
}

func (t *table) add(fault, process string) *row {
	r := &row{fault: fault, process: process}
	t.rows = append(t.rows, r)
	return r
}

// moment notes a fault, which must have found something unfinished.
func (r *row) moment(t *testing.T, unfinished int64) {
	t.Helper()
	r.unfinished = append(r.unfinished, unfinished)
	if unfinished == 0 {
		t.Errorf("%s of %s, moment %d: it had nothing to do", r.fault, r.process, len(r.unfinished))
	}
}

// String shows the rows that anything happened in.
func (t table) String() string {
	var b strings.Builder
	b.WriteString("fault          process   moments  unfinished at the moment (least, median, most)  lost  stale  seen going back  paid twice")
	for _, r := range t.rows {
		if len(r.unfinished) == 0 && !r.compared {
			continue
		}
		moments, unfinished, lost, stale, back, paid := "", "", "", "", "", ""
		if n := len(r.unfinished); n > 0 {
			sorted := slices.Sorted(slices.Values(r.unfinished))
			moments, unfinished = strconv.Itoa(n), fmt.Sprintf("%d, %d, %d", sorted[0], sorted[n/2], sorted[n-1])
		}
		if r.compared {
			lost, stale, back = strconv.Itoa(r.lost), strconv.Itoa(r.stale), strconv.Itoa(r.back)
		}
		if r.paid {
			paid = fmt.Sprintf("%d of at most %d", r.paidAgain, r.paidBound)
		}
		fmt.Fprintf(&b, "\n%-14s %-9s %7s  %46s  %4s  %5s  %15s  %s", r.fault, r.process, moments, unfinished, lost, stale, back, paid)
	}
	return b.String()
}
