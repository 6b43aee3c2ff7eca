package ingester_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/freshet-io/freshet/libs/record"
	"github.com/freshet-io/freshet/libs/stage"
	"github.com/freshet-io/freshet/services/ingest/ingester"
)

// shop is the pipeline that most tests change a little.
const shop = `apiVersion: freshet/v1
space: {provider: hash, dimensions: 8}
pipelines:
- name: products
  source: {topics: [shop.catalog.products], format: debezium}
  collection: Product
  id: {from: [id]}
  text: {template: "{{name}} {{description}}"}
  properties:
  - {name: price, type: number, decimal: {scale: 2}}
  - {name: stock, type: int}
  - {name: active, from: is_active, type: boolean}
  - {name: updated_at, type: date, unit: us}
`

const mysqlSource = `"source":{"connector":"mysql","db":"catalog","table":"products","ts_ms":1700000000000,"file":"bin.7","pos":12}`

func envelope(op, before, after string) string {
	return fmt.Sprintf(`{"before":%s,"after":%s,%s,"op":%q,"ts_ms":1}`, before, after, mysqlSource, op)
}

func postgres(op, before, after string) string {
	return strings.Replace(envelope(op, before, after), "mysql", "postgresql", 1)
}

// describe writes an outcome as lines that a table can compare.
func describe(o stage.Outcome[*record.Document]) string {
	var lines []string
	for _, d := range o.Out {
		lines = append(lines, describeDocument(d))
	}
	switch {
	case o.Err != nil:
		lines = append(lines, "letter "+o.Err.Error())
	case len(o.Out) == 0:
		lines = append(lines, "skip "+o.Label)
	}
	return strings.Join(lines, "\n")
}

func describeDocument(d *record.Document) string {
	if d.GetOp() == record.Op_OP_DELETE {
		return "delete " + d.Item().String()
	}
	if d.GetOp() == record.Op_OP_FAILED {
		return "failed " + d.Item().String() + " " + d.GetFailed().GetReason()
	}
	if d.GetOp() == record.Op_OP_PARTIAL {
		return fmt.Sprintf("partial %s %s without %s", d.Item(), d.GetInputs(), strings.Join(d.GetUnavailable(), ", "))
	}
	words := []string{fmt.Sprintf("upsert %s %q", d.Item(), d.GetText())}
	if d.GetHidden() {
		words = append(words, "hidden "+string(d.GetInputs()))
	}
	for _, p := range d.GetProperties() {
		words = append(words, p.GetName()+"="+describeValue(p.GetValue()))
	}
	if d.GetForce() {
		words = append(words, "force")
	}
	return strings.Join(words, " ")
}

func describeValue(v *record.Value) string {
	switch k := v.GetKind().(type) {
	case *record.Value_Text:
		return k.Text
	case *record.Value_Number:
		return fmt.Sprint(k.Number)
	case *record.Value_Integer:
		return strconv.FormatInt(k.Integer, 10)
	case *record.Value_Boolean:
		return strconv.FormatBool(k.Boolean)
	case *record.Value_Date:
		return k.Date
	case *record.Value_Uuid:
		return k.Uuid
	case *record.Value_Texts:
		return fmt.Sprint(k.Texts.GetValues())
	case *record.Value_Numbers:
		return fmt.Sprint(k.Numbers.GetValues())
	case *record.Value_Integers:
		return fmt.Sprint(k.Integers.GetValues())
	case *record.Value_Booleans:
		return fmt.Sprint(k.Booleans.GetValues())
	case *record.Value_Dates:
		return fmt.Sprint(k.Dates.GetValues())
	}
	return "?"
}

// fact is one thing that a format does, and what must become of it. A value or key
// of "-" is null. Changes are pairs of old and new text within the pipeline file.
type fact struct {
	change     []string
	key, value string
	want       string
}

func (f fact) run(t *testing.T, base, topic string) {
	t.Helper()
	f.runWith(t, base, topic, nil)
}

func (f fact) runWith(t *testing.T, base, topic string, schemas ingester.Schemas) {
	t.Helper()
	text := base
	for i := 0; i < len(f.change); i += 2 {
		changed := strings.Replace(text, f.change[i], f.change[i+1], 1)
		if changed == text {
			t.Fatalf("%q is not in the file", f.change[i])
		}
		text = changed
	}
	r := stage.Record{Topic: topic, Offset: 7, LeaderEpoch: 2, Time: time.UnixMilli(5), Key: bytesOf(f.key), Value: bytesOf(f.value)}
	if got := describe(handle(t, newIngesterOf(t, parse(t, text), schemas), r)); got != f.want {
		t.Errorf("got\n%s\nwant\n%s", got, f.want)
	}
}

func bytesOf(s string) []byte {
	if s == "-" {
		return nil
	}
	return []byte(s)
}

func run(t *testing.T, base, topic string, facts map[string]fact) {
	t.Helper()
	for name, f := range facts {
		t.Run(name, func(t *testing.T) { f.run(t, base, topic) })
	}
}

func rows(more ...string) []string {
	return append([]string{"format: debezium", "format: rows"}, more...)
}
