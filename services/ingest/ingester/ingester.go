// Package ingester turns the changes of producers into documents: the state of an
// item that is ready to embed, or its deletion.
//
//	record → open (limits, JSON; Avro by its schema) → decode (debezium, canal, maxwell, rows) → map (one a pipeline) → documents
//
// It owns which item a change is about, what is taken from it, and when it is
// refused. It never does I/O, but for schemas by one small interface, and keeps nothing between records but compiled
// schemas; whatever it cannot understand is rejected with a reason, never guessed.
package ingester

import (
	"cmp"
	"context"
	"fmt"
	"sync"

	"github.com/freshet-io/freshet/libs/fault"
	"github.com/freshet-io/freshet/libs/pipeline"
	"github.com/freshet-io/freshet/libs/record"
	"github.com/freshet-io/freshet/libs/stage"
	"github.com/freshet-io/freshet/libs/values"
	"github.com/freshet-io/freshet/services/ingest/change"
)

// Labels of outcomes, besides those of package change and deadlettered.
const (
	labelUpsert    = "upsert"
	labelDelete    = "delete"
	labelNullKey   = "null-key-and-value" // what follows a delete in a table without key
	labelTombstone = "tombstone"          // follows a delete that says which table it is of
	labelOutbox    = "outbox"
)

// LabelUnmatched is of a record whose topic or table no pipeline asks for; see Unmatched.
const LabelUnmatched = "unmatched"

// Change is one record of a source topic, not decoded yet: decoding needs the
// pipeline file, and a record that does not decode may still name its item.
type Change struct{ stage.Record }

// Decode wraps a record. It never fails: Handle gives a bad record its reason, and
// its item the mark that a newer change exists.
func Decode(r stage.Record) (Change, error) { return Change{r}, nil }

// Options are what an Ingester needs besides the pipeline file.
type Options struct {
	Config Config
	// Rewind returns how often a source was rewound on purpose; nil means never. It
	// is called for each record, from several goroutines.
	Rewind func(source string) uint64
	// Partitioned reports whether a topic has several partitions; nil means that only
	// a record of another one than the first shows it. It is called as Rewind is.
	Partitioned func(topic string) bool
	// Recognised, if not nil, is told of what format the records of a topic are that the
	// file leaves to auto, once or, where two goroutines begin, twice for each.
	Recognised func(topic string, f pipeline.Format)
	// Schemas has those of values in Confluent's wire format; nil means that there is no registry.
	Schemas Schemas
}

// Ingester is a stage.Handler. It may be used from several goroutines.
type Ingester struct {
	mappings []*mapping
	topics   sync.Map // *topic by name, as far as records have come

	limits   change.Limits
	schemas  values.Schemas // that came with the values
	registry Schemas

	rewind      func(source string) uint64
	partitioned func(topic string) bool
	recognised  func(topic string, f pipeline.Format)
}

// topic is what the file says of one topic.
type topic struct {
	source   pipeline.Source // of the first pipeline; the others read it in the same way
	mappings []*mapping
	notice   func(pipeline.Format) // of what format a record was
}

// New compiles the pipelines of a loaded file.
func New(file *pipeline.File, options Options) (*Ingester, error) {
	c := options.Config
	in := &Ingester{
		limits: change.Limits{Bytes: c.MaxValueBytes, Depth: c.MaxDepth, Fields: c.MaxFields},
		rewind: options.Rewind, partitioned: options.Partitioned, recognised: options.Recognised, registry: options.Schemas,
	}
	if in.partitioned == nil {
		in.partitioned = func(string) bool { return false }
	}
	if in.registry == nil {
		in.registry = noSchemas{}
	}
	if in.rewind == nil {
		in.rewind = func(string) uint64 { return 0 }
	}
	placeholder := values.NewPlaceholder(c.UnavailablePlaceholder)
	for i := range file.Pipelines {
		p := &file.Pipelines[i]
		m, err := newMapping(p, placeholder)
		if err != nil {
			return nil, fmt.Errorf("preparing pipeline %s: %w", p.Name, err)
		}
		in.mappings = append(in.mappings, m)
	}
	return in, nil
}

// Handle implements stage.Handler. Each record has its outcome, and one that several
// pipelines read is rejected if one of them rejects it, after the documents of the
// others. Its errors are those of Schemas that are not permanent: a batch whose
// registry is away has no outcome yet.
func (in *Ingester) Handle(ctx context.Context, batch []Change) ([]stage.Outcome[*record.Document], error) {
	known, err := in.describe(ctx, batch)
	if err != nil {
		return nil, err
	}
	outcomes := make([]stage.Outcome[*record.Document], len(batch))
	for i := range batch {
		outcomes[i] = in.handle(&batch[i].Record, known)
	}
	return outcomes, nil
}

