package inspect

import (
	"slices"
	"time"

	"github.com/freshet-io/freshet/libs/record"
)

// waiting returns the item's records that stages have not finished, the one that is furthest on first. What has been done
// already is committed within a second, and does not wait.
func (q *inquiry) waiting() []Waiting {
	all := []Waiting{}
	for n := range q.vectors {
		if v := &q.vectors[n]; !q.arrived(v) {
			all = q.wait(all, stageWrite, v.Place, v.at)
		}
	}
	for n := range q.documents {
		d := &q.documents[n]
		stage := stageEmbed
		if d.Topic != q.cfg.Topics.DocumentsLive() {
			stage = stageBulk
		}
		p := q.now.position(stage, d.Topic, d.Partition)
		done := q.embedded(d) || q.arrived(d) && !q.lacks() // a row may be there, and its vector yet to follow
		if p != nil && (slices.Contains(p.Owed, d.Offset) || !done) {
			all = q.wait(all, stage, d.Place, d.at)
		}
	}
	for _, c := range q.changes {
		if !q.ingested(c) {
			all = q.wait(all, stageIngest, c.Place, c.at)
		}
	}
	return all
}

// stillWaiting leaves out what stages have finished since the first look. Where that is all, the item has moved on to where
// nobody has looked again, and what it waited for says most.
func (q *inquiry) stillWaiting() {
	if still := q.waiting(); len(still) > 0 {
		q.answer.Waiting = still
	}
}

// wait adds a record that a stage has not finished, or counts it with the first one of its partition.
func (q *inquiry) wait(all []Waiting, stage string, at Place, since time.Time) []Waiting {
	p := q.now.position(stage, at.Topic, at.Partition)
	if p == nil {
		return all
	}
	owed := slices.Index(p.Owed, at.Offset)
	if at.Offset < p.Next && owed < 0 {
		return all
	}
	for n := range all {
		if w := &all[n]; w.Stage == stage && w.Topic == at.Topic && w.Partition == at.Partition {
			w.Behind++
			return all
		}
	}
	w := Waiting{Place: at, Stage: stage, Group: q.lane(stage).group, Since: since, Ahead: at.Offset - p.Next, Owed: owed >= 0}
	if w.Owed {
		w.Ahead = int64(owed)
	}
	return append(all, w)
}

// embedded reports whether a document's vector was seen.
func (q *inquiry) embedded(d *seen) bool {
	return slices.ContainsFunc(q.vectors, func(v seen) bool {
		return v.version == d.version && v.state != record.VectorState_VECTOR_STATE_PENDING
	})
}

// lacks reports whether the index has the item's row, and waits for the vector of its text.
func (q *inquiry) lacks() bool { return q.indexed != nil && q.indexed.State.Lacks() }

// ingested reports whether a change's document was seen, or that of a later one.
func (q *inquiry) ingested(c seenChange) bool {
	return slices.ContainsFunc(q.documents, func(d seen) bool {
		o := d.document.GetOrigin()
		return o.GetTopic() == c.Topic && o.GetPartition() == c.Partition && o.GetOffset() >= c.Offset
	})
}
