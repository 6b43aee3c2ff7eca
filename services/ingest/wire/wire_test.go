package wire_test

import (
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"testing"

	"github.com/tidwall/gjson"
	"github.com/twmb/avro"

	"github.com/freshet-io/freshet/libs/fault"
	"github.com/freshet-io/freshet/libs/values"
	"github.com/freshet-io/freshet/services/ingest/change"
	"github.com/freshet-io/freshet/services/ingest/wire"
)

var limits = change.Limits{Bytes: 1 << 20, Depth: 64, Fields: 1 << 16}

func compile(t *testing.T, text string) *wire.Schema {
	t.Helper()
	s, err := wire.Compile(wire.Definition{Text: text})
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return s
}

// column is a schema of one column a.
func column(of string) string {
	return `{"type":"record","name":"Row","namespace":"shop","fields":[{"name":"a","type":` + of + `}]}`
}

func TestSplit(t *testing.T) {
	for text, want := range map[string]bool{"": false, "\x00\x00\x00\x00": false, "\x00\x00\x00\x01\x02": true, "\x00\xff\xff\xff\xffx": true, `{"a":1}`: false, "\x01\x00\x00\x00\x02x": false} {
		id, value, is := wire.Split([]byte(text))
		if is != want || is && (string(value) != text[5:] || id != uint32(text[1])<<24|uint32(text[2])<<16|uint32(text[3])<<8|uint32(text[4])) {
			t.Errorf("%q: %d %q %v", text, id, value, is)
		}
	}
}

