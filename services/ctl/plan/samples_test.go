package plan_test

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/freshet-io/freshet/libs/fake/samples"
	"github.com/freshet-io/freshet/libs/pipeline"
	"github.com/freshet-io/freshet/libs/stage"
	"github.com/freshet-io/freshet/services/ctl/events"
	"github.com/freshet-io/freshet/services/ctl/plan"
	"github.com/freshet-io/freshet/services/ingest/ingester"
	"github.com/freshet-io/freshet/services/ingest/registry"
)

var update = flag.Bool("update", false, "write the table in docs/formats.md anew")

const (
	document = "../../../docs/formats.md"
	begin    = "<!-- of the samples: go test ./services/ctl/plan -update -->\n"
	end      = "<!-- end -->\n"
)

// justified says why what is skipped or rejected is so, by the start of its place (folder,
// format, reason, file). One that is not here fails the test.
var justified = map[string]string{
	"debezium-json-schema debezium truncate":        "a table was emptied: rows of it are not named, so none can be deleted",
	"debezium-json-schema debezium logical-message": "a message in PostgreSQL's log, and a watermark of TiCDC's: neither is of a row",
	"debezium-json-schema auto truncate":            "as read by debezium",
	"debezium-json-schema auto logical-message":     "as read by debezium",
	"debezium-outbox debezium outbox":               "the raw row of an outbox table is a letter to another service, no item",
	"debezium-outbox debezium format-mismatch":      "what the event router makes of such a row is a row itself, and the format says debezium",
	"debezium-outbox auto outbox":                   "as read by debezium",
	"debezium-transaction-topic debezium":           "the begin or the end of a transaction, of no row",
	"debezium-transaction-topic auto":               "as read by debezium",
	"debezium-schema-change debezium":               "a table's definition, of no row",
	"debezium-schema-change auto":                   "as read by debezium",
	"debezium-keys rows missing-id":                 "the key of TiCDC's watermark is empty: a null value behind it deletes nothing that has a name",
	"canal-json canal":                              "a statement, of no row",
	"canal-json auto":                               "as read by canal",
	"maxwell maxwell bootstrap":                     "the start and the end of a bootstrap: its rows come by themselves",
	"maxwell auto bootstrap":                        "as read by maxwell",
	"maxwell maxwell format-mismatch":               "no events, but parts of the text of a table's definition, from Maxwell's documentation",
	"pg-plain debezium unavailable-value":           "a changed primary key and an unchanged long text: the new row comes without it, and waits. REPLICA IDENTITY FULL avoids it",
	"pg-plain debezium logical-message":             "a message in PostgreSQL's log",
	"pg-schemas debezium unavailable-value":         "as pg-plain",
	"pg-schemas debezium logical-message":           "as pg-plain",
	"pg-unwrap rows logical-message":                "as pg-plain: unwrapping lets it through",
	"pg-avro debezium unavailable-value":            "as pg-plain",
	"pg-avro debezium logical-message":              "as pg-plain",
}

// row is a line of the table.
type row struct {
	place   string // folder, or connector
	format  pipeline.Format
	summary *plan.Summary
	whys    map[string]int // by reason
}

func (r *row) add(lines []plan.Line) {
	r.summary.Add(lines)
	for _, line := range lines {
		if line.Outcome == plan.Skip || line.Outcome == plan.Reject {
			r.whys[line.Outcome+"\x00"+line.Reason]++
		}
	}
}

func TestSamples_theTableInTheDocumentIsWhatBecomesOfThem(t *testing.T) {
	root := samples.Root(t)
	var rows []*row
	for _, f := range []struct {
		folder  string
		formats []pipeline.Format
	}{
		{"debezium-json", []pipeline.Format{pipeline.Debezium, pipeline.Auto}},
		{"debezium-json-schema", []pipeline.Format{pipeline.Debezium, pipeline.Auto}},
		{"debezium-outbox", []pipeline.Format{pipeline.Debezium, pipeline.Auto}},
		{"debezium-transaction-topic", []pipeline.Format{pipeline.Debezium, pipeline.Auto}},
		{"debezium-schema-change", []pipeline.Format{pipeline.Debezium, pipeline.Auto}},
		{"debezium-unwrapped", []pipeline.Format{pipeline.Rows, pipeline.Auto}},
		{"debezium-keys", []pipeline.Format{pipeline.Rows}},
		{"plain-json", []pipeline.Format{pipeline.Rows, pipeline.Auto}},
		{"canal-json", []pipeline.Format{pipeline.Canal, pipeline.Auto}},
		{"ticdc-canal-json", []pipeline.Format{pipeline.Canal, pipeline.Auto}},
		{"maxwell", []pipeline.Format{pipeline.Maxwell, pipeline.Auto}},
	} {
		for _, format := range f.formats {
			rows = append(rows, ofFolder(t, root, f.folder, format))
		}
	}
	for _, format := range []pipeline.Format{pipeline.Debezium, pipeline.Auto} {
		rows = append(rows, ofAvro(t, root, format))
	}
	for _, c := range []struct {
		connector string
		format    pipeline.Format
	}{{"pg-plain", pipeline.Debezium}, {"pg-schemas", pipeline.Debezium}, {"pg-unwrap", pipeline.Rows}, {"pg-avro", pipeline.Debezium}} {
		rows = append(rows, ofCapture(t, root, c.connector, c.format))
	}
	table := tableOf(t, rows)
	for place := range justified {
		if !used[place] {
			t.Errorf("nothing is skipped or rejected any more as %s", place)
		}
	}
	compare(t, table)
}

