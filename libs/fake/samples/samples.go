// Package samples reads real change events for tests: events that others published,
// and captures of Debezium's connectors. They lie in a folder outside of the project.
//
// It owns how they are found and read, and what pipeline somebody would write for
// them. It never says what becomes of them: that is what the tests are for.
package samples

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/freshet-io/freshet/libs/pipeline"
)

// Root returns the folder of samples: the one named by FRESHET_SAMPLES, or
// shared/samples beside one of the folders above. Where there is none the test is
// skipped, but fails under CI=true: CI has the folder.
func Root(tb testing.TB) string {
	tb.Helper()
	if dir := os.Getenv("FRESHET_SAMPLES"); dir != "" {
		return dir
	}
	dir, err := os.Getwd()
	if err != nil {
		tb.Fatal(err)
	}
	for ; dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
		found := filepath.Join(dir, "shared", "samples")
		if _, err := os.Stat(found); err == nil {
			return found
		}
	}
	const absent = "no shared/samples above this folder: set FRESHET_SAMPLES to the folder of real change events to run this test"
	if os.Getenv("CI") == "true" {
		tb.Fatal(absent)
	}
	tb.Skip("SKIPPED, NOT TESTED: " + absent)
	return ""
}

// Record is one change event.
type Record struct {
	Name       string // file, or capture and line
	Time       time.Time
	Key, Value []byte // nil: null
	Partition  int32
	Offset     int64
}

// Files reads the events of one folder of root, a file each, in the order of their
// names. None of them has a key: files that hold keys are left out.
func Files(tb testing.TB, root string, folder ...string) []Record {
	tb.Helper()
	pattern := filepath.Join(append(append([]string{root}, folder...), "*.*")...)
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		tb.Fatalf("no samples in %s: %v", pattern, err)
	}
	var records []Record
	for _, file := range files {
		if strings.HasSuffix(file, ".key.json") {
			continue
		}
		value, err := os.ReadFile(file)
		if err != nil {
			tb.Fatal(err)
		}
		records = append(records, Record{Name: filepath.Base(file), Time: time.UnixMilli(1), Value: value})
	}
	return records
}

// Capture reads the records of one table as one connector wrote them, in their order.
func Capture(tb testing.TB, root, connector, table string) []Record {
	tb.Helper()
	name := connector + ".catalog." + table
	if table == "message" {
		name = connector + ".message"
	}
	content, err := os.ReadFile(filepath.Join(root, "debezium-live", name+".ndjson"))
	if err != nil {
		tb.Fatal(err)
	}
	var records []Record
	for line := range strings.Lines(string(content)) {
		var r struct {
			Partition  int32
			Offset     int64
			Timestamp  int64
			Key, Value json.RawMessage
		}
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			tb.Fatal(err)
		}
		records = append(records, Record{
			Name: fmt.Sprintf("%s %d", name, r.Offset), Time: time.UnixMilli(r.Timestamp),
			Key: raw(r.Key), Value: raw(r.Value), Partition: r.Partition, Offset: r.Offset,
		})
	}
	return records
}

// Schemas returns the folder of the schemas, by their ids, of what was captured in Avro.
func Schemas(root string) string { return filepath.Join(root, "debezium-live", "avro-schemas") }

// raw undoes the capture's base64 of what was no JSON.
func raw(b json.RawMessage) []byte {
	if string(b) == "null" {
		return nil
	}
	var binary map[string][]byte
	if strings.HasPrefix(string(b), `{"$base64":`) && json.Unmarshal(b, &binary) == nil {
		return binary["$base64"]
	}
	return b
}

