package inspect

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/freshet-io/freshet/libs/kafka"
	"github.com/freshet-io/freshet/libs/record"
	"github.com/freshet-io/freshet/libs/stage"
	"github.com/freshet-io/freshet/services/ingest/ingester"
)

// Parse reads a question: topic/partition/offset of a topic that the installation has, or else an id, its parts joined by
// +, or as a JSON array of texts. The collection may be empty where there is only one, the tenant where items have none. Its error
// says what is missing.
func (i *Inspector) Parse(text, collection, tenant string) (Subject, error) {
	if m := placePattern.FindStringSubmatch(text); m != nil && (i.ownTopic(m[1]) || i.reads(m[1])) {
		at, err := parsePlace(text)
		return Subject{Place: &at}, err
	}
	if text == "" {
		return Subject{}, errors.New("give an id, or topic/partition/offset of a record")
	}
	s, err := i.parseItem(text, collection, tenant)
	if why := takenForID(text); err != nil && why != "" {
		err = fmt.Errorf("%w (%s)", err, why)
	}
	return s, err
}

var placePattern = regexp.MustCompile(`^([a-zA-Z0-9._-]+)/(\d+)/(\d+)$`)

// parsePlace reads topic/partition/offset.
func parsePlace(text string) (at Place, err error) {
	m := placePattern.FindStringSubmatch(text)
	if m == nil {
		return at, fmt.Errorf("%q is no place in Kafka: topic/partition/offset", text)
	}
	partition, wrong := strconv.ParseInt(m[2], 10, 32)
	offset, err := strconv.ParseInt(m[3], 10, 64)
	if errors.Join(wrong, err) != nil {
		return at, fmt.Errorf("%s: there is no such partition or offset", text)
	}
	return Place{Topic: m[1], Partition: int32(partition), Offset: offset}, nil
}

// takenForID says that what looks like a place in Kafka was taken for an id; nothing of what does not look so.
func takenForID(text string) string {
	m := placePattern.FindStringSubmatch(text)
	if m == nil {
		return ""
	}
	return fmt.Sprintf("%s was taken for an id, since no topic of the pipeline is called %s", text, m[1])
}

// parseItem reads an id.
func (i *Inspector) parseItem(text, collection, tenant string) (Subject, error) {
	var names []string
	for _, c := range i.file.Collections() {
		names = append(names, c.Name)
	}
	switch {
	case collection == "" && len(names) > 1:
		return Subject{}, fmt.Errorf("there are several collections: say which one by --collection (%s)", strings.Join(names, ", "))
	case collection == "":
		collection = names[0]
	case !slices.Contains(names, collection):
		return Subject{}, fmt.Errorf("--collection %s: the pipeline file has %s", collection, strings.Join(names, ", "))
	}
	id, err := i.parseID(text, collection, tenant)
	return Subject{Item: &record.Item{Collection: collection, Tenant: tenant, ID: id}}, err
}

// parseID returns the parts of an id of a collection, and refuses what its pipelines do not make.
func (i *Inspector) parseID(text, collection, tenant string) (id []string, err error) {
	divided, parts := false, 0
	for _, p := range i.file.Pipelines {
		if p.Collection == collection {
			divided, parts = divided || p.Tenant != nil, len(p.ID.From)
		}
	}
	switch {
	case divided && tenant == "":
		return nil, fmt.Errorf("items of %s belong to tenants: name one by --tenant", collection)
	case !divided && tenant != "":
		return nil, fmt.Errorf("--tenant %s: items of %s have no tenants", tenant, collection)
	case strings.HasPrefix(text, "[") && json.Unmarshal([]byte(text), &id) == nil && len(id) == parts:
		return id, nil
	case parts == 1: // it may have a + in it
		return []string{text}, nil
	}
	if id = strings.Split(text, "+"); len(id) != parts {
		return nil, fmt.Errorf("%s: ids of %s have %d parts, joined by +; where a part has a + itself, write them as JSON: [\"a+b\",\"7\"]", text, collection, parts)
	}
	return id, nil
}

// ownTopic reports whether a topic is of the pipeline and has records of items.
func (i *Inspector) ownTopic(topic string) bool {
	t := i.cfg.Topics
	return slices.Contains([]string{t.DocumentsLive(), t.DocumentsBulk(), t.VectorsLive(), t.VectorsBulk(), t.DeadLetters()}, topic)
}

// absence says why a record is not there, whoever asks and however often.
type absence struct{ error }

func absent(format string, args ...any) error { return absence{fmt.Errorf(format, args...)} }

