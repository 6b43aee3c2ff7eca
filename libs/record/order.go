package record

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
)

// Orders holds the highest order taken from each source. It is the guard against
// a member that slept and appends old changes after its successor's: the log
// gives them the highest versions, their orders give them away.
type Orders map[string][]uint64

// Compare tells how an order stands to the one that was taken from its source:
// -1 older, 0 the same, +1 newer or from a source not seen before.
func (o Orders) Compare(so *SourceOrder) int {
	taken, ok := o[so.GetSource()]
	if !ok {
		return 1
	}
	return compareOrder(so.GetOrder(), taken)
}

// passed reports whether a later record was taken from the source. The last number of an order
// does not count: it tells the documents of one record apart, of which its mark is another one.
func (o Orders) passed(so *SourceOrder) bool {
	place := so.GetOrder()[:max(0, len(so.GetOrder())-1)]
	taken := o[so.GetSource()]
	return slices.Compare(place, taken[:min(len(place), len(taken))]) < 0
}

func compareOrder(a, b []uint64) int { return slices.CompareFunc(a, b, cmp.Compare[uint64]) }

// Take raises o to the given orders. The receiver must not be nil.
func (o Orders) Take(sources []*SourceOrder) {
	for _, so := range sources {
		if o.Compare(so) > 0 {
			o[so.GetSource()] = so.GetOrder()
		}
	}
}

// List returns o as records, sorted by source.
func (o Orders) List() []*SourceOrder {
	list := make([]*SourceOrder, 0, len(o))
	for source, order := range o {
		list = append(list, &SourceOrder{Source: source, Order: order})
	}
	slices.SortFunc(list, func(a, b *SourceOrder) int { return cmp.Compare(a.GetSource(), b.GetSource()) })
	return list
}

// raisedBy reports whether Take would change o.
func (o Orders) raisedBy(sources []*SourceOrder) bool {
	return slices.ContainsFunc(sources, func(so *SourceOrder) bool { return o.Compare(so) > 0 })
}

// Supersedes reports whether v says all that earlier, a record of the same item,
// has to say, so that earlier need not be sent on. The version decides, not the
// place in the log: a redriven letter stands late in it and is old.
//
// v must also be sure to be taken wherever earlier would be. A change of another
// source is not: write may know that source further on and drop v, and with it
// the only word of earlier. Nor is a redriven letter, or a log record where earlier is
// one: late judges them in another way. So both must be of one origin and of one source,
// v further on in it; then v's own order covers that of earlier.
func (v *Vector) Supersedes(earlier *Vector) bool {
	if op := v.GetDocument().GetOp(); op != Op_OP_UPSERT && op != Op_OP_DELETE {
		return false
	}
	switch earlier.GetDocument().GetOp() { //nolint:exhaustive // the others are no state
	case Op_OP_UPSERT, Op_OP_PARTIAL, Op_OP_DELETE, Op_OP_FAILED:
	default:
		return false
	}
	if v.GetVersion() <= earlier.GetVersion() || v.GetVersionOrigin() != earlier.GetVersionOrigin() || v.isRedriven() {
		return false
	}
	mine, theirs := v.GetDocument().GetSources(), earlier.GetDocument().GetSources()
	if len(mine) == 0 || len(theirs) == 0 {
		return len(mine) == len(theirs)
	}
	return len(mine) == 1 && len(theirs) == 1 && mine[0].GetSource() == theirs[0].GetSource() &&
		compareOrder(mine[0].GetOrder(), theirs[0].GetOrder()) > 0
}

// FormatOrder returns an order as decimal numbers joined by dots.
func FormatOrder(order []uint64) string {
	parts := make([]string, len(order))
	for i, n := range order {
		parts[i] = strconv.FormatUint(n, 10)
	}
	return strings.Join(parts, ".")
}

// KafkaOrder returns the order of a document from a Kafka source: the number of
// deliberate rewinds, the leader epoch (-1 where the broker gave none), the
// offset, and the ordinal of the document among all that its record gave.
func KafkaOrder(rewind uint64, leaderEpoch int32, offset int64, ordinal int) []uint64 {
	return []uint64{rewind, uint64(int64(leaderEpoch) + 1), uint64(offset), uint64(ordinal)} //nolint:gosec // none is negative
}

// FormatSources returns orders for people and headers: source=1.2.3, joined by spaces.
func FormatSources(sources []*SourceOrder) string {
	parts := make([]string, len(sources))
	for i, so := range sources {
		parts[i] = so.GetSource() + "=" + FormatOrder(so.GetOrder())
	}
	return strings.Join(parts, " ")
}
