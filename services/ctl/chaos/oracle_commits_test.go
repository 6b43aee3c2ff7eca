package chaos

import (
	"slices"
	"time"

	"github.com/freshet-io/freshet/libs/record"
)

// judgeCommits checks each commit against what was durable at its moment.
func (o *oracle) judgeCommits() {
	letters := map[place]time.Duration{} // when the first letter of an input was written
	documents := map[place]time.Duration{}
	vectors := map[string][]*logged{}
	for _, l := range o.records {
		switch {
		case l.letter != nil:
			first(letters, inputOf(l), l.at)
		case l.topic == o.topics.documentsLive:
			first(documents, originOf(l.document), l.at)
		case l.vector != nil:
			key := string(l.document.Item().Key())
			vectors[key] = append(vectors[key], l)
		}
	}
	checked := map[progress]int64{} // up to which offset
	owed := map[progress][]int64{}  // before it
	for _, c := range o.commits {
		of := c.progress
		// write goes back on purpose, after any call that failed; whether it does so to where it should, the end shows.
		if c.offset < checked[of] && c.topic != o.topics.vectorsLive && c.topic != o.topics.vectorsBulk {
			o.report(invRegress, "", "group %s went back from %d to %d in %s partition %d at %s", c.group, checked[of], c.offset, c.topic, c.partition, c.at)
		}
		if c.late {
			continue // the next owner would do it again: what counts is the next commit, or the end
		}
		claimed := owed[of]
		for offset := checked[of]; offset < c.offset; offset++ {
			claimed = append(claimed, offset)
		}
		for _, offset := range claimed {
			at := place{c.topic, c.partition, offset}
			if t, ok := letters[at]; ok && t <= c.at || slices.Contains(c.owed, offset) {
				continue
			}
			o.judgeCommitted(c, at, documents, vectors)
		}
		owed[of] = slices.Clone(c.owed)
		checked[of] = max(checked[of], c.offset)
	}
}

func first(m map[place]time.Duration, at place, t time.Duration) {
	if had, ok := m[at]; !ok || t < had {
		m[at] = t
	}
}

// judgeCommitted checks that an input without a letter had a successor in the next topic,
// or in the index, when it was committed.
func (o *oracle) judgeCommitted(c commit, at place, documents map[place]time.Duration, vectors map[string][]*logged) {
	if change := o.byPlace[at]; change != nil {
		if stage, _ := planted(change.fate); stage == "ingest" {
			o.report(invCommit, change.item, "change %d (%s) was committed at %s without its letter", change.seq, change.fate, c.at)
		} else if t, ok := documents[at]; !ok || t > c.at {
			o.report(invCommit, change.item, "change %d at %v was committed at %s without its document", change.seq, at, c.at)
		}
		return
	}
	l := o.documents[at]
	if l == nil || l.document.GetOp() == record.Op_OP_MARKER {
		return
	}
	item := l.document.GetId()[0]
	key := keyOf(item)
	if l.vector == nil {
		if !slices.ContainsFunc(vectors[key], func(v *logged) bool { return v.at <= c.at && (succeeds(v.vector, l) || completes(v, l)) }) {
			o.report(invCommit, item, "the document at %v was committed by %s at %s without its vector", at, c.group, c.at)
		}
		return
	}
	if !slices.ContainsFunc(o.history[key], func(m moment) bool { return m.at <= c.at && holds(&m.state, l.vector) }) {
		o.report(invCommit, item, "the vector at %v was committed at %s, and the index does not have it", at, c.at)
	}
}

// succeeds reports whether a vector is of a document, or of a later state of its item. One that is pending is not all
// that becomes of its own document.
func succeeds(v *record.Vector, l *logged) bool {
	version := l.document.GetStamp()
	if version == 0 {
		version = l.offset + 1
	}
	if v.GetState() == record.VectorState_VECTOR_STATE_PENDING && v.GetVersion() == version {
		return false
	}
	later := v.GetDocument().GetOrigin()
	mine := l.document.GetOrigin()
	return v.GetVersion() >= version || later != nil && mine != nil &&
		later.GetTopic() == mine.GetTopic() && later.GetPartition() == mine.GetPartition() && later.GetOffset() >= mine.GetOffset()
}

// completes reports whether a vector of another version is of the document's text: write takes it for a row that is
// pending.
func completes(v, l *logged) bool {
	return v.vector.GetState() == record.VectorState_VECTOR_STATE_PRESENT && v.document.GetText() == l.document.GetText()
}

// holds reports whether a state has taken a vector, or has a reason to drop it.
func holds(s *record.State, v *record.Vector) bool {
	if v.GetDocument().GetOp() == record.Op_OP_COMPLETION_REQUEST {
		return string(s.Held) == string(v.GetFingerprint()) || string(s.Wanted) != string(v.GetFingerprint())
	}
	if max(top(s), s.Failed.GetVersion()) >= v.GetVersion() {
		return true
	}
	for _, so := range v.GetDocument().GetSources() {
		if slices.Compare(s.Sources[so.GetSource()], so.GetOrder()) >= 0 {
			return true
		}
	}
	return false
}
