package embedder

import (
	"bytes"
	"context"
	"fmt"

	"github.com/freshet-io/freshet/libs/fault"
	"github.com/freshet-io/freshet/libs/record"
	"github.com/freshet-io/freshet/libs/stage"
)

// lookUp asks the index once a collection, drops what is stale, and uses the vectors
// that the index or the cache has.
func (e *Embedder) lookUp(ctx context.Context, works []*work) error {
	asking := map[string][]*work{} // by collection
	for _, w := range works {
		if w.asks() {
			asking[w.in.Document.GetCollection()] = append(asking[w.in.Document.GetCollection()], w)
		}
	}
	for collection, list := range asking {
		items := make([]record.Item, len(list))
		for i, w := range list {
			items[i] = w.in.Document.Item()
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
		for i, w := range list {
			e.compare(w, &states[i])
		}
	}
	return nil
}

// compare drops w where the state has made it pointless, or gives it a known vector.
func (e *Embedder) compare(w *work, s *record.State) {
	fingerprint := w.vector.GetFingerprint()
	w.held = bytes.Equal(s.Held, fingerprint)
	taken := s.Judge(w.vector)
	w.there = taken == record.TakenAgain
	if pointless(w, s, taken) {
		w.finish(stage.Skip[*record.Vector](Stale))
		return
	}
	if w.in.Document.GetForce() {
		return
	}
	stored := made{vector: s.Vector, truncated: s.Truncated, original: s.OriginalTokens}
	if w.held && s.Space == e.space.Name && len(s.Vector) == 4*e.space.Dimensions && w.accepts(stored) {
		w.take(stored, Reused)
		return
	}
	if m, ok := e.cache.get(fingerprint); ok && w.accepts(m) {
		w.take(m, Reused)
	}
}

// pointless reports whether the state has all that w would bring. What write asks for is never dropped: where the
// answer was an old one, nobody would ask again.
func pointless(w *work, s *record.State, taken record.Taken) bool {
	if w.op() == record.Op_OP_COMPLETION_REQUEST {
		return false
	}
	switch taken {
	case record.Stale, record.OutOfOrder:
		return true
	case record.TakenAgain: // at its own version the text may still wait for its vector, or for another one by order
		return w.held && bytes.Equal(s.Wanted, w.vector.GetFingerprint()) && !w.in.Document.GetForce()
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
