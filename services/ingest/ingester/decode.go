package ingester

import (
	"cmp"
	"context"
	"strings"

	"github.com/freshet-io/freshet/libs/fault"
	"github.com/freshet-io/freshet/libs/pipeline"
	"github.com/freshet-io/freshet/libs/stage"
	"github.com/freshet-io/freshet/libs/values"
	"github.com/freshet-io/freshet/services/ingest/canal"
	"github.com/freshet-io/freshet/services/ingest/change"
	"github.com/freshet-io/freshet/services/ingest/debezium"
	"github.com/freshet-io/freshet/services/ingest/maxwell"
	"github.com/freshet-io/freshet/services/ingest/rows"
)

// A format recognises its values, and reads them.
type format struct {
	name   pipeline.Format
	called string // by people
	decode func(change.Body, *values.Schemas) (changes []change.Change, is bool, err error)
}

// formats are asked in this order whose a value is. What is nobody's is a row.
var formats = []format{
	{pipeline.Debezium, "an envelope of Debezium's", func(body change.Body, schemas *values.Schemas) ([]change.Change, bool, error) {
		c, is, err := debezium.Decode(body, schemas)
		return []change.Change{c}, is, err
	}},
	{pipeline.Canal, "a message of Canal's", canal.Decode},
	{pipeline.Maxwell, "a message of Maxwell's", func(body change.Body, _ *values.Schemas) ([]change.Change, bool, error) {
		c, is := maxwell.Decode(body)
		return []change.Change{c}, is, nil
	}},
}

// read reads a record, or says what whoever wrote it found wrong with it: a source that is no topic was copied into one.
func (in *Ingester) read(r *stage.Record, known described, key change.Key, t *topic) ([]change.Change, error) {
	if r.Fault == nil {
		changes, err := in.decode(r.Value, known, key, t)
		for i := range changes {
			changes[i].Force = changes[i].Force || r.Force
		}
		return changes, err
	}
	reason, text, _ := strings.Cut(string(r.Fault), ": ")
	if reason != string(fault.Oversize) {
		return []change.Change{{Key: key}}, fault.Reject(fault.FormatMismatch, "%s", text)
	}
	return []change.Change{{Key: key}}, fault.Reject(fault.Oversize, "%s", text)
}

// decode reads a value by the format of its topic. Where it fails, changes has one element
// with what is known all the same: the key, and perhaps the table.
func (in *Ingester) decode(value []byte, known described, key change.Key, t *topic) ([]change.Change, error) {
	body, err := in.open(value, known)
	switch {
	case err != nil:
		return []change.Change{{Key: key}}, err
	case body.Null && key.Null():
		return []change.Change{{Op: change.Skip, Label: labelNullKey}}, nil
	case body.Null:
		return []change.Change{{Op: change.Delete, Tombstone: true, Key: key}}, nil
	}
	changes, err := in.decodeBody(body, t)
	for i := range changes {
		changes[i].Key = key
	}
	return changes, err
}

// decodeBody never takes an event of one format for a row, or for one of another format.
func (in *Ingester) decodeBody(body change.Body, t *topic) ([]change.Change, error) {
	want := t.source.Format
	for _, f := range formats {
		changes, is, err := f.decode(body, &in.schemas)
		switch {
		case !is:
		case want == f.name, want == pipeline.Auto, beside(f.name, want) && changes[0].Op == change.Skip:
			t.notice(f.name)
			return changes, err
		default:
			return mismatch(f.called, want)
		}
	}
	if want != pipeline.Rows && want != pipeline.Auto {
		return mismatch("a row", want)
	}
	t.notice(pipeline.Rows)
	c, err := rows.Decode(body, &in.schemas, cmp.Or(t.source.Prefix, rows.DefaultPrefix))
	return []change.Change{c}, err
}

// Recognise returns the format that a value looks like, none where it is null or cannot be read.
func (in *Ingester) Recognise(ctx context.Context, value []byte) pipeline.Format {
	known, err := in.describe(ctx, []Change{{stage.Record{Value: value}}})
	if err != nil {
		return ""
	}
	body, err := in.open(value, known)
	if err != nil || body.Null {
		return ""
	}
	for _, f := range formats {
		if _, is, _ := f.decode(body, &in.schemas); is {
			return f.name
		}
	}
	return pipeline.Rows
}

// beside reports whether records of a format that concern no row may be among those of
// another: unwrapping leaves Debezium's other streams as they are.
func beside(format, want pipeline.Format) bool {
	return format == pipeline.Debezium && want == pipeline.Rows
}

func mismatch(is string, want pipeline.Format) ([]change.Change, error) {
	expected := "a row"
	for _, f := range formats {
		if f.name == want {
			expected = f.called
		}
	}
	return []change.Change{{}}, fault.Reject(fault.FormatMismatch, "the value is %s where %s is expected", is, expected)
}