// topic returns what the file says of a topic. Where pipelines contradict each other, which
// is refused before there is a record, the first one counts.
func (in *Ingester) topic(name string) *topic {
	if t, found := in.topics.Load(name); found {
		return t.(*topic) //nolint:forcetypeassert // nothing else is in it
	}
	t := &topic{notice: func(pipeline.Format) {}}
	for _, m := range in.mappings {
		if m.pipeline.Source.Reads(name) {
			t.mappings = append(t.mappings, m)
			t.source = t.mappings[0].pipeline.Source
		}
	}
	if t.source.Format == pipeline.Auto && in.recognised != nil {
		var noticed sync.Map
		t.notice = func(f pipeline.Format) {
			if _, known := noticed.LoadOrStore(f, true); !known {
				in.recognised(name, f)
			}
		}
	}
	in.topics.Store(name, t)
	return t
}

func (in *Ingester) handle(r *stage.Record, known described) stage.Outcome[*record.Document] {
	t := in.topic(r.Topic)
	if len(t.mappings) == 0 {
		return stage.Skip[*record.Document](LabelUnmatched)
	}
	key := in.openKey(r.Key, known)
	changes, err := in.read(r, known, key, t)
	b := in.newBuilder(r)
	if err != nil {
		b.begin(&changes[0])
		return t.refuse(b, err)
	}
	return t.apply(b, changes)
}

// apply gives each pipeline that asks for a change's table its documents, for one change
// of the record after the other.
func (t *topic) apply(b *builder, changes []change.Change) stage.Outcome[*record.Document] {
	var label string
	var failed []error
	for i := range changes {
		b.begin(&changes[i])
		said, errs := t.applyOne(b)
		label, failed = cmp.Or(label, said), append(failed, errs...)
	}
	switch {
	case len(failed) > 0:
		return stage.Reject(together(failed), b.refusedLast()...)
	case len(b.documents) == 0:
		return stage.Skip[*record.Document](label)
	}
	return stage.Emit(b.label(), b.documents...)
}

// applyOne adds the documents of one change. Where there are none, label says why.
func (t *topic) applyOne(b *builder) (label string, failed []error) {
	if b.change.Op == change.Skip {
		return b.change.Label, nil
	}
	label = LabelUnmatched
	if b.change.Tombstone {
		label = labelTombstone
	}
	for _, m := range t.mappings {
		wanted, err := m.wants(b)
		switch {
		case wanted && b.change.Outbox && m.pipeline.Match.Table == "":
			label = labelOutbox
		case wanted:
			err = m.apply(b)
		}
		if err != nil {
			failed = append(failed, err)
		}
	}
	if err := b.settle(); err != nil {
		failed = append(failed, err)
	}
	return label, failed
}

// wants reports whether the change is of the mapping's table. It is an error not
// to know, but for a tombstone behind an envelope that has said all.
func (m *mapping) wants(b *builder) (bool, error) {
	v := m.match(b.change, b.record.Topic)
	if v == matchUnknown && !m.repeats(b.change) {
		return false, fault.Reject(fault.FormatMismatch, "the change does not say what table it is of, and pipeline %s matches by it", m.pipeline.Name)
	}
	return v == matchYes, nil
}

// repeats reports whether the change only repeats the one before it: Debezium
// writes a delete as an envelope, and then as a tombstone for compaction. Canal's and
// Maxwell's messages say all, too.
func (m *mapping) repeats(c *change.Change) bool {
	return c.Tombstone && (c.Key.Err == nil || c.Key.Printed) && m.saysDeletes()
}

// saysDeletes reports whether each delete is an event of its own, so that a null value adds nothing to it.
func (m *mapping) saysDeletes() bool {
	format := m.pipeline.Source.Format
	return format != pipeline.Rows && format != pipeline.Auto
}

// refuse rejects a record that does not decode. Where its key names an item, the
// item is marked: the index shows an older state of it.
func (t *topic) refuse(b *builder, err error) stage.Outcome[*record.Document] {
	for _, m := range t.mappings {
		if m.match(b.change, b.record.Topic) != matchYes {
			continue
		}
		if who, known := m.identify(nil, b.change); known {
			b.failed(m, who, err)
		}
	}
	return stage.Reject(err, b.documents...)
}
