package inspect

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/freshet-io/freshet/libs/kafka"
	"github.com/freshet-io/freshet/libs/record"
	"github.com/freshet-io/freshet/libs/telemetry"
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

// seen is a record of the item in a topic of the pipeline.
type seen struct {
	Place
	at          time.Time
	document    *record.Document
	version     int64
	origin      record.VersionOrigin
	state       record.VectorState // of a vector
	fingerprint []byte             // of a vector
	tokens      int64
	stamps      record.Stamps
	stamped     bool
	trace       string
}

// seenChange is a record of a source topic that is about the item.
type seenChange struct {
	Place
	at       time.Time
	rejected error
	op       record.Op
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

// askLog reads the item's records in the documents and the vectors.
func (q *inquiry) askLog(ctx context.Context) {
	client, err := q.kafka(ctx)
	if err != nil || !q.now.answers(stageEmbed) {
		return // which look has said already
	}
	identities, err := kafka.ReadControl(ctx, client, q.cfg.Topics)
	if err != nil {
		q.note("the topics' identities: %v", err)
		return
	}
	live := identities.Topics[q.cfg.Topics.DocumentsLive()]
	if live == nil {
		q.note("the item's partition: topic %s has no identity yet; has `freshet topics apply` been run?", q.cfg.Topics.DocumentsLive())
		return
	}
	q.epoch, q.partition = live.GetEpoch(), record.Partition(q.key, live.GetPartitions())
	q.logWhole = q.readDocuments(ctx)
	q.readVectors(ctx, client)
}

// readDocuments reads the live documents from before the indexed version on, and the unread ones of a backfill. It
// reports whether it has seen all that are newer than the index.
func (q *inquiry) readDocuments(ctx context.Context) bool {
	p := q.now.position(stageEmbed, q.cfg.Topics.DocumentsLive(), q.partition)
	if p == nil {
		return false
	}
	from, whole := p.Start, true
	if offset, ok := q.offsetOf(q.version()); ok && offset < p.End {
		if offset < p.Start && q.version() > 0 {
			whole = offset+1 >= p.Start
		}
		from = max(offset-earlierRecords, p.Start)
	}
	spans := []kafka.Span{{Topic: p.Topic, Partition: p.Partition, From: from, To: p.End}}
	if b := q.now.position(stageBulk, q.cfg.Topics.DocumentsBulk(), q.partition); b != nil {
		spans = append(spans, kafka.Span{Topic: b.Topic, Partition: b.Partition, From: b.Done(), To: b.End})
	}
	var cut bool
	q.documents, cut = q.read(ctx, spans)
	q.first = from == 0 && !cut
	return whole && !cut
}

// readVectors reads the vectors that write has not finished, and looks for that of the newest document.
func (q *inquiry) readVectors(ctx context.Context, client *kgo.Client) {
	var spans []kafka.Span
	for _, topic := range []string{q.cfg.Topics.VectorsLive(), q.cfg.Topics.VectorsBulk()} {
		p := q.now.position(stageWrite, topic, q.partition)
		if p == nil {
			return
		}
		spans = append(spans, kafka.Span{Topic: p.Topic, Partition: p.Partition, From: p.Done(), To: p.End})
	}
	waiting, _ := q.read(ctx, spans)
	q.vectors = waiting
	if len(q.documents) == 0 {
		return
	}
	newest := q.documents[len(q.documents)-1]
	if slices.ContainsFunc(waiting, func(s seen) bool { return s.version == newest.version }) {
		return
	}
	live := spans[0]
	near, err := kadm.NewClient(client).ListOffsetsAfterMilli(ctx, newest.at.UnixMilli(), live.Topic)
	at, ok := near.Lookup(live.Topic, q.partition)
	if err != nil || !ok || at.Err != nil {
		q.note("its record in %s: %v", live.Topic, errors.Join(err, at.Err))
		return
	}
	before, _ := q.read(ctx, []kafka.Span{{Topic: live.Topic, Partition: q.partition, From: at.Offset, To: min(at.Offset+nearRecords, live.From)}})
	q.vectors = append(before, q.vectors...)
}

// read returns the item's records of spans of the pipeline's topics, in the order of each. cut says that a bound kept it
// from some of them, which is noted.
func (q *inquiry) read(ctx context.Context, spans []kafka.Span) (all []seen, cut bool) {
	size, last := 0, map[string]int64{}
	for n := range spans {
		s := &spans[n]
		if s.To-s.From > scanRecords {
			q.note("%s partition %d: the records %d to %d, beyond the bound of %d", s.Topic, s.Partition, s.From, s.To-scanRecords-1, scanRecords)
			s.From, cut = s.To-scanRecords, true
		}
		last[s.Topic] = s.From
	}
	reading, cancel := context.WithTimeout(ctx, scanTime)
	defer cancel()
	err := q.scan(reading, false, spans, func(r *kgo.Record) bool {
		size += len(r.Value)
		last[r.Topic] = r.Offset + 1
		if bytes.Equal(r.Key, q.key) {
			s, err := q.see(r)
			if err != nil {
				q.note("%s: %v", placeOf(r), err)
			} else {
				all = append(all, s)
			}
		}
		return size < scanBytes
	})
	if err != nil || size >= scanBytes {
		cut = true
		for _, s := range spans {
			if last[s.Topic] < s.To {
				why := fmt.Sprintf("beyond the bound of %d MB", scanBytes>>20)
				if err != nil {
					why = err.Error()
				}
				q.note("%s partition %d: the records %d to %d: %s", s.Topic, s.Partition, last[s.Topic], s.To-1, why)
			}
		}
	}
	return all, cut
}

// see reads a record of the documents or vectors.
func (q *inquiry) see(r *kgo.Record) (seen, error) {
	h := headersOf(r)
	s := seen{Place: placeOf(r), at: r.Timestamp.UTC()}
	if stamps, err := record.DecodeStamps([]byte(h[record.HeaderStamps])); err == nil {
		s.stamps, s.stamped = stamps, true
	}
	s.trace = traceOf(h[telemetry.HeaderTraceparent])
	if r.Topic == q.cfg.Topics.VectorsLive() || r.Topic == q.cfg.Topics.VectorsBulk() {
		v, err := record.DecodeVector(r.Value)
		if err != nil {
			return s, err
		}
		s.document, s.version, s.origin = v.GetDocument(), v.GetVersion(), v.GetVersionOrigin()
		s.state, s.fingerprint, s.tokens = v.GetState(), bytes.Clone(v.GetFingerprint()), v.GetOriginalTokens()
		return s, nil
	}
	d, err := record.DecodeDocument(r.Value)
	if err != nil {
		return s, err
	}
	s.document, s.origin = d, record.VersionOrigin_VERSION_ORIGIN_LOG
	if explicit := h[record.HeaderVersion]; explicit != "" {
		s.origin = record.VersionOrigin_VERSION_ORIGIN_EXPLICIT
		if _, err := fmt.Sscan(explicit, &s.version); err != nil {
			return s, fmt.Errorf("reading its version: %w", err)
		}
		return s, nil
	}
	if r.Topic == q.cfg.Topics.DocumentsBulk() {
		s.version, s.origin = d.GetStamp(), record.VersionOrigin_VERSION_ORIGIN_STAMP
		return s, nil
	}
	s.version, err = record.Version(q.epoch, r.Offset)
	return s, err
}

var traceparent = regexp.MustCompile(`^[0-9a-f]{2}-([0-9a-f]{32})-`)

// traceOf returns the id of a trace. It becomes a part of a link: nothing else may pass.
func traceOf(header string) string {
	if m := traceparent.FindStringSubmatch(header); m != nil {
		return m[1]
	}
	return ""
}

// askSources reads the source topics: what ingest has not read, and what is newer than the indexed change, if that is
// known; or all that there is, where the index knows nothing of the item.
func (q *inquiry) askSources(ctx context.Context) {
	stand, ok := q.now.standings[stageIngest]
	if !ok {
		return
	}
	ids := q.topicIDs(ctx)
	var origin *record.Origin
	if q.indexed != nil {
		origin = q.indexed.State.Origin
	}
	absent := q.indexed != nil && q.version() == 0 && len(q.documents) == 0
	q.missesTopics(stand)
	var spans []kafka.Span
	whole, most := true, int64(scanRecords/max(len(stand.Partitions), 1))
	for _, p := range stand.Partitions {
		s := kafka.Span{Topic: p.Topic, Partition: p.Partition, From: p.Done(), To: p.End}
		switch {
		case absent:
			s.From = p.Start
		case origin != nil && origin.GetTopic() == p.Topic && origin.GetPartition() == p.Partition:
			s.From = min(s.From, max(origin.GetOffset()+1, p.Start))
		}
		if s.To-s.From > most {
			q.note("%s partition %d: the records %d to %d, beyond the bound of %d", s.Topic, s.Partition, s.From, s.To-most-1, most)
			s.From, whole = s.To-most, false
		}
		spans = append(spans, s)
	}
	reading, cancel := context.WithTimeout(ctx, scanTime)
	defer cancel()
	size := 0
	err := q.scan(reading, true, spans, func(r *kgo.Record) bool {
		size += len(r.Value)
		c, err := q.decode(reading, r, ids[r.Topic])
		if err != nil {
			q.note("%v", err)
			whole = false
			return false
		}
		for _, d := range c.documents {
			if bytes.Equal(d.Item().Key(), q.key) {
				q.changes = append(q.changes, seenChange{Place: placeOf(r), at: r.Timestamp.UTC(), rejected: c.err, op: d.GetOp()})
				break
			}
		}
		return size < scanBytes
	})
	if err != nil {
		q.note("the source topics: %v", err)
	}
	if size >= scanBytes {
		q.note("the rest of the source topics, beyond the bound of %d MB", scanBytes>>20)
	}
	q.srcWhole = whole && err == nil && size < scanBytes
}

// missesTopics notes which source topics are not there.
func (q *inquiry) missesTopics(stand kafka.Standing) {
	for _, topic := range q.lane(stageIngest).topics {
		if !slices.ContainsFunc(stand.Partitions, func(p kafka.Position) bool { return p.Topic == topic }) {
			q.note("the source topic %s: Kafka does not have it", topic)
		}
	}
}

func (q *inquiry) topicIDs(ctx context.Context) map[string][16]byte {
	ids := map[string][16]byte{}
	client, err := q.sources(ctx)
	if err != nil {
		return ids
	}
	details, err := kadm.NewClient(client).ListTopics(ctx, q.lane(stageIngest).topics...)
	if err != nil {
		return ids
	}
	for name, d := range details {
		ids[name] = d.ID
	}
	return ids
}

func (q *inquiry) lane(stage string) lane {
	return q.now.lanes[slices.IndexFunc(q.now.lanes, func(l lane) bool { return l.stage == stage })]
}

// askLetters finds the item's dead letters.
func (q *inquiry) askLetters(ctx context.Context) {
	client, err := q.kafka(ctx)
	if err != nil || !q.now.answers(stageEmbed) {
		return
	}
	letters, _, cut, err := q.letters.look(ctx, q.cfg.Kafka, client, q.cfg.Topics.DeadLetters())
	if err != nil {
		q.note("the dead letters: %v", err)
		return
	}
	if cut {
		q.note("dead letters older than the newest %d", recentLetters)
	}
	for _, l := range slices.Backward(letters) {
		if l.key == string(q.key) || q.letter != nil && l.Partition == q.letter.Partition && l.Offset == q.letter.Offset {
			q.answer.Letters = append(q.answer.Letters, l)
		}
	}
}

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