// Each value is written by twmb/avro's encoder, and is what a pipeline reads of it in the end.
func TestJSON_valuesAreExact(t *testing.T) {
	connect := func(avro, name string) string {
		return `{"type":"` + avro + `","connect.version":1,"connect.name":"` + name + `"}`
	}
	bytes := func(b ...byte) []byte { return b }
	for name, test := range map[string]struct {
		of    string
		value any
		want  string
	}{
		"null":                       {`"null"`, nil, `null`},
		"a boolean":                  {`"boolean"`, true, `true`},
		"an int":                     {`"int"`, math.MinInt32, `-2147483648`},
		"a long above 2^53":          {`"long"`, int64(9007199254740993), `9007199254740993`},
		"the least long":             {`"long"`, int64(math.MinInt64), `-9223372036854775808`},
		"a float":                    {`"float"`, float32(1.1), `1.1`},
		"a double":                   {`"double"`, 0.1, `0.1`},
		"a whole double":             {`"double"`, 199.0, `199.0`},
		"a large double":             {`"double"`, 1.5e300, `1.5E300`},
		"a small double":             {`"double"`, -2e-7, `-2.0E-7`},
		"ten millions":               {`"float"`, float32(1e7), `1.0E7`},
		"no number":                  {`"double"`, math.NaN(), `"NaN"`},
		"infinity":                   {`"float"`, float32(math.Inf(-1)), `"-Infinity"`},
		"zero below zero":            {`"double"`, math.Copysign(0, -1), `-0.0`},
		"a text":                     {`"string"`, "\x00\t\n\r\x1f\"\\ 类目 🎉", `"\u0000\t\n\r\u001f\"\\ 类目 🎉"`},
		"bytes":                      {`"bytes"`, bytes(1, 2), `"AQI="`},
		"a fixed":                    {`{"type":"fixed","name":"F","size":2}`, bytes(1, 2), `"AQI="`},
		"an enum":                    {`{"type":"enum","name":"E","symbols":["A","B"]}`, "B", `"B"`},
		"a list":                     {`{"type":"array","items":"int"}`, []int{1, 2}, `[1,2]`},
		"an empty list":              {`{"type":"array","items":"int"}`, []int{}, `[]`},
		"a map":                      {`{"type":"map","values":"int"}`, map[string]int{"a \"": 1}, `{"a \"":1}`},
		"a record":                   {`{"type":"record","name":"R","fields":[{"name":"b","type":"int"}]}`, map[string]any{"b": 1}, `{"b":1}`},
		"a union's null":             {`["null","int"]`, nil, `null`},
		"a union's number":           {`["null","int"]`, 7, `7`},
		"one of three":               {`["null","int","string"]`, "x", `"x"`},
		"a decimal":                  {`{"type":"bytes","logicalType":"decimal","precision":10,"scale":2}`, json.Number("-199.90"), `-199.90`},
		"a decimal that is fixed":    {`{"type":"fixed","name":"D","size":9,"logicalType":"decimal","precision":20,"scale":3}`, json.Number("12345678901234567.890"), `12345678901234567.890`},
		"a decimal of Connect's":     {`["null",{"type":"bytes","scale":2,"precision":64,"connect.version":1,"connect.parameters":{"scale":"2"},"connect.name":"org.apache.kafka.connect.data.Decimal","logicalType":"decimal"}]`, json.Number("7.50"), `7.50`},
		"a decimal by its name":      {`{"type":"bytes","connect.parameters":{"scale":"3"},"connect.name":"org.apache.kafka.connect.data.Decimal"}`, bytes(0x4e, 0x16), `19.990`},
		"a decimal of any scale":     {`{"type":"record","name":"VariableScaleDecimal","namespace":"io.debezium.data","fields":[{"name":"scale","type":"int"},{"name":"value","type":"bytes"}],"connect.name":"io.debezium.data.VariableScaleDecimal"}`, map[string]any{"scale": 1, "value": bytes(75)}, `7.5`},
		"a date":                     {`{"type":"int","logicalType":"date"}`, 19675, `"2023-11-14"`},
		"a time in ms":               {`{"type":"int","logicalType":"time-millis"}`, 47655500, `"13:14:15.5"`},
		"a time in µs":               {`{"type":"long","logicalType":"time-micros"}`, int64(47655000001), `"13:14:15.000001"`},
		"ms":                         {`{"type":"long","logicalType":"timestamp-millis"}`, int64(1700000000123), `"2023-11-14T22:13:20.123Z"`},
		"µs":                         {`{"type":"long","logicalType":"timestamp-micros"}`, int64(1700000000123456), `"2023-11-14T22:13:20.123456Z"`},
		"ns":                         {`{"type":"long","logicalType":"timestamp-nanos"}`, int64(1700000000123456789), `"2023-11-14T22:13:20.123456789Z"`},
		"µs without a zone":          {`{"type":"long","logicalType":"local-timestamp-micros"}`, int64(1700000000123456), `"2023-11-14T22:13:20.123456Z"`},
		"a UUID":                     {`{"type":"string","logicalType":"uuid"}`, "6f1c7f5e-0c1d-4b52-9a39-0d7e6b1d3c11", `"6f1c7f5e-0c1d-4b52-9a39-0d7e6b1d3c11"`},
		"a UUID of bytes":            {`{"type":"fixed","name":"U","size":16,"logicalType":"uuid"}`, [16]byte{0x6f, 0x1c, 0x7f, 0x5e, 0x0c, 0x1d, 0x4b, 0x52, 0x9a, 0x39, 0x0d, 0x7e, 0x6b, 0x1d, 0x3c, 0x11}, `"6f1c7f5e-0c1d-4b52-9a39-0d7e6b1d3c11"`},
		"days of Debezium's":         {`["null",` + connect("int", "io.debezium.time.Date") + `]`, 19675, `"2023-11-14"`},
		"µs of Debezium's":           {`[` + connect("long", "io.debezium.time.MicroTimestamp") + `,"null"]`, int64(1700000000123456), `"2023-11-14T22:13:20.123456Z"`},
		"ns of Debezium's":           {connect("long", "io.debezium.time.NanoTimestamp"), int64(1700000000123456789), `"2023-11-14T22:13:20.123456789Z"`},
		"a time of Debezium's":       {connect("long", "io.debezium.time.MicroTime"), int64(47655000001), `"13:14:15.000001"`},
		"a zoned time":               {connect("string", "io.debezium.time.ZonedTimestamp"), "2023-11-14T23:13:20+01:00", `"2023-11-14T22:13:20Z"`},
		"bits":                       {connect("bytes", "io.debezium.data.Bits"), bytes(1, 2), `513`},
		"JSON in a text":             {connect("string", "io.debezium.data.Json"), `{"a":1}`, `"{\"a\":1}"`},
		"a list of days":             {`{"type":"array","items":["null",` + connect("int", "io.debezium.time.Date") + `]}`, []any{19675, nil}, `["2023-11-14",null]`},
		"a time that is infinite":    {connect("string", "io.debezium.time.ZonedTimestamp"), "infinity", `"infinity"`},
		"a logical type of nobody's": {`{"type":"long","logicalType":"furlongs"}`, int64(7), `7`},
	} {
		t.Run(name, func(t *testing.T) {
			text := column(test.of)
			encoder, err := avro.Parse(text)
			if err != nil {
				t.Fatal(err)
			}
			value, err := encoder.Encode(map[string]any{"a": test.value})
			if err != nil {
				t.Fatal(err)
			}
			s := compile(t, text)
			got, err := s.JSON(value, limits)
			if err != nil || !gjson.ValidBytes(got) {
				t.Fatalf("%s %v", got, err)
			}
			normal, err := values.Normalise(gjson.GetBytes(got, "a"), s.Types.Of("a"))
			if err != nil || normal.Raw != test.want {
				t.Errorf("%s is read as %s, %v; want %s", got, normal.Raw, err, test.want)
			}
		})
	}
}