// Rows finds the rows of an event, as they are before as they were, with another decoder
// than ingest's. Where there is none it returns the event itself.
func Rows(value []byte) []map[string]any {
	var v map[string]any
	if json.Unmarshal(value, &v) != nil {
		return []map[string]any{{"id": nil}}
	}
	if p, ok := v["payload"].(map[string]any); ok {
		v = p
	}
	var rows []map[string]any
	for _, member := range []string{"after", "before", "data"} { // data is Maxwell's, and a list of Canal's
		images, ok := v[member].([]any)
		if !ok {
			images = []any{v[member]}
		}
		for _, image := range images {
			if row, ok := image.(map[string]any); ok && len(row) > 0 {
				rows = append(rows, row)
			}
		}
	}
	if len(rows) == 0 {
		return []map[string]any{v}
	}
	return rows
}

// ID returns the column that is the id of a row.
func ID(row map[string]any) string {
	columns := slices.Sorted(maps.Keys(row))
	for _, likely := range []string{"id", "ID", "_id", "pk", "productId", "order_id", "order_number", "k", "k1", "K1", "k2", "a"} {
		if slices.Contains(columns, likely) {
			return likely
		}
	}
	return append(columns, "id")[0] // an object may be empty
}

// Pipeline returns the entry of a pipeline file that somebody would write for rows of
// the same columns: id and text by their names. All such pipelines may share a collection.
func Pipeline(topic, collection string, format pipeline.Format, rows ...map[string]any) string {
	kinds := map[string]string{} // by column
	for _, row := range rows {
		for column, v := range row {
			switch v.(type) {
			case string, float64: // a schema may make a time of a number
				kinds[column] = "text"
			case bool:
				kinds[column] = "boolean"
			}
		}
	}
	id := ID(rows[0])
	template := []string{"{{" + id + "}}"}
	var properties []string
	for i, column := range slices.Sorted(maps.Keys(rows[0])) {
		if kinds[column] == "" {
			continue
		}
		if kinds[column] == "text" && column != id {
			template = append(template, "{{"+column+"}}")
		}
		properties = append(properties, fmt.Sprintf("{name: %s%d, from: %q, type: %[1]s}", kinds[column], i, column))
	}
	return fmt.Sprintf(`- name: %s
  source: {topics: [%s], format: %s}
  collection: %s
  id: {from: [%q]}
  text: {template: %q}
  properties: [%s]
`, pipelineName(topic), topic, format, collection, id, strings.Join(template, " "), strings.Join(properties, ", "))
}

func pipelineName(topic string) string { return strings.ReplaceAll(topic, ".", "-") }

// LivePipeline returns the entry of a pipeline file for one table of the captured
// databases.
func LivePipeline(table, topic, collection string, format pipeline.Format) string {
	source := fmt.Sprintf("topics: [%s], format: %s", topic, format)
	if table == "nokey" { // its topic has several partitions, and nothing else says what is in which
		source += ", ordered: true"
	}
	return fmt.Sprintf("- name: %s\n  source: {%s}\n  collection: %s\n%s", pipelineName(topic), source, collection, liveTables[table])
}

var liveTables = map[string]string{
	"products": `  id: {from: [id]}
  text: {template: "{{sku}} {{name}} {{description}} {{price}} {{created}}"}
  properties:
  - {name: price, type: number, decimal: {scale: 2}}
  - {name: weight, type: number}
  - {name: stock, type: int}
  - {name: active, from: is_active, type: boolean}
  - {name: tags, type: "text[]"}
  - {name: color, from: attrs.color, parse: json, type: text}
  - {name: sizes, from: attrs.size, parse: json, type: "text[]"}
  - {name: uid, type: uuid}
  - {name: created, type: date, unit: us}
  - {name: created3, type: date, unit: ms}
  - {name: brand, type: text}
`,
	"stock": `  id: {from: [shop_id, sku]}
  text: {template: "{{sku}}"}
  properties: [{name: qty, type: int}, {name: price, type: number, decimal: {scale: 2}}]
`,
	"fullrow": `  id: {from: [id]}
  text: {template: "{{name}} {{big}}"}
`,
	"nokey": `  id: {from: [a]}
  text: {template: "{{b}}"}
`,
	"message": `  id: {from: [prefix]}
  text: {template: "{{prefix}}"}
`,
}
