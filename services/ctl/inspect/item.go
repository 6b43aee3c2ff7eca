package inspect

import (
	"context"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/freshet-io/freshet/libs/record"
	"github.com/freshet-io/freshet/libs/weaviate"
)

const (
	// scanRecords, scanBytes and scanTime bound what is read of one partition's unread or newer records.
	scanRecords = 100_000
	scanBytes   = 256 << 20
	scanTime    = 20 * time.Second
	// nearRecords is how far behind its document a vector is looked for: embed answers within that.
	nearRecords = 10_000
	// earlierRecords is how far before the indexed version an earlier one is looked for, to tell whether the text is new.
	earlierRecords = 2_000
	// firstWords is how many characters of the text are shown.
	firstWords = 160
)

// inquiry is one question and what was found out so far.
type inquiry struct {
	*Inspector
	answer Item
	asked  *kgo.Record // the record that the subject names; nil where it names an item
	letter *Letter     // asked is one
	change *change     // of asked, where that is of a source topic
	item   *record.Item
	key    []byte

	partition  int32 // -1: not known
	epoch      int32
	earlier    *look // nil: not looked twice
	now        *look
	indexed    *weaviate.Inspected // nil: Weaviate does not answer
	unwritable string              // why the index takes no writes, as it says itself
	unfound    bool                // it has a vector, and a search by that does not find it
	documents  []seen              // in their order, from before the indexed version on
	vectors    []seen
	changes    []seenChange // of the source topics, newer than the indexed one
	first      bool         // all documents that there ever were were looked at
	logWhole   bool         // all documents newer than the index were looked at
	srcWhole   bool         // all changes newer than the index were looked at

	mu sync.Mutex // of the answer's Unknown
}

func (q *inquiry) note(format string, args ...any) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.answer.Unknown = append(q.answer.Unknown, fmt.Sprintf(format, args...))
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
		return q.ofNoItem(), nil
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
	if q.answer.Waiting = q.waiting(); len(q.answer.Waiting) > 0 || q.lacks() {
		q.lookAgain(ctx)
		q.askIndex(ctx)
		q.stillWaiting()
	}
	q.answer.Item = &ItemName{Collection: q.item.Collection, Tenant: q.item.Tenant, ID: q.item.ID, UUID: q.item.UUID().String(), Partition: q.partition}
	q.answer.Index = q.indexAnswer()
	q.answer.Timeline = q.timeline()
	q.answer.Cost = q.cost(ctx)
	if q.answer.TraceID != "" && i.cfg.TraceLink != "" {
		q.answer.TraceLink = strings.ReplaceAll(i.cfg.TraceLink, "{id}", q.answer.TraceID)
	}
	q.answer.Causes = q.causes()
	q.answer.Unknown = append(q.answer.Unknown, q.now.unknown...)
	q.answer.Unknown = append(q.answer.Unknown, q.now.scraped.unknown...)
	slices.Sort(q.answer.Unknown)
	q.answer.Unknown = slices.Compact(q.answer.Unknown)
	return q.answer, nil
}

// ofNoItem answers about a record that does not say which item it is of.
func (q *inquiry) ofNoItem() Item {
	cause := Cause{Code: CauseUnknown, Summary: "the record does not say which item it is of"}
	switch {
	case q.letter != nil:
		q.answer.Letters = []Letter{*q.letter}
		cause = deadLetter(*q.letter)
	case q.change != nil && q.change.err != nil:
		cause = Cause{Code: CauseDeadLetter, Summary: q.answer.Record.Said, Do: "look for its dead letter: freshet dlq list"}
	case q.change != nil:
		cause = Cause{Code: CauseSkipped, Summary: q.answer.Record.Said, Do: "look whether match and format of the pipeline file fit it: freshet plan --sample"}
	}
	q.answer.Causes = []Cause{cause}
	return q.answer
}

// askIndex asks Weaviate for the item, and whether a search finds it.
func (q *inquiry) askIndex(ctx context.Context) {
	index, err := q.weaviate(ctx)
	if err != nil {
		q.note("what the index has: %v", err)
		return
	}
	asking, cancel := context.WithTimeout(ctx, 2*connectBound)
	defer cancel()
	found, err := index.Inspect(asking, *q.item)
	if err != nil {
		q.indexed = nil
		q.note("what the index has: %v", err)
		return
	}
	q.indexed, q.unwritable = &found, ""
	if why := index.Unwritable(asking, q.item.Collection); why != nil {
		q.unwritable = why.Error()
	}
	if q.unfound = false; !found.Main || !found.State.Complete() {
		return
	}
	missing, err := index.SelfFound(asking, q.item.Collection, []record.Item{*q.item}, nil)
	if err != nil {
		q.note("whether a search finds it: %v", err)
		return
	}
	q.unfound = len(missing) > 0
}

// lookAgain looks at groups and metrics once more, 2 s after the first time, and then until what the item waits for has
// moved, or has not for so long that it is stuck: a batch may take some seconds.
func (q *inquiry) lookAgain(ctx context.Context) {
	first := q.now
	for wait := lookTwice; wait <= stuckLook; wait += lookTwice {
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait - time.Since(first.at)):
		}
		q.earlier, q.now = first, q.look(ctx)
		if !slices.ContainsFunc(q.answer.Waiting, func(w Waiting) bool {
			p := q.now.position(w.Stage, w.Topic, w.Partition)
			return p != nil && len(q.whyBroken(w)) == 0 && q.now.standings[w.Stage].Members > 0 && !moved(first, w.Stage, p)
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

func (q *inquiry) lane(stage string) lane {
	return q.now.lanes[slices.IndexFunc(q.now.lanes, func(l lane) bool { return l.stage == stage })]
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
		UpdatedAt: q.indexed.UpdatedAt, Position: s.Origin.GetPosition(),
	}
	if _, generation, ok := strings.Cut(strings.TrimSuffix(x.Class, "_side"), "_g"); ok {
		_, _ = fmt.Sscan(generation, &x.Generation)
	}
	// Where its record was not seen, the version may be that of a backfill's marker, or of a redriven letter.
	if offset, ok := q.offsetOf(x.Version); ok && slices.ContainsFunc(q.documents, func(d seen) bool { return d.Offset == offset && d.version == x.Version }) {
		x.Versioned = &Place{Topic: q.cfg.Topics.DocumentsLive(), Partition: q.partition, Offset: offset}
	}
	if at := s.Origin.GetCommittedAt(); at > 0 {
		x.CommittedAt = time.UnixMicro(at).UTC()
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