func TestCompile_namesAreFoundWhereAvroFindsThem(t *testing.T) {
	s := compile(t, `{"type":"record","name":"Envelope","namespace":"srv.shop.products","connect.name":"srv.shop.products.Envelope","fields":[
		{"name":"before","type":["null",{"type":"record","name":"Value","fields":[
			{"name":"id","type":"long"},
			{"name":"at","type":["null",{"type":"long","connect.name":"io.debezium.time.Timestamp"}]},
			{"name":"kind","type":{"type":"enum","name":"Kind","namespace":"other","symbols":["A"]}},
			{"name":"again","type":"other.Kind"},
			{"name":"parent","type":["null","Value"]}],"connect.name":"srv.shop.products.Value"}]},
		{"name":"after","type":["null","Value"]},
		{"name":"source","type":{"type":"record","name":"Source","namespace":"io.debezium","fields":[{"name":"of","type":["null","srv.shop.products.Value"]}]}}]}`)
	want := values.Type{Kind: values.Instant, Nanos: values.Millisecond}
	if row := s.Types.Row; row == nil || row.Of("at") != want || row.Name != "srv.shop.products.Value" || row.Row != nil || s.Types.Name != "srv.shop.products.Envelope" {
		t.Errorf("%+v", s.Types)
	}
	value := []byte{0, 2, 14, 2, 16, 0, 0, 2, 2, 0, 0, 0, 0, 0}
	if got, err := s.JSON(value, limits); err != nil || string(got) != `{"before":null,"after":{"id":7,"at":8,"kind":"A","again":"A","parent":{"id":1,"at":null,"kind":"A","again":"A","parent":null}},"source":{"of":null}}` {
		t.Errorf("%s %v", got, err)
	}
}

func TestCompile_refuses(t *testing.T) {
	for _, d := range []wire.Definition{
		{Text: ""},
		{Text: `{"type":"record"}`},
		{Text: `"nobody"`},
		{Text: `["null","srv.Nobody"]`},
		{Text: `syntax = "proto3";`, Language: "PROTOBUF"},
		{Text: `{`, Language: "JSON"},
		{Text: `{}`, Language: "JSON schema of a kind that nobody has heard of"},
		{Text: `"string"`, References: []string{`{`}},
		{Text: strings.Repeat("[", 1<<20)},
		{Text: strings.Repeat(`{"type":"array","items":`, 1<<16) + `"int"` + strings.Repeat("}", 1<<16)},
		{Text: strings.Repeat("[", 1<<20), Language: "JSON"},
		{Text: `"` + strings.Repeat("x", 5<<20) + `"`},
	} {
		if _, err := wire.Compile(d); err == nil || len(err.Error()) > 1000 {
			t.Errorf("%.60s: %.200v", d.Text, err)
		}
	}
}

