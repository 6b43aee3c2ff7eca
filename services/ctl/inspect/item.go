package inspect

import (
	"context"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/freshet-io/freshet/libs/kafka"
	"github.com/freshet-io/freshet/libs/record"
	"github.com/freshet-io/freshet/libs/weaviate"
)

// firstWords is how many characters of the text are shown.
const firstWords = 160

// inquiry is one question and what was found out so far.
type inquiry struct {
	*Inspector
	notes

	answer Item
	letter *Letter // that is asked about
	change *change // of the source's record that is asked about
	item   *record.Item
	key    []byte

	partition int32 // -1: not known
	epoch     int32
	earlier   *look // nil: not looked twice
	now       *look
	indexed   *weaviate.Inspected // nil: Weaviate does not answer
	takes     IndexState          // whether its collection takes writes
	unfound   bool                // it has a vector, and a search by that does not find it
	documents []seen              // in their order, from before the indexed version on
	vectors   []seen
	changes   []seen // of the source topics, newer than the indexed one
	first     bool   // all documents that there ever were were looked at
	logWhole  bool   // all documents newer than the index were looked at
	srcWhole  bool   // all changes newer than the index were looked at
}

// Item answers why an item is as old as it is. An error means that the question makes no sense, as one about a record that
// is not there: what is away is said in the answer.
func (i *Inspector) Item(ctx context.Context, s Subject) (Item, error) {
	ctx, cancel := context.WithTimeout(ctx, answerBound)
	defer cancel()
	q := &inquiry{Inspector: i, item: s.Item, partition: -1, answer: Item{At: time.Now().UTC(), Waiting: []Waiting{}, Letters: []Letter{}, Unknown: []string{}}}
	if s.Place != nil {
		q.answer.Subject = s.Place.String()
		if err := q.open(ctx, *s.Place); err != nil {
			return Item{}, err
		}
	}
	if q.item == nil {
		q.answer.Causes = []Cause{q.whyNoItem()}
		q.answer.Unknown = q.with(&notes{})
		return q.answer, nil
	}
	if q.answer.Subject == "" {
		q.answer.Subject = q.item.String()
	}
	q.key = q.item.Key()
	q.now = i.look(ctx)
	q.askIndex(ctx)
	q.askLog(ctx)
	q.askSources(ctx)
	q.askLetters(ctx)
	q.askIndex(ctx) // once more: what was under way may be there now
	q.answer.Waiting = q.waiting()
	for range q.now.lanes { // each time that it has moved on to another stage
		was := q.waitsFor()
		if was == "" && !q.lacks() {
			break
		}
		q.lookAgain(ctx)
		q.askLog(ctx)
		q.askIndex(ctx)
		if q.stillWaiting(); q.waitsFor() == was {
			break
		}
	}
	q.answer.Item = &ItemName{Collection: q.item.Collection, Tenant: q.item.Tenant, ID: q.item.ID, UUID: q.item.UUID().String(), Partition: q.partition}
	q.answer.Index = q.indexAnswer()
	q.answer.Timeline = q.timeline()
	q.answer.Cost = q.cost(ctx)
	if q.answer.TraceID != "" {
		q.answer.TraceLink = strings.ReplaceAll(i.cfg.TraceLink, "{id}", q.answer.TraceID)
	}
	q.answer.Causes = q.causes()
	q.answer.Unknown = q.with(&q.now.notes)
	return q.answer, nil
}

// askIndex asks Weaviate for the item, and whether a search finds it.
func (q *inquiry) askIndex(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, askBound)
	defer cancel()
	index, err := q.index.get(ctx)
	var found weaviate.Inspected
	if err == nil {
		found, err = index.Inspect(ctx, *q.item)
	}
	if q.indexed, q.unfound = &found, false; err != nil {
		q.indexed = nil
		q.note("what the index has: %v", err)
		return
	}
	if q.takes, err = takesWrites(ctx, index, q.now, q.item.Collection); err != nil {
		q.note("whether the index takes writes: %v", err)
	}
	if !found.Main || !found.State.Complete() {
		return
	}
	missing, err := index.SelfFound(ctx, q.item.Collection, []record.Item{*q.item}, nil)
	if err != nil {
		q.note("whether a search finds it: %v", err)
	}
	q.unfound = len(missing) > 0
}

