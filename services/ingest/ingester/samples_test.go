package ingester_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/tidwall/gjson"

	"github.com/freshet-io/freshet/libs/fake/samples"
	"github.com/freshet-io/freshet/libs/fault"
	"github.com/freshet-io/freshet/libs/pipeline"
	"github.com/freshet-io/freshet/libs/record"
	"github.com/freshet-io/freshet/libs/stage"
	"github.com/freshet-io/freshet/services/ingest/ingester"
	"github.com/freshet-io/freshet/services/ingest/registry"
)

// tally counts what became of the records of one folder.
type tally struct{ Upserts, Deletes, Skips, Rejects int }

func (c *tally) add(o stage.Outcome[*record.Document]) {
	if o.Err != nil {
		c.Rejects++
	}
	if o.Err == nil && len(o.Out) == 0 {
		c.Skips++
	}
	for _, d := range o.Out {
		if d.GetOp().IsRow() {
			c.Upserts++
		}
		if d.GetOp() == record.Op_OP_DELETE {
			c.Deletes++
		}
	}
}

const fileHead = "apiVersion: freshet/v1\nspace: {provider: hash, dimensions: 8}\npipelines:\n"

func parse(t testing.TB, text string) *pipeline.File {
	t.Helper()
	file, err := pipeline.Parse([]byte(text))
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return file
}

func newIngester(t testing.TB, file *pipeline.File) *ingester.Ingester {
	t.Helper()
	return newIngesterOf(t, file, nil)
}

func newIngesterOf(t testing.TB, file *pipeline.File, schemas ingester.Schemas) *ingester.Ingester {
	t.Helper()
	in, err := ingester.New(file, ingester.Options{Config: ingester.DefaultConfig(), Schemas: schemas})
	if err != nil {
		t.Fatal(err)
	}
	return in
}

func handle(t testing.TB, in *ingester.Ingester, r stage.Record) stage.Outcome[*record.Document] {
	t.Helper()
	c, err := ingester.Decode(r)
	if err != nil {
		t.Fatal(err)
	}
	outcomes, err := in.Handle(t.Context(), []ingester.Change{c})
	if err != nil || len(outcomes) != 1 {
		t.Fatalf("%d outcomes, %v", len(outcomes), err)
	}
	check(t, outcomes[0])
	return outcomes[0]
}

// check holds for every outcome of every record.
func check(t testing.TB, o stage.Outcome[*record.Document]) {
	t.Helper()
	if o.Err != nil && (fault.ClassOf(o.Err) != fault.Permanent || fault.ReasonOf(o.Err) == "") {
		t.Errorf("an error that is not permanent or has no reason: %v", o.Err)
	}
	if o.Label == "" {
		t.Error("an outcome without a label")
	}
	for i, d := range o.Out {
		encoded, err := d.Encode()
		if err != nil {
			t.Fatalf("a document that cannot be encoded: %v", err)
		}
		if _, err := record.DecodeDocument(encoded); err != nil {
			t.Errorf("a document that cannot be decoded: %v", err)
		}
		order := d.GetSources()[0].GetOrder()
		if len(d.GetSources()) != 1 || order[len(order)-1] != uint64(i) {
			t.Errorf("document %d has the sources %v", i, d.GetSources())
		}
		if d.GetOp() == record.Op_OP_UPSERT && (d.GetText() == "" && !d.GetHidden() || !json.Valid(d.GetInputs()) || len(d.GetRecipe()) != 16) {
			t.Errorf("an incomplete upsert: %v", d)
		}
	}
}