// What somebody sends to hurt is refused, in a time and with memory that the limits bound.
func TestJSON_hostile(t *testing.T) {
	nulls := column(`{"type":"array","items":"null"}`)
	empty := column(`{"type":"array","items":{"type":"record","name":"Empty","fields":[]}}`)
	list := column(`{"type":"array","items":"int"}`)
	recursive := `{"type":"record","name":"R","fields":[{"name":"r","type":["null","R"]}]}`
	wide := &strings.Builder{} // each record of which doubles the next
	for i := range 40 {
		wide.WriteString(`{"type":"record","name":"R` + strconv.Itoa(i) + `","fields":[{"name":"a","type":`)
	}
	wide.WriteString(`"null"`)
	for i := 39; i >= 0; i-- {
		next := `"null"`
		if i < 39 {
			next = `"R` + strconv.Itoa(i+1) + `"`
		}
		wide.WriteString(`},{"name":"b","type":` + next + `}]}`)
	}
	billions := string([]byte{0x80, 0x80, 0x80, 0x80, 0x80, 0x40}) // a count
	for name, test := range map[string]struct {
		schema, value string
		want          fault.Reason
	}{
		"a list of billions of nulls":         {nulls, billions, fault.Oversize},
		"of nulls, by a negative count":       {nulls, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x00", fault.Oversize},
		"of empty records":                    {empty, billions, fault.Oversize},
		"of numbers that are not there":       {list, billions, fault.Malformed},
		"blocks without an end":               {list, strings.Repeat("\x02\x02", 1<<19), fault.Oversize},
		"empty blocks by negative counts":     {list, strings.Repeat("\x01\x00\x02", 1<<18), fault.Malformed},
		"a map of billions":                   {column(`{"type":"map","values":"null"}`), billions + strings.Repeat("\x00", 1<<20), fault.Oversize},
		"a text of billions of bytes":         {column(`"string"`), billions, fault.Malformed},
		"bytes below none":                    {column(`"bytes"`), "\x01", fault.Malformed},
		"a record in itself, again and again": {recursive, strings.Repeat("\x02", 1<<20), fault.Malformed},
		"records that double":                 {wide.String(), "", fault.Oversize},
		"a record that has itself for ever":   {`{"type":"record","name":"R","fields":[{"name":"r","type":{"type":"array","items":"R"}}]}`, strings.Repeat("\x02", 1<<20), fault.Malformed},
		"a number without an end":             {column(`"long"`), strings.Repeat("\xff", 1<<20), fault.Malformed},
		"an int of 64 bits":                   {column(`"int"`), "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", fault.Malformed},
		"a branch that is not there":          {column(`["null","int"]`), "\x04", fault.Malformed},
		"a branch in too many bytes":          {column(`["null","int"]`), "\x80\x80\x80\x80\x80\x00", fault.Malformed},
		"an int in too many bytes":            {column(`"int"`), "\x80\x80\x80\x80\x80\x00", fault.Malformed},
		"a branch below the first":            {column(`["null","int"]`), "\x01", fault.Malformed},
		"a symbol that is not there":          {column(`{"type":"enum","name":"E","symbols":["A"]}`), "\x02", fault.Malformed},
		"a boolean that is neither":           {column(`"boolean"`), "\x02", fault.Malformed},
		"half a double":                       {column(`"double"`), "\x02\x02", fault.Malformed},
		"half a fixed":                        {column(`{"type":"fixed","name":"F","size":1000000000}`), "\x02", fault.Malformed},
		"nothing":                             {column(`"string"`), "", fault.Malformed},
		"something behind the end":            {column(`"null"`), "\x00", fault.Malformed},
		"a value that is too long":            {column(`"string"`), strings.Repeat("x", 1<<20+1), fault.Oversize},
		"a text that is too long as JSON":     {column(`"string"`), "\x80\x80\x40" + strings.Repeat("\x00", 1<<19), fault.Oversize},
	} {
		t.Run(name, func(t *testing.T) {
			s := compile(t, test.schema)
			got, err := s.JSON([]byte(test.value), limits)
			if fault.ReasonOf(err) != test.want || got != nil {
				t.Errorf("%d bytes, %v; want %s", len(got), err, test.want)
			}
		})
	}
}

func TestTypes_ofAJSONSchema(t *testing.T) {
	s, err := wire.Compile(wire.Definition{Language: "JSON", Text: `{"type":"object","title":"srv.shop.products.Envelope","properties":{
		"before":{"oneOf":[{"type":"null"},{"type":"object","title":"srv.shop.products.Value","properties":{
			"id":{"type":"integer","connect.type":"int64"},
			"price":{"connect.index":1,"oneOf":[{"type":"null"},{"type":"string","title":"org.apache.kafka.connect.data.Decimal","connect.version":1,"connect.type":"bytes","connect.parameters":{"scale":"2"}}]},
			"at":{"type":"integer","title":"io.debezium.time.MicroTimestamp","connect.type":"int64"},
			"days":{"type":"array","items":{"oneOf":[{"type":"null"},{"type":"integer","title":"io.debezium.time.Date"}]}},
			"name":{"oneOf":[{"type":"null"},{"type":"string"}]},
			"raw":{"type":"string","connect.type":"bytes"}}}]},
		"op":{"type":"string"}}}`})
	if err != nil {
		t.Fatal(err)
	}
	row := s.Types.Row
	days := values.Type{Kind: values.Days}
	for name, want := range map[string]values.Type{
		"id": {Kind: values.Plain}, "price": {Kind: values.Decimal, Scale: 2}, "at": {Kind: values.Instant, Nanos: values.Microsecond},
		"name": {Kind: values.Text}, "raw": {Kind: values.Bytes}, "days": {Kind: values.Plain, Items: &days},
	} {
		if got := row.Of(name); got.Kind != want.Kind || got.Scale != want.Scale || got.Nanos != want.Nanos || (want.Items != nil) != (got.Items != nil) || want.Items != nil && *got.Items != *want.Items {
			t.Errorf("%s: %+v, want %+v", name, got, want)
		}
	}
	if s.Types.Name != "srv.shop.products.Envelope" || row.Name != "srv.shop.products.Value" {
		t.Errorf("%q %q", s.Types.Name, row.Name)
	}
	if got, err := s.JSON([]byte(`{"a":1}`), limits); err != nil || string(got) != `{"a":1}` {
		t.Errorf("%s %v", got, err)
	}
}

// FuzzJSON reads any bytes by any schema: an error, or JSON within the limits, of a value that twmb/avro's own decoder
// reads, too.
func FuzzJSON(f *testing.F) {
	f.Add(column(`["null","int"]`), []byte{2, 14})
	f.Add(column(`{"type":"array","items":{"type":"map","values":"string"}}`), []byte{2, 2, 2, 'k', 2, 'v', 0, 0})
	f.Add(column(`{"type":"array","items":"null"}`), []byte{0x80, 0x80, 0x80, 0x80, 0x80, 0x40})
	f.Add(column(`{"type":"fixed","name":"F","size":16,"logicalType":"uuid"}`), []byte("0123456789abcdef"))
	f.Add(column(`{"type":"bytes","logicalType":"decimal","precision":4,"scale":2}`), []byte{4, 1, 2})
	f.Add(`{"type":"record","name":"R","fields":[{"name":"r","type":["null","R"]},{"name":"e","type":{"type":"enum","name":"E","symbols":["A","B"]}}]}`, []byte{2, 0, 2, 0})
	f.Add(`{"type":"object","properties":{"a":{"title":"io.debezium.time.Date"}}}`, []byte(`{"a":1}`))
	small := change.Limits{Bytes: 1 << 12, Depth: 16, Fields: 1 << 10} // below the limits of the other decoder
	f.Fuzz(func(t *testing.T, text string, value []byte) {
		for _, language := range []string{"AVRO", "JSON"} {
			s, err := wire.Compile(wire.Definition{Text: text, Language: language})
			if err != nil {
				continue
			}
			got, err := s.JSON(value, small)
			if language == "JSON" {
				continue
			}
			switch {
			case len(got) > small.Bytes+64: // of brackets
				t.Errorf("%d bytes of JSON", len(got))
			case err != nil && fault.ClassOf(err) != fault.Permanent:
				t.Errorf("%v", err)
			case err == nil && !json.Valid(got):
				t.Errorf("no JSON: %q", got)
			case err == nil && !agrees(text, value):
				t.Errorf("another decoder refuses %q, which is read as %q", value, got)
			}
		}
	})
}

// agrees reports whether twmb/avro's decoder reads the value whole. It does not look at logical types, of which it may
// refuse what is out of their range.
func agrees(text string, value []byte) bool {
	text = strings.ReplaceAll(text, "logicalType", "logically")
	s, err := avro.Parse(text, avro.WithLaxNames(func(string) error { return nil }))
	if err != nil {
		return true
	}
	var v any
	rest, err := s.Decode(value, &v)
	return err == nil && len(rest) == 0
}
