package inspect

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/freshet-io/freshet/libs/kafka"
	"github.com/freshet-io/freshet/libs/record"
	"github.com/freshet-io/freshet/libs/telemetry"
)

const (
	// scanRecords, scanBytes and scanTime bound what is read at once.
	scanRecords = 100_000 // of a partition of the pipeline, of all source topics
	scanBytes   = 256 << 20
	scanTime    = 20 * time.Second
	// nearRecords is how far behind its document a vector is looked for: embed answers within that. A row of a backfill that
	// was refused is looked for as far before what embed has finished.
	nearRecords = 10_000
	// earlierRecords is how far before the indexed version an earlier one is looked for, to tell whether the text is new.
	earlierRecords = 2_000
)

// seen is a record of the item. One of a source topic has its place, its time and its stage alone.
type seen struct {
	Place

	stage       string // that reads it
	at          time.Time
	bulk        bool // of a backfill's topics
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

// read hands over the records of spans, of each no more than the last ones. It reports whether that were all of them: what a
// bound or an error kept it from, also one of visit, is noted.
func (q *inquiry) read(ctx context.Context, c *cluster, spans []kafka.Span, most int64, visit func(*kgo.Record) error) (whole bool) {
	whole = true
	misses := func(s *kafka.Span, from, to int64, why string) {
		if whole = false; from < to {
			q.note("%s partition %d: the records %d to %d: %s", s.Topic, s.Partition, from, to-1, why)
		}
	}
	next := map[Place]int64{}
	for n := range spans {
		s := &spans[n]
		if from := s.To - most; from > s.From {
			misses(s, s.From, from, fmt.Sprintf("beyond the bound of %d", most))
			s.From = from
		}
		next[Place{Topic: s.Topic, Partition: s.Partition}] = s.From
	}
	ctx, cancel := context.WithTimeout(ctx, scanTime)
	defer cancel()
	size, failed := 0, error(nil)
	err := c.scan(ctx, spans, func(r *kgo.Record) bool {
		if failed = visit(r); failed != nil {
			return false
		}
		next[Place{Topic: r.Topic, Partition: r.Partition}] = r.Offset + 1
		if size += len(r.Value); size >= scanBytes {
			failed = fmt.Errorf("beyond the bound of %d MB", scanBytes>>20)
		}
		return failed == nil
	})
	if err = cmp.Or(failed, err); err == nil {
		return whole
	}
	for n := range spans {
		s := &spans[n]
		misses(s, next[Place{Topic: s.Topic, Partition: s.Partition}], s.To, err.Error())
	}
	return false
}

// readOwn reads the item's records of spans of the pipeline's topics, in the order in which they came.
func (q *inquiry) readOwn(ctx context.Context, spans ...kafka.Span) (all []seen, whole bool) {
	whole = q.read(ctx, q.own, spans, scanRecords, func(r *kgo.Record) error {
		if !bytes.Equal(r.Key, q.key) {
			return nil
		}
		if s, err := q.see(r); err != nil {
			q.note("%s: %v", placeOf(r), err)
		} else {
			all = append(all, s)
		}
		return nil
	})
	slices.SortStableFunc(all, func(a, b seen) int { return a.at.Compare(b.at) })
	return all, whole
}

// askLog reads the item's records in the documents and the vectors.
func (q *inquiry) askLog(ctx context.Context) {
	client, err := q.own.get(ctx)
	if _, ok := q.now.standings[stageEmbed]; err != nil || !ok {
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

// readDocuments reads the live documents from before the indexed version on, and a backfill's newest ones. It reports whether
// it has seen all that are newer than the index.
func (q *inquiry) readDocuments(ctx context.Context) bool {
	p := q.now.position(stageEmbed, q.cfg.Topics.DocumentsLive(), q.partition)
	if p == nil {
		return false
	}
	from, reached := p.Start, true
	if offset, ok := q.offsetOf(q.version()); ok && offset < p.End {
		reached = offset+1 >= p.Start
		from = max(offset-earlierRecords, p.Start)
	}
	spans := []kafka.Span{{Topic: p.Topic, Partition: p.Partition, From: from, To: p.End}}
	if b := q.now.position(stageBulk, q.cfg.Topics.DocumentsBulk(), q.partition); b != nil {
		spans = append(spans, kafka.Span{Topic: b.Topic, Partition: b.Partition, From: max(b.Done()-nearRecords, b.Start), To: b.End})
	}
	var whole bool
	q.documents, whole = q.readOwn(ctx, spans...)
	q.first = from == 0 && whole
	return reached && whole
}

// readVectors reads the vectors that write has not finished, and looks for that of the newest document.
func (q *inquiry) readVectors(ctx context.Context, client *kgo.Client) {
	var unfinished []kafka.Span
	for _, topic := range []string{q.cfg.Topics.VectorsLive(), q.cfg.Topics.VectorsBulk()} {
		p := q.now.position(stageWrite, topic, q.partition)
		if p == nil {
			return
		}
		unfinished = append(unfinished, kafka.Span{Topic: p.Topic, Partition: p.Partition, From: p.Done(), To: p.End})
	}
	newest := q.newest()
	q.vectors, _ = q.readOwn(ctx, slices.Clone(unfinished)...)
	if newest == nil || slices.ContainsFunc(q.vectors, func(s seen) bool { return s.version == newest.version }) {
		return
	}
	finished := unfinished[0]
	if newest.bulk {
		finished = unfinished[1]
	}
	near, err := kadm.NewClient(client).ListOffsetsAfterMilli(ctx, newest.at.UnixMilli(), finished.Topic)
	at, ok := near.Lookup(finished.Topic, q.partition)
	if err != nil || !ok || at.Err != nil {
		q.note("its record in %s: %v", finished.Topic, errors.Join(err, at.Err))
		return
	}
	finished.From, finished.To = at.Offset, min(at.Offset+nearRecords, finished.From)
	before, _ := q.readOwn(ctx, finished)
	q.vectors = append(before, q.vectors...)
}

// see reads a record of the documents or vectors.
func (q *inquiry) see(r *kgo.Record) (seen, error) {
	h, t := headersOf(r.Headers), q.cfg.Topics
	s := seen{
		Place: placeOf(r), stage: stageEmbed, at: r.Timestamp.UTC(), bulk: r.Topic == t.DocumentsBulk() || r.Topic == t.VectorsBulk(),
		trace: traceOf(h[telemetry.HeaderTraceparent]),
	}
	if stamps, err := record.DecodeStamps([]byte(h[record.HeaderStamps])); err == nil {
		s.stamps, s.stamped = stamps, true
	}
	if r.Topic == t.VectorsLive() || r.Topic == t.VectorsBulk() {
		v, err := record.DecodeVector(r.Value)
		if err != nil {
			return s, err
		}
		s.stage, s.document, s.version, s.origin = stageWrite, v.GetDocument(), v.GetVersion(), v.GetVersionOrigin()
		s.state, s.fingerprint, s.tokens = v.GetState(), bytes.Clone(v.GetFingerprint()), v.GetOriginalTokens()
		return s, nil
	}
	var err error
	if s.document, err = record.DecodeDocument(r.Value); err != nil {
		return s, err
	}
	switch explicit := h[record.HeaderVersion]; {
	case s.bulk:
		s.stage, s.version, s.origin = stageBulk, s.document.GetStamp(), record.VersionOrigin_VERSION_ORIGIN_STAMP
	case explicit != "":
		s.origin = record.VersionOrigin_VERSION_ORIGIN_EXPLICIT
		s.version, err = strconv.ParseInt(explicit, 10, 64)
	default:
		s.origin = record.VersionOrigin_VERSION_ORIGIN_LOG
		s.version, err = record.Version(q.epoch, r.Offset)
	}
	if err != nil {
		return s, fmt.Errorf("reading its version: %w", err)
	}
	return s, nil
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
	for _, topic := range q.now.lane(stageIngest).topics {
		if !slices.ContainsFunc(stand.Partitions, func(p kafka.Position) bool { return p.Topic == topic }) {
			q.note("the source topic %s: Kafka does not have it", topic)
		}
	}
	var origin *record.Origin
	if q.indexed != nil {
		origin = q.indexed.State.Origin
	}
	absent := q.indexed != nil && q.version() == 0 && len(q.documents) == 0
	var spans []kafka.Span
	for _, p := range stand.Partitions {
		s := kafka.Span{Topic: p.Topic, Partition: p.Partition, From: p.Done(), To: p.End}
		switch {
		case absent:
			s.From = p.Start
		case origin != nil && origin.GetTopic() == p.Topic && origin.GetPartition() == p.Partition:
			s.From = min(s.From, max(origin.GetOffset()+1, p.Start))
		}
		spans = append(spans, s)
	}
	q.srcWhole = q.read(ctx, q.source, spans, int64(scanRecords/max(len(spans), 1)), func(r *kgo.Record) error {
		c, err := decode(ctx, q.ingester, r, [16]byte{})
		if slices.ContainsFunc(c.documents, func(d *record.Document) bool { return bytes.Equal(d.Item().Key(), q.key) }) {
			q.changes = append(q.changes, seen{Place: placeOf(r), stage: stageIngest, at: r.Timestamp.UTC()})
		}
		return err
	})
}

// askLetters finds the item's dead letters.
func (q *inquiry) askLetters(ctx context.Context) {
	if _, ok := q.now.standings[stageEmbed]; !ok {
		return // its cluster is away, as look has said
	}
	letters, _, cut, err := q.recent(ctx)
	if err != nil {
		q.note("the dead letters: %v", err)
		return
	}
	if cut {
		q.note("dead letters older than the newest %d", recentLetters)
	}
	for _, l := range slices.Backward(letters) {
		if l.key == string(q.key) || q.letter != nil && l.isSame(q.letter) {
			q.answer.Letters = append(q.answer.Letters, l)
		}
	}
}