// recordAt reads one record. Its error says why there is none; it is an absence where nothing is away.
func (i *Inspector) recordAt(ctx context.Context, at Place) (found *kgo.Record, err error) {
	of := i.source
	if i.ownTopic(at.Topic) {
		of = i.own
	}
	client, err := of.get(ctx)
	if err != nil {
		return nil, err
	}
	spans, err := WholeTopic(ctx, client, at.Topic)
	switch {
	case errors.Is(err, kerr.UnknownTopicOrPartition):
		return nil, absent("there is no topic %s", at.Topic)
	case err != nil:
		return nil, err
	}
	n := slices.IndexFunc(spans, func(s kafka.Span) bool { return s.Partition == at.Partition })
	switch {
	case n < 0:
		return nil, absent("topic %s has no partition %d", at.Topic, at.Partition)
	case at.Offset >= spans[n].To:
		return nil, absent("there is no record at %s yet: the partition ends at %d", at, spans[n].To)
	case at.Offset < spans[n].From:
		return nil, absent("there is no record at %s any more: the partition begins at %d, what was before it has been removed by its retention", at, spans[n].From)
	}
	err = of.scan(ctx, []kafka.Span{{Topic: at.Topic, Partition: at.Partition, From: at.Offset, To: at.Offset + 1}}, func(r *kgo.Record) bool {
		found = r
		return false
	})
	if err == nil && found == nil {
		err = absent("there is no record at %s: it was removed by compaction, or belongs to a transaction", at)
	}
	return found, err
}

// maxShown bounds what is shown of a record's key, value and each header, in bytes.
const maxShown = 8 << 10

func shown(r *kgo.Record) *Record {
	s := &Record{Place: placeOf(r), Timestamp: r.Timestamp.UTC(), Key: printable(r.Key), Value: printable(r.Value), Headers: map[string]string{}}
	for _, h := range r.Headers {
		s.Headers[h.Key] = printable(h.Value)
	}
	return s
}

func placeOf(r *kgo.Record) Place {
	return Place{Topic: r.Topic, Partition: r.Partition, Offset: r.Offset}
}

// printable returns text as it is, and bytes that are none with escapes.
func printable(b []byte) string {
	cut := ""
	if len(b) > maxShown {
		cut, b = fmt.Sprintf("… (%d bytes)", len(b)), b[:maxShown]
	}
	text := strconv.QuoteToGraphic(string(b))
	text = strings.NewReplacer(`\"`, `"`, `\\`, `\`).Replace(text[1 : len(text)-1])
	return text + cut
}

// change is what ingest makes of a record of a source topic.
type change struct {
	documents []*record.Document
	label     string
	err       error // a permanent fault: it becomes a dead letter
}

// decode has an ingester read a record of a source topic. Without the topic's id the orders of the documents are of no source. Its
// error says that it cannot be read now.
func decode(ctx context.Context, by *ingester.Ingester, r *kgo.Record, topicID [16]byte) (change, error) {
	h := headersOf(r.Headers)
	in := stage.Record{
		Topic: r.Topic, TopicID: topicID, Partition: r.Partition, Offset: r.Offset, LeaderEpoch: r.LeaderEpoch, Time: r.Timestamp,
		Key: r.Key, Value: r.Value, Force: h[record.HeaderForce] == "true",
	}
	if fault, ok := h[record.HeaderFault]; ok {
		in.Fault = []byte(fault)
	}
	outcomes, err := by.Handle(ctx, []ingester.Change{{Record: in}})
	if err != nil {
		return change{}, fmt.Errorf("reading %s: %w", placeOf(r), err)
	}
	return change{outcomes[0].Out, outcomes[0].Label, outcomes[0].Err}, nil
}

// open reads the record that is asked about, and finds out which item it is of.
func (q *inquiry) open(ctx context.Context, at Place) error {
	r, err := q.recordAt(ctx, at)
	if err != nil {
		return err
	}
	q.answer.Record = shown(r)
	key, said := r.Key, &q.answer.Record.Said
	switch {
	case !q.ownTopic(at.Topic):
		q.openChange(ctx, r)
		return nil
	case at.Topic == q.cfg.Topics.DeadLetters():
		l := letterOf(r)
		q.letter, key = &l, []byte(l.key)
		*said = fmt.Sprintf("a dead letter of %s, %s: %s", l.Stage, l.Reason, l.said())
	default:
		*said = "a record of no item"
	}
	if item, err := record.ParseKey(key); err == nil {
		q.item = &item
		if q.letter == nil {
			*said = q.says(r)
		}
	}
	return nil
}

// openChange reads a record of a source topic.
func (q *inquiry) openChange(ctx context.Context, r *kgo.Record) {
	c, err := decode(ctx, q.ingester, r, [16]byte{})
	if err != nil {
		q.note("what ingest makes of it: %v", err)
		return
	}
	q.change = &c
	var items []string
	for _, d := range c.documents {
		item := d.Item()
		if q.item == nil {
			q.item = &item
		}
		if name := item.String(); !slices.Contains(items, name) {
			items = append(items, name)
		}
	}
	said := &q.answer.Record.Said
	switch {
	case c.err != nil:
		*said = "ingest cannot use it: " + c.err.Error()
	case len(items) == 0:
		*said = fmt.Sprintf("ingest takes nothing of it (%s)", c.label)
	case len(items) > 1:
		*said = fmt.Sprintf("a change of %s; what follows is about the first one", strings.Join(items, ", "))
	default:
		*said = fmt.Sprintf("a change of %s (%s)", items[0], c.label)
	}
}

// says tells what a record of the documents or vectors is.
func (q *inquiry) says(r *kgo.Record) string {
	s, err := q.see(r)
	if err != nil {
		return "it cannot be read: " + err.Error()
	}
	op := strings.ReplaceAll(strings.ToLower(strings.TrimPrefix(s.document.GetOp().String(), "OP_")), "_", " ")
	return fmt.Sprintf("%s of %s, version %d", op, q.item, s.version)
}
