package embedder

import (
	"github.com/freshet-io/freshet/libs/fault"
	"github.com/freshet-io/freshet/libs/record"
	"github.com/freshet-io/freshet/libs/stage"
	"github.com/freshet-io/freshet/libs/telemetry"
)

// work is one input on its way through Handle.
type work struct {
	in      Input
	vector  *record.Vector
	key     string        // of the item
	text    fitted        // what is sent to the provider
	state   *record.State // what the index has of the item
	taken   record.Taken  // what the index would do with the document
	held    bool          // the index has a vector of the document's text
	there   bool          // the index has the document
	done    bool          // outcome is set
	outcome stage.Outcome[*record.Vector]
}

func (w *work) op() record.Op { return w.in.Document.GetOp() }

// asks reports whether the input still needs a vector.
func (w *work) asks() bool {
	return !w.done && (w.op() == record.Op_OP_UPSERT || w.op() == record.Op_OP_COMPLETION_REQUEST)
}

// member returns the input as a part of the request for its vector.
func (w *work) member() telemetry.Member {
	m := telemetry.Member{Identity: telemetry.Identity{Item: &w.in.Trace, Key: w.key, Version: w.in.Version}}
	if w.in.Document.GetStamp() == 0 { // a row of a backfill is old on purpose, and so never slow
		m.Began = stage.CommittedAt(w.in.Document)
	}
	return m
}

// address makes the vector of the document, still without an embedding.
func (w *work) address() {
	w.key = string(w.in.Document.Item().Key())
	w.vector = &record.Vector{
		Document: w.in.Document, Version: w.in.Version, VersionOrigin: w.in.Origin,
		State: record.VectorState_VECTOR_STATE_NONE,
	}
}

func (w *work) finish(o stage.Outcome[*record.Vector]) { w.done, w.outcome = true, o }

func (w *work) emit(label string) { w.finish(stage.Emit(label, w.vector)) }

// take gives the input's vector the embedding and hands it on.
func (w *work) take(m made, label string) {
	w.vector.Vector, w.vector.Truncated, w.vector.OriginalTokens = m.vector, m.truncated, m.original
	w.vector.State = record.VectorState_VECTOR_STATE_PRESENT
	w.emit(label)
}

// reject makes the input a dead letter because of its text. Its properties are
// written all the same: a price is not wrong because a text is too long.
func (w *work) reject(err error) {
	w.vector.State = record.VectorState_VECTOR_STATE_FAILED
	w.vector.FailedReason = string(fault.ReasonOf(err))
	w.finish(stage.Reject(err, w.vector))
}
