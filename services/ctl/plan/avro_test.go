package plan_test

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/twmb/avro"

	"github.com/freshet-io/freshet/libs/fake/samples"
	"github.com/freshet-io/freshet/libs/pipeline"
	"github.com/freshet-io/freshet/services/ctl/events"
	"github.com/freshet-io/freshet/services/ingest/change"
	"github.com/freshet-io/freshet/services/ingest/ingester"
	"github.com/freshet-io/freshet/services/ingest/registry"
)

// The samples of debezium-avro are in Avro's JSON, with a schema of the key alone, and a key is called by the number before
// that of its value. They are written in Confluent's format here, as the connector had them.
const (
	keyID uint32 = iota + 1
	valueID
)

// ofAvro plans the events of debezium-avro with a folder of their schemas.
func ofAvro(t *testing.T, root string, format pipeline.Format) *row {
	t.Helper()
	r := newRow("debezium-avro", format)
	dir := filepath.Join(root, "cdc", "debezium-avro")
	key, value := text(t, dir, "risingwave-compact-avro-001.key-schema.json"), text(t, "testdata", "orders.avsc")
	folder := t.TempDir()
	for name, schema := range map[string]string{"1.avsc": key, "2.avsc": value} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(schema), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	schemas, err := registry.OpenFolder(folder)
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*-0*.json"))
	if err != nil || len(files) != 7 {
		t.Fatal(files, err)
	}
	slices.Sort(files)
	var before []byte // the key of the next value
	for _, file := range files {
		content := text(t, filepath.Dir(file), filepath.Base(file))
		switch {
		case strings.HasSuffix(file, "schema.json"):
		case strings.HasSuffix(file, ".key.json"):
			before = wired(t, keyID, key, content)
		default:
			e := events.Event{File: filepath.Base(file), Line: 1}
			e.Record.Key, e.Record.Value, before = before, wired(t, valueID, value, content), nil
			r.add(linesOf(t, samples.Pipeline("sample", "Sample", format, samples.Rows(plain(t, schemas, e.Record.Value))...), schemas, e))
		}
	}
	return r
}

func text(t *testing.T, dir, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// wired writes what is in Avro's JSON in Confluent's format.
func wired(t *testing.T, id uint32, schema, content string) []byte {
	t.Helper()
	parsed, err := avro.Parse(schema)
	if err != nil {
		t.Fatal(err)
	}
	var decoded any
	if err := parsed.DecodeJSON([]byte(content), &decoded); err != nil {
		t.Fatalf("%s: %v", content, err)
	}
	encoded, err := parsed.Encode(decoded)
	if err != nil {
		t.Fatal(err)
	}
	return append(binary.BigEndian.AppendUint32([]byte{0}, id), encoded...)
}

func plain(t *testing.T, schemas ingester.Schemas, value []byte) []byte {
	t.Helper()
	schema, err := schemas.Schema(t.Context(), valueID)
	if err != nil {
		t.Fatal(err)
	}
	c := ingester.DefaultConfig()
	json, err := schema.JSON(value[5:], change.Limits{Bytes: c.MaxValueBytes, Depth: c.MaxDepth, Fields: c.MaxFields})
	if err != nil {
		t.Fatal(err)
	}
	return json
}