func newRow(place string, format pipeline.Format) *row {
	return &row{place: place, format: format, whys: map[string]int{}, summary: plan.NewSummary(func(string) (int, bool) { return 1, false })}
}

// ofFolder plans each event of a folder with the pipeline that somebody would write for it.
func ofFolder(t *testing.T, root, folder string, format pipeline.Format) *row {
	t.Helper()
	r := newRow(folder, format)
	err := events.Read(root+"/cdc/"+folder, nil, nil, func(e events.Event) error {
		if folder == "debezium-keys" && e.Record.Key == nil { // keys that are called as values are
			e.Record.Key, e.Record.Value = e.Record.Value, nil
		}
		sample := e.Record.Value
		if sample == nil {
			sample = e.Record.Key
		}
		r.add(linesOf(t, samples.Pipeline("sample", "Sample", format, samples.Rows(sample)...), nil, e))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// ofCapture plans the records of all tables that a connector captured.
func ofCapture(t *testing.T, root, connector string, format pipeline.Format) *row {
	t.Helper()
	r := newRow(connector, format)
	schemas, err := registry.OpenFolder(samples.Schemas(root))
	if err != nil {
		t.Fatal(err)
	}
	for _, table := range []string{"products", "stock", "fullrow", "nokey", "message"} {
		text := samples.LivePipeline(table, table, "Sample", format)
		for _, s := range samples.Capture(t, root, connector, table) {
			r.add(linesOf(t, text, schemas, events.Event{File: s.Name, Line: 1, Record: stage.Record{
				Topic: table, Partition: s.Partition, Offset: s.Offset, Time: s.Time, Key: s.Key, Value: s.Value,
			}}))
		}
	}
	return r
}

func linesOf(t *testing.T, text string, schemas ingester.Schemas, e events.Event) []plan.Line {
	t.Helper()
	file, err := pipeline.Parse([]byte("apiVersion: freshet/v1\nspace: {provider: hash, dimensions: 8}\npipelines:\n" + text))
	if err != nil {
		t.Fatalf("%s: %v\n%s", e.File, err, text)
	}
	planner, err := plan.New(file, ingester.DefaultConfig(), "", schemas)
	if err != nil {
		t.Fatal(err)
	}
	lines, err := planner.Lines(t.Context(), e)
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range lines {
		if line.Outcome == plan.Skip || line.Outcome == plan.Reject {
			t.Logf("%s %s: %s %s %s", e.File, line.Format, line.Outcome, line.Reason, line.Message)
		}
	}
	return lines
}

func tableOf(t *testing.T, rows []*row) string {
	t.Helper()
	var table, whys strings.Builder
	table.WriteString("| samples | read as | events | documents | deletes | partial | skipped | rejected |\n|---|---|---:|---:|---:|---:|---:|---:|\n")
	whys.WriteString("\n| samples | read as | | | why that is right |\n|---|---|---|---:|---|\n")
	for _, r := range rows {
		s := r.summary
		fmt.Fprintf(&table, "| %s | %s | %d | %d | %d | %d | %d | %d |\n", r.place, r.format, s.Events, s.Documents, s.Deletes, s.Partial, s.Skips, s.Rejects)
		for _, why := range slices.Sorted(maps.Keys(r.whys)) {
			outcome, reason, _ := strings.Cut(why, "\x00")
			fmt.Fprintf(&whys, "| %s | %s | %s, %s | %d | %s |\n", r.place, r.format, map[string]string{plan.Skip: "skipped", plan.Reject: "rejected"}[outcome], reason, r.whys[why], justify(t, r, reason))
		}
	}
	return table.String() + whys.String()
}

var used = map[string]bool{} // of justified

func justify(t *testing.T, r *row, reason string) string {
	t.Helper()
	for _, place := range []string{fmt.Sprint(r.place, " ", r.format, " ", reason), fmt.Sprint(r.place, " ", r.format)} {
		if why, ok := justified[place]; ok {
			used[place] = true
			return why
		}
	}
	t.Errorf("nobody says why %s, read as %s, has %s", r.place, r.format, reason)
	return ""
}

func compare(t *testing.T, table string) {
	t.Helper()
	text, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, found := strings.Cut(string(text), begin)
	committed, after, closed := strings.Cut(rest, end)
	if !found || !closed {
		t.Fatalf("%s has no place for the table", document)
	}
	if *update {
		if err := os.WriteFile(document, []byte(before+begin+table+end+after), 0o644); err != nil { //nolint:gosec // a document
			t.Fatal(err)
		}
		return
	}
	if committed != table {
		t.Errorf("%s says otherwise; these are (-update writes them):\n%s", document, table)
	}
}
