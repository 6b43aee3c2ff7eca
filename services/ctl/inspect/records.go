package inspect

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/freshet-io/freshet/libs/kafka"
	"github.com/freshet-io/freshet/libs/record"
	"github.com/freshet-io/freshet/libs/telemetry"
)

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
