package ingester_test

import (
	"encoding/base64"
	"errors"
	"log/slog"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/freshet-io/freshet/libs/fake/local/localtest"
	"github.com/freshet-io/freshet/libs/stage"
	"github.com/freshet-io/freshet/services/ingest/ingester"
	"github.com/freshet-io/freshet/services/ingest/registry"
	"github.com/freshet-io/freshet/services/ingest/wire"
)

// things reads all columns that testdata/Converters.java writes: each is a property, or in the text.
const things = `apiVersion: freshet/v1
space: {provider: hash, dimensions: 8}
pipelines:
- name: things
  source: {topics: [shop.catalog.things], format: auto}
  collection: Thing
  id: {from: [id]}
  text: {template: "{{id}} {{a_text}} {{an_int8}} {{an_int16}} {{an_int}} {{a_long}} {{a_float}} {{a_double}} {{a_whole}} {{a_large}} {{a_small}} {{a_nan}} {{an_infinity}} {{a_blob}} {{a_long_decimal}} {{a_time}} {{a_connect_time}} {{a_json}} {{an_enum}} {{a_set}} {{bits}} {{days}} {{prices}} {{a_map}} {{a_point}} {{a_new_one}}"}
  properties:
  - {name: a_boolean, type: boolean}
  - {name: a_price, type: number}
  - {name: a_numeric, type: number}
  - {name: a_date, type: date}
  - {name: a_milli, type: date}
  - {name: a_micro, type: date}
  - {name: a_nano, type: date}
  - {name: a_zoned, type: date}
  - {name: a_connect_date, type: date}
  - {name: a_connect_timestamp, type: date}
  - {name: a_uuid, type: uuid}
  - {name: colour, from: a_json.colour, parse: json, type: text}
  - {name: tags, type: "text[]"}
`

// The oracle is Kafka Connect itself: changes in all types that Debezium has go through the real Avro converter and a real
// registry, and through the JSON converter with schemas, which gives the same documents.
func TestHandle_changesFromTheConvertersOfKafkaConnect(t *testing.T) {
	server := startApicurio(t)
	schemas, err := registry.Open(registry.Config{URL: []string{server.url}, Timeout: time.Minute}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	in := newIngesterOf(t, parse(t, things), schemas)
	lines := convert(t, append(server.java, "testdata/Converters.java", server.core))
	if len(lines) != 6 {
		t.Fatalf("%d changes", len(lines))
	}
	for i, line := range lines {
		avro, json := outcomeOf(t, in, line[0], line[1]), outcomeOf(t, in, line[2], line[3])
		if avro != json || strings.Contains(avro, "letter") || i == 0 && !strings.HasPrefix(avro, `upsert Thing/9007199254740993 "9007199254740993 Becher \"\\\n\x00 类目 🎉 -128 `) {
			t.Errorf("change %d is in Avro\n%s\nand in JSON\n%s", i+1, avro, json)
		}
	}
	if _, err := schemas.Schema(t.Context(), 4711); !errors.Is(err, wire.ErrNotYet) {
		t.Errorf("an id that the registry does not know: %v", err)
	}
}

// Confluent's own client writes rows in the wire form of JSON Schema, which are the same documents as in plain JSON.
func TestHandle_rowsFromTheSerializerOfConfluent(t *testing.T) {
	python, server := localtest.Installed(t, "../../../scripts/install-python-client.sh"), startApicurio(t)
	schemas, err := registry.Open(registry.Config{URL: []string{server.url}, Timeout: time.Minute}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	in := newIngesterOf(t, parse(t, strings.Replace(things, "format: auto", "format: rows", 1)), schemas)
	lines := convert(t, []string{python, "testdata/confluent.py", server.url})
	if len(lines) != 3 {
		t.Fatalf("%d rows", len(lines))
	}
	for i, line := range lines {
		wire, plain := outcomeOf(t, in, line[0], line[1]), outcomeOf(t, in, line[2], line[3])
		if wire != plain || !strings.HasPrefix(wire, "upsert Thing/") || i == 0 && !strings.HasPrefix(wire, `upsert Thing/9007199254740993 "9007199254740993 Becher`) {
			t.Errorf("row %d is in the wire form\n%s\nand in plain JSON\n%s", i+1, wire, plain)
		}
		if line[0][0] != 0 || line[1][0] != 0 {
			t.Errorf("row %d is not in the wire form: % x, % x", i+1, line[0], line[1])
		}
	}
}

// convert runs a program that writes lines of four fields in base64.
func convert(t *testing.T, program []string) (lines [][][]byte) {
	t.Helper()
	var errors strings.Builder
	cmd := exec.CommandContext(t.Context(), program[0], program[1:]...)
	cmd.Stderr = &errors
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, errors.String())
	}
	for line := range strings.Lines(string(out)) {
		var fields [][]byte
		for field := range strings.FieldsSeq(line) {
			decoded, err := base64.StdEncoding.DecodeString(field)
			if err != nil {
				t.Fatalf("%v in %q", err, line)
			}
			fields = append(fields, decoded)
		}
		if len(fields) != 4 {
			t.Fatalf("%q", line)
		}
		lines = append(lines, fields)
	}
	return lines
}

func outcomeOf(t *testing.T, in *ingester.Ingester, key, value []byte) string {
	t.Helper()
	o := handle(t, in, stage.Record{Topic: "shop.catalog.things", Key: key, Value: value})
	lines := []string{describe(o)}
	for _, d := range o.Out {
		if len(d.GetInputs()) > 0 {
			lines = append(lines, plainly(t, d.GetInputs()))
		}
	}
	return strings.Join(lines, "\n")
}
