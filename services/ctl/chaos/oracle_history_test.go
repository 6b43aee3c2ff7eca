package chaos

import (
	"slices"

	"github.com/freshet-io/freshet/libs/record"
)

func (o *oracle) judgeHistories() {
	byKey := map[string]string{}
	for item := range o.byItem {
		byKey[keyOf(item)] = item
	}
	for _, r := range o.rows {
		byKey[keyOf(r.item)] = r.item
	}
	for key, history := range o.history {
		item, ok := byKey[key]
		if !ok {
			o.report(invLoss, "", "the index has an item %q that nobody sent", key)
			continue
		}
		o.judgeHistory(item, history)
	}
}

// judgeHistory looks at all that an item ever was. What a call did that was late, of a
// process that stood still right before it, may go back: nothing can hold it up, and the
// next owner puts it right before it commits. It may go forward, too, and be set back by the
// next owner, which has read the item before. So what follows must not be behind the lower of
// it and of what was there before it.
func (o *oracle) judgeHistory(item string, history []moment) {
	seq := 0
	var least *moment
	for i := range history {
		m := &history[i]
		s := &m.state
		if m.lingered { // it may be of one of two copies, of which the other is about to be deleted
			least, seq = nil, 0
			continue
		}
		switch {
		case !m.late && least != nil:
			o.judgeStep(item, least, m)
			least = m
		case least == nil || isBehind(s, &least.state):
			least = m
		}
		if m.late {
			seq = 0
		} else if s.Known() && s.Origin != nil { // a backfill's row may be ahead of the log; one that lacks columns is nothing yet
			if n := seqOf(s); n < seq {
				o.report(invStale, item, "the index had change %d, then %d: %s", seq, n, describe(m))
			} else {
				seq = n
			}
		}
		if m.main && s.Known() && string(s.Held) == string(s.Wanted) && !same(s.Vector, s.Text) {
			o.report(invVector, item, "the vector is not that of its text: %s", describe(m))
		}
	}
}

// judgeStep compares two moments of an item: neither its version nor its place in any
// source may go back.
func (o *oracle) judgeStep(item string, before, after *moment) {
	if a, b := top(&before.state), top(&after.state); b < a {
		o.report(invStale, item, "version %d became %d: %s", a, b, describe(after))
	}
	for source, order := range before.state.Sources {
		if slices.Compare(after.state.Sources[source], order) < 0 {
			o.report(invStale, item, "order %v of source %s became %v: %s", order, source, after.state.Sources[source], describe(after))
		}
	}
}

// isBehind reports whether a state is behind another one, in its version or in the place of a source.
func isBehind(s, other *record.State) bool {
	for source, order := range other.Sources {
		if slices.Compare(s.Sources[source], order) < 0 {
			return true
		}
	}
	return top(s) < top(other)
}

func top(s *record.State) int64 { return max(s.Base, s.Floor) }
