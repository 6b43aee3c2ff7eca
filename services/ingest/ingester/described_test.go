package ingester_test

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/twmb/avro"

	"github.com/freshet-io/freshet/libs/fault"
	"github.com/freshet-io/freshet/libs/pipeline"
	"github.com/freshet-io/freshet/libs/stage"
	"github.com/freshet-io/freshet/services/ingest/ingester"
	"github.com/freshet-io/freshet/services/ingest/wire"
)

// catalogue is a registry in memory.
type catalogue struct {
	schemas map[uint32]wire.Definition
	down    map[uint32]error // what it says of an id for now
	asked   []uint32
}

func (c *catalogue) Schema(_ context.Context, id uint32) (*wire.Schema, error) {
	c.asked = append(c.asked, id)
	if err := c.down[id]; err != nil {
		return nil, err
	}
	d, known := c.schemas[id]
	if !known {
		return nil, fault.Reject(fault.UnknownSchema, "nobody knows schema %d", id)
	}
	return wire.Compile(d)
}

const (
	keySchema = `{"type":"record","name":"Key","namespace":"shop.catalog.products","fields":[{"name":"id","type":"long"}]}`
	rowFields = `{"name":"id","type":"long"},{"name":"name","type":["null","string"],"default":null},
		{"name":"price","type":["null",{"type":"bytes","scale":2,"precision":10,"connect.parameters":{"scale":"2"},"connect.name":"org.apache.kafka.connect.data.Decimal","logicalType":"decimal"}],"default":null},
		{"name":"updated_at","type":["null",{"type":"long","connect.name":"io.debezium.time.MicroTimestamp"}],"default":null}`
	rowSchema      = `{"type":"record","name":"Value","namespace":"shop.catalog.products","fields":[` + rowFields + `]}`
	unwrapped      = `{"type":"record","name":"Value","namespace":"shop.catalog.products","fields":[` + rowFields + `,{"name":"__deleted","type":["null","string"]},{"name":"__op","type":["null","string"]}]}`
	sourceField    = `{"name":"source","type":{"type":"record","name":"Source","namespace":"io.debezium.connector.mysql","fields":[{"name":"connector","type":"string"},{"name":"db","type":"string"},{"name":"table","type":["null","string"]},{"name":"ts_ms","type":"long"}]}}`
	envelopeSchema = `{"type":"record","name":"Envelope","namespace":"shop.catalog.products","fields":[
		{"name":"before","type":["null",` + rowSchema + `],"default":null},{"name":"after","type":["null","Value"],"default":null},` + sourceField + `,{"name":"op","type":"string"}]}`
	// The table has lost its price, and has a stock.
	newRowFields   = `{"name":"stock","type":"int"},{"name":"id","type":"long"},{"name":"name","type":["null","string"]}`
	newEnvelope    = `{"type":"record","name":"Envelope","namespace":"shop.catalog.products","fields":[{"name":"before","type":["null",{"type":"record","name":"Value","fields":[` + newRowFields + `]}]},{"name":"after","type":["null","Value"]},` + sourceField + `,{"name":"op","type":"string"}]}`
	jsonEnvelope   = `{"type":"object","title":"shop.catalog.products.Envelope","properties":{"after":{"oneOf":[{"type":"null"},{"type":"object","title":"shop.catalog.products.Value","properties":{"price":{"type":"string","title":"org.apache.kafka.connect.data.Decimal","connect.type":"bytes","connect.parameters":{"scale":"3"}}}}]}}}`
	avroCup, price = `upsert Product/9007199254740993 "Cup" price=199.9 updated_at=2023-11-14T22:13:20.123456Z`, "199.90"
)

func newCatalogue() *catalogue {
	return &catalogue{down: map[uint32]error{}, schemas: map[uint32]wire.Definition{
		1: {Text: keySchema}, 2: {Text: envelopeSchema}, 3: {Text: newEnvelope}, 4: {Text: unwrapped},
		5: {Text: jsonEnvelope, Language: "JSON"}, 6: {Text: `"string"`}, 7: {Text: `"long"`}, 8: {Text: "syntax", Language: "PROTOBUF"},
	}}
}