// lookAgain looks at groups and metrics once more, 2 s after the first time, and then until what the item waits for has
// moved, or has not for so long that it is stuck: a batch may take some seconds.
func (q *inquiry) lookAgain(ctx context.Context) {
	first := q.now
	for wait := lookTwice; wait <= stuckLook; wait += lookTwice {
		if sleep(ctx, wait-time.Since(first.at)) != nil {
			return
		}
		q.earlier, q.now = first, q.look(ctx)
		if !slices.ContainsFunc(q.answer.Waiting, func(w Waiting) bool {
			p := q.now.position(w.Stage, w.Topic, w.Partition)
			return p != nil && len(q.whyBroken(w.Stage)) == 0 && q.now.standings[w.Stage].Members > 0 && !moved(first, w.Stage, p)
		}) {
			return
		}
	}
}

// version returns that of what the index has of the item; 0 where it has nothing.
func (q *inquiry) version() int64 {
	if q.indexed == nil {
		return 0
	}
	return max(q.indexed.State.Base, q.indexed.State.Floor)
}

const offsetMask = int64(1)<<48 - 1

// offsetOf returns the offset in the live documents that a version counts; ok is false where it is of a log before.
func (q *inquiry) offsetOf(version int64) (offset int64, ok bool) {
	if version == 0 || int32(version>>48) != q.epoch { //nolint:gosec // at most 31
		return 0, false
	}
	return version&offsetMask - 1, true
}

// indexAnswer says what the index has.
func (q *inquiry) indexAnswer() *Index {
	if q.indexed == nil {
		return nil
	}
	s := &q.indexed.State
	x := &Index{
		Standing: q.standing(), Class: q.indexed.Class, Version: q.version(), Text: cutWords(s.Text),
		Fingerprint: hex.EncodeToString(s.Wanted), VectorOf: hex.EncodeToString(s.Held), Tokens: s.OriginalTokens, Truncated: s.Truncated,
		UpdatedAt: q.indexed.UpdatedAt, Position: s.Origin.GetPosition(), CommittedAt: committedAt(s),
	}
	if _, generation, ok := strings.Cut(strings.TrimSuffix(x.Class, "_side"), "_g"); ok {
		_, _ = fmt.Sscan(generation, &x.Generation)
	}
	// Where its record was not seen, the version may be that of a backfill's marker, or of a redriven letter.
	if offset, ok := q.offsetOf(x.Version); ok && slices.ContainsFunc(q.documents, func(d seen) bool { return d.Offset == offset && d.version == x.Version }) {
		x.Versioned = &Place{Topic: q.cfg.Topics.DocumentsLive(), Partition: q.partition, Offset: offset}
	}
	if s.Origin != nil {
		x.Origin = &Place{Topic: s.Origin.GetTopic(), Partition: s.Origin.GetPartition(), Offset: s.Origin.GetOffset()}
	}
	for _, p := range s.Properties {
		x.Properties = append(x.Properties, Property{Name: p.GetName(), Value: p.GetValue().Display()})
	}
	if s.Failed != nil {
		x.Failed = &Mark{Version: s.Failed.GetVersion(), Reason: s.Failed.GetReason(), Text: s.Failed.GetText()}
	}
	return x
}

// committedAt returns when the indexed row was committed at its source, zero where nobody said.
func committedAt(s *record.State) (at time.Time) {
	if us := s.Origin.GetCommittedAt(); us > 0 {
		at = time.UnixMicro(us).UTC()
	}
	return at
}

func (q *inquiry) standing() Standing {
	s := &q.indexed.State
	switch {
	case !q.indexed.Main && !q.indexed.Side:
		return Absent
	case !s.Live() && s.Floor > 0:
		return Deleted
	case !s.Live():
		return MarkOnly
	case s.Hidden:
		return Hidden
	case !s.Complete() || !q.indexed.Main:
		return Stub
	case q.unfound:
		return Unfound
	}
	return Searchable
}

// cutWords returns the beginning of a text on one line.
func cutWords(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	if runes := []rune(text); len(runes) > firstWords {
		return strings.TrimSpace(string(runes[:firstWords])) + "…"
	}
	return text
}

