package embedder

import (
	"github.com/freshet-io/freshet/libs/record"
	"github.com/freshet-io/freshet/libs/stage"
)

// supersede drops each whole row that a later whole row or delete of its item makes
// superfluous, before anything is paid for. Deletes are never dropped,
// and marks of dead letters neither replace nor are replaced. Nor is a row that the index has, without its vector perhaps:
// an owner before may have handed it on, and write may refuse the later one.
func supersede(works []*work) {
	last := map[string]*work{}
	for _, w := range works {
		if w.vector == nil || w.there || w.op() != record.Op_OP_UPSERT && w.op() != record.Op_OP_DELETE {
			continue
		}
		before := last[w.key]
		if before != nil && before.op() == record.Op_OP_UPSERT {
			if !w.replaces(before) {
				continue
			}
			before.finish(stage.Skip[*record.Vector](Superseded))
		}
		last[w.key] = w
	}
}

// replaces reports whether before need not be sent on, given w. A row that somebody
// wants embedded again is replaced only by one that will be, or by a delete.
func (w *work) replaces(before *work) bool {
	forced := w.in.Document.GetForce() || w.op() == record.Op_OP_DELETE
	return w.vector.Supersedes(before.vector) && (forced || !before.in.Document.GetForce())
}