// wired writes a value by a schema of the catalogue.
func (c *catalogue) wired(t *testing.T, id uint32, value any) string {
	t.Helper()
	frame := string(binary.BigEndian.AppendUint32([]byte{0}, id))
	if text, is := value.(string); is && c.schemas[id].Language != "" {
		return frame + text
	}
	schema, err := avro.Parse(c.schemas[id].Text)
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := schema.Encode(value)
	if err != nil {
		t.Fatal(err)
	}
	return frame + string(encoded)
}

func cupRow() map[string]any {
	return map[string]any{"id": int64(9007199254740993), "name": "Cup", "price": json.Number(price), "updated_at": int64(1700000000123456)}
}

func avroEnvelope(op string, before, after any) map[string]any {
	return map[string]any{
		"op": op, "before": before, "after": after,
		"source": map[string]any{"connector": "mysql", "db": "catalog", "table": "products", "ts_ms": int64(1700000000000)},
	}
}

func with(row map[string]any, more map[string]any) map[string]any {
	maps.Copy(row, more)
	return row
}

func TestHandle_confluentWire(t *testing.T) {
	c := newCatalogue()
	key := c.wired(t, 1, map[string]any{"id": int64(9007199254740993)})
	const unknown = "\x00\x00\x00\x00\x63x"
	for name, f := range map[string]fact{
		"a create":                   {nil, key, c.wired(t, 2, avroEnvelope("c", nil, cupRow())), avroCup},
		"an update of its id":        {nil, key, c.wired(t, 2, avroEnvelope("u", with(cupRow(), map[string]any{"id": int64(1)}), cupRow())), "delete Product/1\n" + avroCup},
		"a delete by its key":        {nil, key, c.wired(t, 2, avroEnvelope("d", nil, nil)), "delete Product/9007199254740993"},
		"the tombstone behind it":    {nil, key, "-", "delete Product/9007199254740993"},
		"a table that was altered":   {nil, key, c.wired(t, 3, avroEnvelope("c", nil, map[string]any{"id": int64(1), "name": "Cup", "stock": 3})), `upsert Product/1 "Cup" stock=3`},
		"another table":              {[]string{id, "  match: {table: stock}\n" + id}, key, c.wired(t, 2, avroEnvelope("c", nil, cupRow())), "skip unmatched"},
		"JSON by a JSON Schema":      {nil, `{"id":1}`, c.wired(t, 5, envelope("c", "null", `{"id":1,"name":"Cup","price":"AwzU"}`)), `upsert Product/1 "Cup" price=199.892`},
		"a key that is one text":     {nil, c.wired(t, 6, "A-1"), "-", "delete Product/A-1"},
		"a key that is one number":   {nil, c.wired(t, 7, int64(4711)), "-", "delete Product/4711"},
		"an unwrapped row":           {rows(), key, c.wired(t, 4, with(cupRow(), map[string]any{"__deleted": "false", "__op": "u"})), avroCup},
		"an unwrapped delete":        {rows(), key, c.wired(t, 4, with(cupRow(), map[string]any{"__deleted": "true", "__op": "d"})), "delete Product/9007199254740993"},
		"rows by auto":               {as("auto"), key, c.wired(t, 4, with(cupRow(), map[string]any{"__deleted": "false", "__op": "u"})), avroCup},
		"envelopes by auto":          {as("auto"), key, c.wired(t, 2, avroEnvelope("c", nil, cupRow())), avroCup},
		"a row for an envelope":      {nil, key, c.wired(t, 4, with(cupRow(), map[string]any{"__deleted": "false", "__op": "u"})), "failed Product/9007199254740993 format-mismatch\nletter format-mismatch: the value is a row where an envelope of Debezium's is expected"},
		"a schema that nobody knows": {nil, key, unknown, "failed Product/9007199254740993 unknown-schema\nletter unknown-schema: nobody knows schema 99"},
		"such a key of a good row":   {nil, unknown, c.wired(t, 2, avroEnvelope("c", nil, cupRow())), avroCup},
		"such a key of a delete":     {nil, unknown, c.wired(t, 2, avroEnvelope("d", nil, nil)), "letter unknown-schema: nobody knows schema 99"},
		"a value of another schema":  {nil, key, "\x00\x00\x00\x00\x02\xff", "failed Product/9007199254740993 malformed\nletter malformed: the Avro value does not fit its schema: it ends too early, or has a length or a number that cannot be"},
		"a value that is no record":  {nil, key, c.wired(t, 6, "x"), "failed Product/9007199254740993 format-mismatch\nletter format-mismatch: the value is neither an object nor a record"},
		"a text that is no UTF-8":    {rows(), key, c.wired(t, 4, with(cupRow(), map[string]any{"name": "\xe9", "__deleted": nil, "__op": nil})), "failed Product/9007199254740993 malformed\nletter malformed: the value is not UTF-8"},
		"JSON that is none":          {nil, key, c.wired(t, 5, `{"id":`), "failed Product/9007199254740993 malformed\nletter malformed: the value is not valid JSON"},
	} {
		t.Run(name, func(t *testing.T) { f.runWith(t, shop, "shop.catalog.products", c) })
	}
	renamed := []string{id, matching, "shop.catalog.products", "renamed"}
	fact{renamed, key, "-", "delete Product/9007199254740993"}.runWith(t, shop, "renamed", c) // by the name of the key's schema
}