// waiting returns the item's records that stages have not finished, the one that is furthest on first. What has been done
// already is committed within a second, and does not wait.
func (q *inquiry) waiting() []Waiting {
	all := []Waiting{}
	for _, s := range slices.Concat(q.vectors, q.documents, q.changes) {
		p := q.position(&s)
		if p == nil {
			continue
		}
		owed := slices.Index(p.Owed, s.Offset)
		if owed < 0 && (s.Offset < p.Next || q.isDone(&s)) {
			continue
		}
		if n := slices.IndexFunc(all, func(w Waiting) bool { return w.Stage == s.stage && w.Topic == s.Topic && w.Partition == s.Partition }); n >= 0 {
			all[n].Behind++
			continue
		}
		w := Waiting{Place: s.Place, Stage: s.stage, Group: q.now.lane(s.stage).group, Since: s.at, Ahead: s.Offset - p.Next, Owed: owed >= 0}
		if w.Owed {
			w.Ahead = int64(owed)
		}
		all = append(all, w)
	}
	return all
}

// position returns where a record's stage is in its partition; nil where that is not known.
func (q *inquiry) position(s *seen) *kafka.Position {
	return q.now.position(s.stage, s.Topic, s.Partition)
}

// isDone reports whether what a stage makes of a record was seen, or what it makes of a later one.
func (q *inquiry) isDone(s *seen) bool {
	switch s.stage {
	case stageIngest:
		return slices.ContainsFunc(q.documents, func(d seen) bool {
			o := d.document.GetOrigin()
			return o.GetTopic() == s.Topic && o.GetPartition() == s.Partition && o.GetOffset() >= s.Offset
		})
	case stageWrite:
		return q.arrived(s)
	}
	embedded := slices.ContainsFunc(q.vectors, func(v seen) bool {
		return v.version == s.version && v.state != record.VectorState_VECTOR_STATE_PENDING
	})
	return embedded || q.arrived(s) && !q.lacks() // a row may be there, and its vector yet to follow
}

// stillWaiting leaves out what stages have finished since the first look. Where that is all, and the item is not in the index,
// nobody has seen where it is now, and what it waited for says most.
func (q *inquiry) stillWaiting() {
	still, newest := q.waiting(), q.newest()
	if len(still) > 0 || newest != nil && q.arrived(newest) && !q.lacks() {
		q.answer.Waiting = still
	}
}

// waitsFor returns the stage that has to work on the item next, "" for none.
func (q *inquiry) waitsFor() string {
	if len(q.answer.Waiting) == 0 {
		return ""
	}
	return q.answer.Waiting[0].Stage
}

// lacks reports whether the index has the item's row, and waits for the vector of its text.
func (q *inquiry) lacks() bool { return q.indexed != nil && q.indexed.State.Lacks() }

// newest returns the record that has come furthest of the newest change that is in a log.
func (q *inquiry) newest() *seen {
	var newest *seen
	for _, all := range [][]seen{q.documents, q.vectors} {
		for n := range all {
			if s := &all[n]; newest == nil || s.version >= newest.version {
				newest = s
			}
		}
	}
	return newest
}

// arrived reports whether the index has what a record brings.
func (q *inquiry) arrived(s *seen) bool {
	if q.indexed == nil {
		return false
	}
	state := &q.indexed.State
	if s.document.GetOp() == record.Op_OP_FAILED {
		return state.Failed.GetVersion() == s.version
	}
	if version := q.version(); s.version != version && !q.isIndexed(s) {
		return false
	}
	return s.state != record.VectorState_VECTOR_STATE_PRESENT || state.Hidden || string(state.Held) == string(s.fingerprint)
}

// isIndexed reports whether a record is the change that the index has, whatever its version: after the epoch was raised
// the same place in the log counts higher.
func (q *inquiry) isIndexed(s *seen) bool {
	has, of := q.indexed.State.Origin, s.document.GetOrigin()
	return has != nil && of != nil && has.GetTopic() == of.GetTopic() && has.GetPartition() == of.GetPartition() && has.GetOffset() == of.GetOffset() &&
		has.GetCommittedAt() == of.GetCommittedAt()
}