func TestSamples_folders(t *testing.T) {
	root := samples.Root(t)
	type row struct {
		folder string
		format pipeline.Format
		want   tally
	}
	var table strings.Builder
	fmt.Fprintf(&table, "%-28s %-10s %7s %7s %7s %7s\n", "folder", "format", "upserts", "deletes", "skips", "rejects")
	for _, r := range []row{
		// 88 files and one delete more: TiCDC's update changes the column that is its id.
		{"debezium-json", pipeline.Debezium, tally{Upserts: 82, Deletes: 7}},
		{"debezium-json", pipeline.Auto, tally{Upserts: 82, Deletes: 7}},
		// Skipped: two truncates, a logical message, TiCDC's watermark.
		{"debezium-json-schema", pipeline.Debezium, tally{Upserts: 45, Deletes: 7, Skips: 4}},
		{"debezium-unwrapped", pipeline.Rows, tally{Upserts: 1}},
		{"plain-json", pipeline.Rows, tally{Upserts: 15}},
		{"plain-json", pipeline.Auto, tally{Upserts: 15}},
		// Rejected: rows are not envelopes, and the format is set.
		{"plain-json", pipeline.Debezium, tally{Rejects: 15}},
		// Skipped: the raw row of an outbox table. The other file is what the event
		// router makes of it, a row, so it is rejected where envelopes are expected.
		{"debezium-outbox", pipeline.Debezium, tally{Skips: 1, Rejects: 1}},
		{"debezium-outbox", pipeline.Auto, tally{Upserts: 1, Skips: 1}},
		{"debezium-transaction-topic", pipeline.Debezium, tally{Skips: 7}},
		{"debezium-transaction-topic", pipeline.Rows, tally{Skips: 7}},
		{"debezium-schema-change", pipeline.Debezium, tally{Skips: 19}},
		{"debezium-schema-change", pipeline.Auto, tally{Skips: 19}},
		// 108 messages of 122 rows, 9 of which are deleted; one update changes the ids of two. Skipped: statements.
		{"canal-json", pipeline.Canal, tally{Upserts: 113, Deletes: 11, Skips: 18}},
		{"canal-json", pipeline.Auto, tally{Upserts: 113, Deletes: 11, Skips: 18}},
		{"canal-json", pipeline.Rows, tally{Rejects: 108}},
		{"ticdc-canal-json", pipeline.Canal, tally{Upserts: 1, Deletes: 1}},
		// Skipped: the start and the end of a bootstrap. Rejected: two files are no events, but parts
		// of the text of a table's definition; to auto they are rows.
		{"maxwell", pipeline.Maxwell, tally{Upserts: 73, Deletes: 6, Skips: 2, Rejects: 2}},
		{"maxwell", pipeline.Auto, tally{Upserts: 75, Deletes: 6, Skips: 2}},
	} {
		var got tally
		for _, file := range samples.Files(t, root, "cdc", r.folder) {
			in := newIngester(t, parse(t, fileHead+samples.Pipeline("sample", "Sample", r.format, samples.Rows(file.Value)[0])))
			o := handle(t, in, stage.Record{Topic: "sample", Value: file.Value, Time: file.Time})
			got.add(o)
			if o.Err != nil || len(o.Out) == 0 {
				t.Logf("%s %s: %s %v", r.format, file.Name, o.Label, o.Err)
			}
		}
		fmt.Fprintf(&table, "%-28s %-10s %7d %7d %7d %7d\n", r.folder, r.format, got.Upserts, got.Deletes, got.Skips, got.Rejects)
		if got != r.want {
			t.Errorf("%s as %s: got %+v, want %+v", r.folder, r.format, got, r.want)
		}
	}
	t.Log("\n" + table.String())
}

// plainly writes JSON in one way: Java escapes an emoji.
func plainly(t *testing.T, inputs []byte) string {
	t.Helper()
	var columns map[string]json.RawMessage
	if err := json.Unmarshal(inputs, &columns); err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(columns)) {
		v := gjson.ParseBytes(columns[name])
		if v.Type == gjson.String {
			v.Raw = strconv.Quote(v.Str)
		}
		fmt.Fprintf(&b, "%s=%s ", name, v.Raw)
	}
	return b.String()
}

