package embedder

import (
	"slices"

	"github.com/freshet-io/freshet/libs/record"
	"github.com/freshet-io/freshet/libs/stage"
)

// supersede drops each whole row that a later whole row or delete of its item makes
// superfluous, before anything is paid for. Deletes are never dropped,
// and marks of dead letters neither replace nor are replaced. Nor is a row that the index has, without its vector perhaps:
// an owner before may have handed it on, and write may refuse the later one.
func supersede(works []*work) {
	standing := map[string][]*work{} // whole rows, by item
	for _, w := range works {
		if w.vector == nil || w.there || w.op() != record.Op_OP_UPSERT && w.op() != record.Op_OP_DELETE {
			continue
		}
		rows := slices.DeleteFunc(standing[w.key], func(before *work) bool {
			if !w.replaces(before) {
				return false
			}
			before.finish(stage.Skip[*record.Vector](Superseded))
			return true
		})
		if w.op() == record.Op_OP_UPSERT {
			rows = append(rows, w)
		}
		standing[w.key] = rows
	}
}

// replaces reports whether before need not be sent on, given w. A row that somebody
// wants embedded again is replaced only by one that will be, or by a delete.
func (w *work) replaces(before *work) bool {
	forced := w.in.Document.GetForce() || w.op() == record.Op_OP_DELETE
	return w.vector.Supersedes(before.vector) && (forced || !before.in.Document.GetForce())
}