// A batch whose registry is away is tried again whole, so that nothing overtakes what waits for a schema.
func TestHandle_aBatchWaitsForItsSchemas(t *testing.T) {
	c := newCatalogue()
	in := newIngesterOf(t, parse(t, strings.Replace(shop, "format: debezium", "format: auto", 1)), c)
	values := []string{
		`{"id":1,"name":"A"}`, c.wired(t, 2, avroEnvelope("c", nil, cupRow())), `{"id":2,"name":"B"}`,
		c.wired(t, 3, avroEnvelope("c", nil, map[string]any{"id": int64(3), "name": "C", "stock": 3})), `{"id":4,"name":"D"}`,
	}
	var batch []ingester.Change
	for i, value := range values {
		batch = append(batch, ingester.Change{Record: stage.Record{Topic: "shop.catalog.products", Offset: int64(i), Value: []byte(value)}})
	}
	for _, test := range []struct {
		down  map[uint32]error
		class fault.Class
		asked []uint32
	}{
		{map[uint32]error{2: errors.New("it is away")}, fault.Transient, []uint32{2}}, // and is not asked for the next one
		{map[uint32]error{2: fault.Wait(time.Second, "%w", wire.ErrNotYet), 3: fault.Wait(time.Second, "%w", wire.ErrNotYet)}, fault.Transient, []uint32{2, 3}},
		{map[uint32]error{3: fault.Halt("it refuses us")}, fault.Fatal, []uint32{2, 3}},
	} {
		c.down, c.asked = test.down, nil
		outcomes, err := in.Handle(t.Context(), batch)
		if outcomes != nil || err == nil || fault.ClassOf(err) != test.class || fmt.Sprint(c.asked) != fmt.Sprint(test.asked) {
			t.Errorf("%d outcomes, %v, asked for %v", len(outcomes), err, c.asked)
		}
	}
	c.down = nil
	outcomes, err := in.Handle(t.Context(), batch)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, o := range outcomes {
		got = append(got, describe(o))
	}
	if want := []string{`upsert Product/1 "A"`, avroCup, `upsert Product/2 "B"`, `upsert Product/3 "C" stock=3`, `upsert Product/4 "D"`}; strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s", strings.Join(got, "\n"))
	}
}

func TestRecognise_confluentWire(t *testing.T) {
	c := newCatalogue()
	in := newIngesterOf(t, parse(t, shop), c)
	for value, want := range map[string]pipeline.Format{
		c.wired(t, 2, avroEnvelope("c", nil, cupRow())): pipeline.Debezium, c.wired(t, 6, "x"): "", "\x00\x00\x00\x00\x63x": "",
		c.wired(t, 4, with(cupRow(), map[string]any{"__deleted": nil, "__op": nil})): pipeline.Rows,
	} {
		if got := in.Recognise(t.Context(), []byte(value)); got != want {
			t.Errorf("%q: %s, want %s", value, got, want)
		}
	}
}
