package embedder

import (
	"bytes"
	"context"
	"fmt"

	"github.com/freshet-io/freshet/libs/fault"
	"github.com/freshet-io/freshet/libs/record"
	"github.com/freshet-io/freshet/libs/stage"
)

// lookUp asks the index once a collection what it has of the items.
func (e *Embedder) lookUp(ctx context.Context, works []*work) error {
	asking := map[string][]*work{} // by collection
	for _, w := range works {
		if w.asks() {
			asking[w.in.Document.GetCollection()] = append(asking[w.in.Document.GetCollection()], w)
		}
	}
	for collection, list := range asking {
		var items []record.Item
		places := map[string]int{} // by item
		for _, w := range list {
			if _, known := places[w.key]; !known {
				places[w.key] = len(items)
				items = append(items, w.in.Document.Item())
			}
		}
		states, err := e.index.Lookup(ctx, collection, items)
		if err != nil && e.withoutIndex && fault.ClassOf(err) == fault.Transient {
			states, err = make([]record.State, len(items)), nil
		}
		if err != nil {
			// To go on without an answer would be to pay for all of it again.
			return fmt.Errorf("looking up %d items of %s: %w", len(items), collection, err)
		}
		if len(states) != len(items) {
			return fmt.Errorf("looking up %d items of %s: the index gave %d states", len(items), collection, len(states))
		}
		for _, w := range list {
			w.found(&states[places[w.key]])
		}
	}
	return nil
}

func (w *work) found(s *record.State) {
	w.state, w.taken = s, s.Judge(w.vector)
	w.held = bytes.Equal(s.Held, w.vector.GetFingerprint())
	w.there = w.taken == record.TakenAgain
}

// compare drops w where the state has made it pointless, or gives it a known vector.
func (e *Embedder) compare(w *work) {
	if !w.asks() {
		return
	}
	s := w.state
	if w.isPointless() {
		w.finish(stage.Skip[*record.Vector](Stale))
		w.outcome.Again = true
		return
	}
	if w.in.Document.GetForce() {
		since := e.orders.since(w)
		if m, ok := e.cache.get(w.vector.GetFingerprint()); ok && !m.at.Before(since) && w.accepts(m) {
			w.take(m, Reused)
		}
		return
	}
	stored := made{vector: s.Vector, truncated: s.Truncated, original: s.OriginalTokens}
	if w.held && s.Space == e.space.Name && len(s.Vector) == 4*e.space.Dimensions && w.accepts(stored) {
		w.take(stored, Reused)
		return
	}
	if m, ok := e.cache.get(w.vector.GetFingerprint()); ok && w.accepts(m) {
		w.take(m, Reused)
	}
}

// isPointless reports whether the index has all that w would bring. What write asks for is never dropped: where the
// answer was an old one, nobody would ask again.
func (w *work) isPointless() bool {
	if w.op() == record.Op_OP_COMPLETION_REQUEST {
		return false
	}
	switch w.taken {
	case record.Stale, record.OutOfOrder:
		return true
	case record.TakenAgain: // at its own version the text may still wait for its vector, or for another one by order
		return w.held && bytes.Equal(w.state.Wanted, w.vector.GetFingerprint()) && !w.in.Document.GetForce()
	case record.TakenNew:
	}
	return false
}

// accepts reports whether the document's policy allows the vector: one of a cut text
// does not do where long texts are dead letters.
func (w *work) accepts(m made) bool { return !m.truncated || w.mayCut() }

func (w *work) mayCut() bool {
	return w.in.Document.GetOversize() != record.Oversize_OVERSIZE_DEADLETTER
}