func TestSamples_capturedFromPostgres(t *testing.T) {
	root := samples.Root(t)
	// One upsert of products is partial: an update that carries the placeholder in place of an unchanged long
	// description. So is a change of primary key that does so, which is rejected too, where it shows that its row is new.
	want := map[string]tally{
		"pg-plain.products": {Upserts: 13, Deletes: 8, Rejects: 1}, "pg-schemas.products": {Upserts: 13, Deletes: 8, Rejects: 1},
		"pg-unwrap.products": {Upserts: 13, Deletes: 4}, // the null value is the only delete
		"pg-plain.stock":     {Upserts: 5, Deletes: 4}, "pg-schemas.stock": {Upserts: 5, Deletes: 4}, "pg-unwrap.stock": {Upserts: 5, Deletes: 2},
		"pg-plain.fullrow": {Upserts: 3, Deletes: 2}, "pg-schemas.fullrow": {Upserts: 3, Deletes: 2}, "pg-unwrap.fullrow": {Upserts: 3, Deletes: 1},
		"pg-plain.nokey": {Upserts: 1}, "pg-schemas.nokey": {Upserts: 1}, "pg-unwrap.nokey": {Upserts: 1},
		"pg-plain.message": {Skips: 1}, "pg-schemas.message": {Skips: 1}, "pg-unwrap.message": {Skips: 1},
		"pg-avro.products": {Upserts: 13, Deletes: 8, Rejects: 1}, "pg-avro.stock": {Upserts: 5, Deletes: 4}, "pg-avro.fullrow": {Upserts: 3, Deletes: 2},
		"pg-avro.nokey": {Upserts: 1}, "pg-avro.message": {Skips: 1},
	}
	schemas, err := registry.OpenFolder(samples.Schemas(root))
	if err != nil {
		t.Fatal(err)
	}
	states := map[string]map[string]string{}
	var table strings.Builder
	fmt.Fprintf(&table, "%-22s %7s %7s %7s %7s\n", "capture", "upserts", "deletes", "skips", "rejects")
	for _, name := range slices.Sorted(maps.Keys(want)) {
		connector, source, _ := strings.Cut(name, ".")
		format := pipeline.Debezium
		if connector == "pg-unwrap" {
			format = pipeline.Rows
		}
		// One collection name for a table of all connectors, so that their states compare.
		in := newIngesterOf(t, parse(t, fileHead+samples.LivePipeline(source, source, strings.ToUpper(source[:1])+source[1:], format)), schemas)
		var got tally
		state := map[string]string{}
		for _, r := range samples.Capture(t, root, connector, source) {
			o := handle(t, in, stage.Record{Topic: source, Partition: r.Partition, Offset: r.Offset, Time: r.Time, Key: r.Key, Value: r.Value})
			got.add(o)
			for _, d := range o.Out {
				if d.GetOp() == record.Op_OP_UPSERT {
					state[d.Item().String()] = describeDocument(d) + " " + plainly(t, d.GetInputs())
				}
			}
		}
		fmt.Fprintf(&table, "%-22s %7d %7d %7d %7d\n", name, got.Upserts, got.Deletes, got.Skips, got.Rejects)
		if got != want[name] {
			t.Errorf("%s: got %+v, want %+v", name, got, want[name])
		}
		states[name] = state
	}
	t.Log("\n" + table.String())
	// With schemas, without, unwrapped, and in Avro: one database, so the same items.
	for _, source := range []string{"products", "stock", "fullrow", "nokey"} {
		for _, connector := range []string{"pg-schemas", "pg-unwrap", "pg-avro"} {
			if plain, other := states["pg-plain."+source], states[connector+"."+source]; !maps.Equal(plain, other) {
				t.Errorf("%s differs from pg-plain in %s:\n%v\n%v", connector, source, plain, other)
			}
		}
	}
	if got := states["pg-plain.products"]["Products/1"]; !strings.Contains(got, "brand=阿里") {
		t.Errorf("a column added to the table is not in %s", got)
	}
	if _, found := states["pg-plain.products"]["Products/9007199254740993"]; !found {
		t.Error("an id above 2^53 is not exact")
	}
}
