package chaos

import (
	"context"
	"fmt"
	"hash/fnv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/freshet-io/freshet/libs/record"
)

// row is a row of the backfill as it was sent.
type row struct {
	item  string
	seq   int
	text  string
	notes string // the end of the text
	stamp int64
}

// produce sends the changes at their times.
func (w *world) produce(ctx context.Context) {
	for _, c := range w.plan.changes {
		if wait(ctx, c.at-w.now()) != nil {
			return
		}
		w.send(ctx, c)
	}
}

func (w *world) send(ctx context.Context, c *change) {
	h := fnv.New32a()
	_, _ = h.Write([]byte(c.item))
	r := &kgo.Record{Topic: topicOf(c.item), Partition: int32(h.Sum32() % uint32(w.plan.partitions))} //nolint:gosec // few
	r.Key = fmt.Appendf(nil, `{"id":%q}`, c.item)
	r.Value = valueOf(c)
	if err := w.client.ProduceSync(ctx, r).FirstErr(); err != nil {
		w.t.Errorf("sending a change: %v", err)
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	c.sent, c.topic, c.partition, c.offset = true, r.Topic, r.Partition, r.Offset
	w.newest[c.item] = c
}

func topicOf(item string) string {
	if item[0] == 'r' {
		return "shop.rows"
	}
	return "shop.items"
}

func valueOf(c *change) []byte {
	row := rowOf(c.item, c.text, c.notes, c.seq)
	if c.partial {
		row = rowOf(c.item, c.text, c.notes, c.seq, "__debezium_unavailable_value")
	}
	plain := topicOf(c.item) == "shop.rows"
	switch {
	case c.fate == malformed:
		return []byte(`{"id": not JSON`)
	case c.fate == removed && plain:
		return nil
	case plain:
		return []byte(row)
	case c.fate == removed:
		return fmt.Appendf(nil, `{"op":"d","before":{"id":%q},"after":null,"source":{"connector":"mysql","db":"shop","table":"items"}}`, c.item)
	}
	return fmt.Appendf(nil, `{"op":"u","before":null,"after":%s,"source":{"connector":"mysql","db":"shop","table":"items"}}`, row)
}

// rowOf returns a row of the source as JSON. instead, if given, stands in the column of the notes.
func rowOf(item, text, notes string, seq int, instead ...string) string {
	text = strings.TrimSuffix(text, " "+notes)
	if len(instead) > 0 {
		notes = instead[0]
	}
	return fmt.Sprintf(`{"id":%q,"notes":%q,"seq":%d,"text":%q}`, item, notes, seq, text)
}

// backfill sends rows, each stamped with a marker that was settled before it was read.
func (w *world) backfill(ctx context.Context) {
	seqs := map[string]int{}
	hash, _ := w.file.Pipelines[0].ItemRecipe()
	for _, b := range w.plan.rows {
		if wait(ctx, b.at-w.now()) != nil {
			return
		}
		key := itemKey(b.item).Key()
		partition := record.Partition(key, w.plan.partitions)
		marker := &record.Document{Op: record.Op_OP_MARKER, Job: "backfill"}
		offset, err := w.append(ctx, w.topics.DocumentsLive(), partition, nil, marker)
		if err != nil {
			w.t.Errorf("appending a marker: %v", err)
			return
		}
		stamp, _ := record.Version(w.identity.Epoch, offset)
		r := &row{item: b.item, stamp: stamp}
		w.mu.Lock()
		if c := w.newest[b.item]; c != nil && c.fate == good {
			r.seq, r.text, r.notes = c.seq, c.text, c.notes
		} else if b.item[0] == 'b' {
			seqs[b.item]++
			r.seq, r.text = seqs[b.item], fmt.Sprintf("row %s %d", b.item, seqs[b.item])
		}
		w.mu.Unlock()
		if r.text == "" {
			continue // the source has no such row
		}
		d := &record.Document{
			Op: record.Op_OP_UPSERT, Collection: "Item", Id: []string{b.item}, Pipeline: "items", Text: r.text, Stamp: stamp,
			Properties: []*record.Property{{Name: "seq", Value: &record.Value{Kind: &record.Value_Integer{Integer: int64(r.seq)}}}},
			Inputs:     []byte(rowOf(r.item, r.text, r.notes, r.seq)),
			Recipe:     hash,
			Job:        "backfill",
		}
		if _, err := w.append(ctx, w.topics.DocumentsBulk(), partition, key, d); err != nil {
			w.t.Errorf("appending a row of the backfill: %v", err)
			return
		}
		w.mu.Lock()
		w.rows = append(w.rows, r)
		w.mu.Unlock()
	}
}

func (w *world) append(ctx context.Context, topic string, partition int32, key []byte, d *record.Document) (int64, error) {
	value, err := d.Encode()
	if err != nil {
		return 0, err
	}
	for {
		r := &kgo.Record{Topic: topic, Partition: partition, Key: key, Value: value}
		// The faults of the topic hit the driver, too.
		if err = w.client.ProduceSync(ctx, r).FirstErr(); err == nil || wait(ctx, time.Second) != nil {
			return r.Offset, err
		}
	}
}
