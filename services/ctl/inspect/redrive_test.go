package inspect

import (
	"strconv"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/freshet-io/freshet/libs/fault"
	"github.com/freshet-io/freshet/libs/pipeline"
	"github.com/freshet-io/freshet/libs/record"
	"github.com/freshet-io/freshet/libs/stage"
)

// letterWith returns a dead letter of a record that has a header of its producer's, as if it were the stage's own.
func letterWith(t *testing.T, from string, reason fault.Reason, value []byte, own ...string) *kgo.Record {
	t.Helper()
	r := &kgo.Record{Topic: "freshet.deadletters", Value: value, Headers: []kgo.RecordHeader{
		{Key: stage.HeaderErrorTopic, Value: []byte("forged")}, {Key: stage.HeaderLetterVersion, Value: []byte("999")}, {Key: stage.HeaderTruncated, Value: []byte("999")},
	}}
	for pair := range strings.SplitSeq(stage.HeaderErrorTopic+"=freshet.documents.live;"+stage.HeaderErrorPartition+"=2;"+stage.HeaderErrorOffset+"=7;"+
		stage.HeaderLetterStage+"="+from+";"+stage.HeaderReason+"="+string(reason)+";"+strings.Join(own, ";"), ";") {
		if name, value, is := strings.Cut(pair, "="); is {
			r.Headers = append(r.Headers, kgo.RecordHeader{Key: name, Value: []byte(value)})
		}
	}
	return r
}

// What embed or write could not use is redriven as it was, with the version that the stage gave it and none of a producer's.
func TestRedrive_documents(t *testing.T) {
	file := &pipeline.File{Pipelines: []pipeline.Pipeline{{Collection: "Product"}}}
	row := func(op record.Op) *record.Document {
		return &record.Document{Op: op, Collection: "Product", Id: []string{"1"}, Text: "lamp", Sources: []*record.SourceOrder{{Source: "s", Order: []uint64{0, 1, 7, 0}}}}
	}
	document := func(op record.Op) []byte {
		value, err := row(op).Encode()
		if err != nil {
			t.Fatal(err)
		}
		return value
	}
	vector, err := (&record.Vector{Document: row(record.Op_OP_UPSERT), Version: 12, State: record.VectorState_VECTOR_STATE_NONE}).Encode()
	if err != nil {
		t.Fatal(err)
	}
	gone, err := (&record.Document{Op: record.Op_OP_UPSERT, Collection: "Gone", Id: []string{"1"}}).Encode()
	if err != nil {
		t.Fatal(err)
	}
	const eleven = stage.HeaderLetterVersion + "=11"
	for name, test := range map[string]struct {
		letter *kgo.Record
		want   string
	}{
		"of embed":              {letterWith(t, "embed", fault.ProviderRejected, document(record.Op_OP_UPSERT), eleven), "Product/1 at 11"},
		"of embed, of the bulk": {letterWith(t, "embed-bulk", fault.ProviderRejected, document(record.Op_OP_PARTIAL), eleven), "Product/1 at 11"},
		"of write":              {letterWith(t, "write", fault.IndexRejected, vector), "Product/1 at 12"},
		"a text asked for":      {letterWith(t, "embed", fault.Oversize, document(record.Op_OP_COMPLETION_REQUEST), eleven), "Product/1 at 0"},
		"without a version":     {letterWith(t, "embed", fault.ProviderRejected, document(record.Op_OP_UPSERT)), "left: the letter has no version"},
		"too old":               {letterWith(t, "write", fault.BelowHorizon, vector), "left: it is too old to tell whether its item was deleted since: send the row again"},
		"no record":             {letterWith(t, "write", fault.Malformed, []byte("{"), eleven), "left: it cannot be read: "},
		"of a removed pipeline": {letterWith(t, "embed", fault.Oversize, gone, eleven), `left: no pipeline of the file fills collection "Gone"`},
		"of another program":    {letterWith(t, "shipping", fault.Malformed, nil, eleven), `left: no stage is called "shipping"`},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := (&Redriver{Inspector: &Inspector{file: file}}).Redrive(t.Context(), test.letter)
			if err != nil {
				t.Fatal(err)
			}
			got := "left: " + strings.Join(r.Left, "; ")
			for _, d := range r.Documents {
				got = d.Item + " at " + strconv.FormatInt(d.Version, 10)
				if len(d.Document.GetSources()) != 1 {
					t.Error("nobody can tell whether it was appended late")
				}
			}
			if !strings.HasPrefix(got, test.want) || len(r.Documents) > 1 {
				t.Errorf("got %s, want %s", got, test.want)
			}
		})
	}
}

// Of two documents of one version a delete wins, or whichever is handed on last: only what the record says of the item in the end goes.
func TestRedrive_severalDocumentsOfOneItem(t *testing.T) {
	for name, test := range map[string]struct {
		ops  []record.Op
		want string
	}{
		"its id was another row's before": {[]record.Op{record.Op_OP_DELETE, record.Op_OP_UPSERT}, "OP_UPSERT"},
		"and not all of it is known":      {[]record.Op{record.Op_OP_DELETE, record.Op_OP_PARTIAL}, "OP_PARTIAL"},
		"it was changed twice":            {[]record.Op{record.Op_OP_UPSERT, record.Op_OP_UPSERT}, "OP_UPSERT"},
		"it was changed in part":          {[]record.Op{record.Op_OP_UPSERT, record.Op_OP_PARTIAL}, "OP_UPSERT OP_PARTIAL"},
	} {
		t.Run(name, func(t *testing.T) {
			r := &redrive{}
			for _, op := range test.ops {
				r.keep(&record.Document{Op: op, Collection: "Product", Id: []string{"2"}}, 7)
				r.keep(&record.Document{Op: op, Collection: "Product", Id: []string{"3"}}, 8)
			}
			var got []string
			for _, d := range r.Documents {
				if d.Version == 7 {
					got = append(got, d.Document.GetOp().String())
				}
			}
			if strings.Join(got, " ") != test.want {
				t.Errorf("%s go, want %s", got, test.want)
			}
		})
	}
}
