package values_test

import (
	"encoding/base64"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/tidwall/gjson"

	"github.com/freshet-io/freshet/libs/pipeline"
	"github.com/freshet-io/freshet/libs/values"
)

func declared(unit string, scale int) values.Type {
	p := pipeline.Property{Type: pipeline.TypeDate, Unit: unit}
	if unit == "" {
		p = pipeline.Property{Type: pipeline.TypeNumber, Decimal: &pipeline.Decimal{Scale: scale}}
	}
	return values.Declared(p)
}

func b64(b ...byte) string { return `"` + base64.StdEncoding.EncodeToString(b) + `"` }

func TestNormalise(t *testing.T) {
	wide := append([]byte{0x80}, make([]byte, 8)...) // -2^71
	for name, test := range map[string]struct {
		value string
		as    values.Type
		want  string // JSON, or an error after "! "
	}{
		"a decimal":                       {b64(0x4e, 0x16), declared("", 2), "199.90"},
		"a negative decimal":              {b64(0xff), declared("", 2), "-0.01"},
		"a decimal of eight bytes":        {b64(0x80, 0, 0, 0, 0, 0, 0, 0), declared("", 0), "-9223372036854775808"},
		"a decimal beyond 64 bits":        {b64(wide...), declared("", 3), "-2361183241434822606.848"},
		"a decimal that is a number":      {"12.50", declared("", 2), "12.50"},
		"a decimal with its own scale":    {`{"scale":1,"value":"Dw=="}`, declared("", 2), "1.5"},
		"the same, undeclared":            {`{"scale":1,"value":"Dw=="}`, values.Type{}, "1.5"},
		"a scale below zero":              {`{"scale":-3,"value":"Dw=="}`, values.Type{}, "15000"},
		"zero with a scale below zero":    {`{"scale":-3,"value":"AA=="}`, values.Type{}, "0"},
		"an object with more":             {`{"scale":1,"value":"Dw==","unit":"kg"}`, values.Type{}, `{"scale":1,"value":"Dw==","unit":"kg"}`},
		"an object called so":             {`{"scale":"big","value":"x"}`, values.Type{}, `{"scale":"big","value":"x"}`},
		"an endless scale":                {`{"scale":1000000,"value":"Dw=="}`, values.Type{}, "! is a decimal of too many digits"},
		"a scale of a fraction":           {`{"scale":1.5,"value":"Dw=="}`, values.Type{}, "! is declared as a decimal and is none"},
		"a decimal that is a text":        {`"19.99"`, declared("", 2), "! is declared as a decimal and is none"},
		"an empty decimal":                {`""`, declared("", 2), "! is declared as a decimal and is none"},
		"an endless decimal":              {`"` + strings.Repeat("AAAA", 500) + `"`, declared("", 2), "! is a decimal of too many digits"},
		"no decimal":                      {"null", declared("", 2), "null"},
		"days":                            {"20779", declared("d", 0), `"2026-11-22"`},
		"days before 1970":                {"-1", declared("d", 0), `"1969-12-31"`},
		"infinite days":                   {"-2147472691", declared("d", 0), "! is a time outside of the years 1 to 9999"},
		"seconds":                         {"1700000000", declared("s", 0), `"2023-11-14T22:13:20Z"`},
		"seconds with a fraction":         {"1700000000.25", declared("s", 0), `"2023-11-14T22:13:20.25Z"`},
		"seconds before 1970":             {"-1.5", declared("s", 0), `"1969-12-31T23:59:58.5Z"`},
		"milliseconds":                    {"1795342272123", declared("ms", 0), `"2026-11-22T10:11:12.123Z"`},
		"microseconds":                    {"1795342272123456", declared("us", 0), `"2026-11-22T10:11:12.123456Z"`},
		"a microsecond before 1970":       {"-1", declared("us", 0), `"1969-12-31T23:59:59.999999Z"`},
		"nanoseconds":                     {"1795342272123456789", declared("ns", 0), `"2026-11-22T10:11:12.123456789Z"`},
		"microseconds that went double":   {"1.795342272123456E15", declared("us", 0), `"2026-11-22T10:11:12.123456Z"`},
		"half a day":                      {"1.5", declared("d", 0), "! is no whole count of its unit"},
		"a count beyond 64 bits":          {"99999999999999999999", declared("s", 0), "! is no whole count of its unit"},
		"the year 33658":                  {"1000000000000", declared("s", 0), "! is a time outside of the years 1 to 9999"},
		"auto: days":                      {"20779", declared("auto", 0), `"2026-11-22"`},
		"auto: seconds":                   {"1700000000", declared("auto", 0), `"2023-11-14T22:13:20Z"`},
		"auto: milliseconds":              {"1795342272123", declared("auto", 0), `"2026-11-22T10:11:12.123Z"`},
		"auto: microseconds":              {"1795342272123456", declared("auto", 0), `"2026-11-22T10:11:12.123456Z"`},
		"auto: nanoseconds":               {"1795342272123456789", declared("auto", 0), `"2026-11-22T10:11:12.123456789Z"`},
		"a text where a count may be":     {`"infinity"`, declared("us", 0), `"infinity"`},
		"a time of day":                   {"47655500000", values.Type{Kind: values.TimeOfDay, Nanos: values.Microsecond}, `"13:14:15.5"`},
		"the end of the day":              {"86400000", values.Type{Kind: values.TimeOfDay, Nanos: values.Millisecond}, `"24:00:00"`},
		"a negative length of time":       {"-3020399000000", values.Type{Kind: values.TimeOfDay, Nanos: values.Microsecond}, `"-838:59:59"`},
		"an endless time of day":          {"9223372036854775807", values.Type{Kind: values.TimeOfDay, Nanos: values.Millisecond}, "! is no whole count of its unit"},
		"bits":                            {b64(0xb4, 0x02), values.Type{Kind: values.Bits}, "692"},
		"no bits":                         {`""`, values.Type{Kind: values.Bits}, "0"},
		"bits of no base64":               {`"b'1'"`, values.Type{Kind: values.Bits}, "! is declared as bits and is none"},
		"a bit that is a boolean":         {`true`, values.Type{Kind: values.Bits}, "true"},
		"a zone":                          {`"2026-11-22T10:11:12.5+08:00"`, values.Type{Kind: values.Zoned}, `"2026-11-22T02:11:12.5Z"`},
		"an infinite zone":                {`"infinity"`, values.Type{Kind: values.Zoned}, `"infinity"`},
		"a list of days":                  {"[19723, null,19724]", values.Type{Items: &values.Type{Kind: values.Days}}, `["2024-01-01",null,"2024-01-02"]`},
		"a list of decimals":              {"[" + b64(1) + "]", values.Type{Items: &values.Type{Kind: values.Decimal, Scale: 1}}, "[0.1]"},
		"a list with one bad element":     {`[1,"x!"]`, values.Type{Items: &values.Type{Kind: values.Decimal, Scale: 1}}, "! is declared as a decimal and is none"},
		"a list of what needs nothing":    {`["a", "b"]`, values.Type{Items: &values.Type{Kind: values.Text}}, `["a", "b"]`},
		"a text that a schema calls text": {`"ThY="`, values.Type{Kind: values.Text}.Or(declared("", 2)), `"ThY="`},
		"bytes that the file calls more":  {`"ThY="`, values.Type{Kind: values.Bytes}.Or(declared("", 2)), "199.90"},
		"a number the file calls a time":  {"20779", values.Type{Kind: values.Plain}.Or(declared("d", 0)), `"2026-11-22"`},
		"a time the schema knows better":  {"1795342272123", values.Type{Kind: values.Instant, Nanos: values.Millisecond}.Or(declared("us", 0)), `"2026-11-22T10:11:12.123Z"`},
		"a list the file calls times":     {"[20779]", values.Type{Kind: values.Plain, Items: &values.Type{Kind: values.Plain}}.Or(values.Type{Items: &values.Type{Kind: values.Days}}), `["2026-11-22"]`},
	} {
		t.Run(name, func(t *testing.T) {
			v, err := values.Normalise(gjson.Parse(test.value), test.as)
			got := v.Raw
			if err != nil {
				got = "! " + err.Error()
			}
			if got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
		})
	}
}

func TestSchemas_typesOfMySQL(t *testing.T) {
	var schemas values.Schemas
	for _, test := range []struct{ declaration, value, want string }{
		{"INT(8) unsigned zerofill", `"00000042"`, "42"},
		{"bigint unsigned", `"18446744073709551615"`, "18446744073709551615"},
		{"DECIMAL(35,3)", `"123456789876543212345678987654321.110"`, "123456789876543212345678987654321.110"},
		{"DOUBLE PRECISION(10,7)", `"-0.5"`, "-0.5"},
		{"int", `"-007"`, "-7"},
		{"int", `"000"`, "0"},
		{"int", `7`, "7"},
		{"int", `null`, "null"},
		{"int", `""`, `""`},
		{"int", `"-"`, `"-"`},
		{"float", `"NaN"`, `"NaN"`},
		{"float", `"1e5"`, "1e5"},
		{"int", `"true"`, `"true"`},
		{"int", `[1]`, "[1]"},
		{"varchar(10)", `"007"`, `"007"`},
		{"point", `"7"`, `"7"`},
		{"", `"7"`, `"7"`},
	} {
		schema := schemas.MySQL(gjson.Parse(fmt.Sprintf(`{"a":%q}`, test.declaration)))
		if v, err := values.Normalise(gjson.Parse(test.value), schema.Of("a")); err != nil || v.Raw != test.want {
			t.Errorf("%s of %s: got %s, %v, want %s", test.value, test.declaration, v.Raw, err, test.want)
		}
	}
	// A schema of Connect's is another thing than a table with a column fields.
	fields := gjson.Parse(`{"fields":[{"field":"a","type":"string"}]}`)
	if a, b := schemas.MySQL(fields), schemas.Compile(fields); a.Of("a") == b.Of("a") {
		t.Error("one cache for both kinds of schemas")
	}
	if schemas.MySQL(gjson.Parse("null")) != nil {
		t.Error("null says something")
	}
}

func TestTyped(t *testing.T) {
	for _, test := range []struct {
		value string
		as    pipeline.Type
		want  string // of protobuf's text, or an error after "! "
	}{
		{`"x"`, pipeline.TypeText, `text:"x"`},
		{`1.50`, pipeline.TypeText, `text:"1.50"`},
		{`true`, pipeline.TypeText, `text:"true"`},
		{`{}`, pipeline.TypeText, "! is an object or a list where a text is expected"},
		{`1.5`, pipeline.TypeNumber, "number:1.5"},
		{`"1.5"`, pipeline.TypeNumber, "number:1.5"},
		{`"NaN"`, pipeline.TypeNumber, "! is no finite number"},
		{`"-Infinity"`, pipeline.TypeNumber, "! is no finite number"},
		{`1e399`, pipeline.TypeNumber, "! is no finite number"},
		{`"ThY="`, pipeline.TypeNumber, "! is no number, but a text: if it is a decimal in bytes, set decimal: {scale: …} with the scale of its column"},
		{`"cheap"`, pipeline.TypeInt, "! is no number, but a text"},
		{`""`, pipeline.TypeNumber, "! is no number, but a text"},
		{`"` + strings.Repeat("AAAA", 9) + `"`, pipeline.TypeNumber, "! is no number, but a text"},
		{`"-0x10"`, pipeline.TypeNumber, "! is no number, but a text"},
		{`true`, pipeline.TypeNumber, "! is no number, but true, false, an object or a list"},
		{`7`, pipeline.TypeInt, "integer:7"},
		{`"7"`, pipeline.TypeInt, "integer:7"},
		{`7.00`, pipeline.TypeInt, "integer:7"},
		{`7.5`, pipeline.TypeInt, "! is no whole number"},
		{`9007199254740992`, pipeline.TypeInt, "integer:9007199254740992"},
		{`9007199254740993`, pipeline.TypeInt, "! is beyond 2^53, which the index cannot keep exactly: map it as text"},
		{`99999999999999999999`, pipeline.TypeInt, "! is beyond 2^53, which the index cannot keep exactly: map it as text"},
		{`true`, pipeline.TypeBool, "boolean:true"},
		{`0`, pipeline.TypeBool, "boolean:false"},
		{`"1"`, pipeline.TypeBool, "boolean:true"},
		{`"False"`, pipeline.TypeBool, "boolean:false"},
		{`2`, pipeline.TypeBool, "! is neither true nor false, 1 nor 0"},
		{`[]`, pipeline.TypeBool, "! is neither true nor false, 1 nor 0"},
		{`"2026-11-22T10:11:12.5+08:00"`, pipeline.TypeDate, `date:"2026-11-22T02:11:12.5Z"`},
		{`"2026-11-22 10:11:12"`, pipeline.TypeDate, `date:"2026-11-22T10:11:12Z"`},
		{`"2026-11-22"`, pipeline.TypeDate, `date:"2026-11-22T00:00:00Z"`},
		{`"infinity"`, pipeline.TypeDate, "! is no finite date: map it as text"},
		{`"-Infinity"`, pipeline.TypeDate, "! is no finite date: map it as text"},
		{`"0000-00-00"`, pipeline.TypeDate, "! is no date: 2006-01-02, with a time such as 15:04:05 and a zone or without; map what else there is as text"},
		{`1795342272123`, pipeline.TypeDate, "! is a count where a date is expected: declare its unit"},
		{`true`, pipeline.TypeDate, "! is no date: 2006-01-02, with a time such as 15:04:05 and a zone or without; map what else there is as text"},
		{`"6F1C7F5E-0c1d-4b52-9a39-0d7e6b1d3c11"`, pipeline.TypeUUID, `uuid:"6f1c7f5e-0c1d-4b52-9a39-0d7e6b1d3c11"`},
		{`"{6f1c7f5e-0c1d-4b52-9a39-0d7e6b1d3c1}"`, pipeline.TypeUUID, "! is no UUID"},
		{`"urn:uuid:6f1c7f5e-0c1d-4b52-9a39-0d7e6b1d3c11"`, pipeline.TypeUUID, "! is no UUID"},
		{`["a",1]`, pipeline.TypeTexts, `texts:{values:"a" values:"1"}`},
		{`[]`, pipeline.TypeTexts, `texts:{}`},
		{`"a"`, pipeline.TypeTexts, "! is no list"},
		{`["a",null]`, pipeline.TypeTexts, "! is a list with a null in it"},
		{`[1,"2.5"]`, pipeline.TypeNumbers, "numbers:{values:1 values:2.5}"},
		{`[1,2.5]`, pipeline.TypeInts, "! is no whole number"},
		{`[1,2]`, pipeline.TypeInts, "integers:{values:1 values:2}"},
		{`[true,0]`, pipeline.TypeBooleans, "booleans:{values:true values:false}"},
		{`["2024-01-01"]`, pipeline.TypeDates, `dates:{values:"2024-01-01T00:00:00Z"}`},
		{`1`, pipeline.Type("blob"), "! has a type that is not known"},
	} {
		t.Run(fmt.Sprint(test.value, " as ", test.as), func(t *testing.T) {
			v, err := values.Typed(gjson.Parse(test.value), test.as)
			// protobuf varies the white space of its text on purpose.
			got := strings.Join(strings.Fields(v.String()), " ")
			if err != nil {
				got = "! " + err.Error()
			}
			if got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
		})
	}
}

func TestSchemas_columnsOfAnEnvelopeAndOfARow(t *testing.T) {
	var schemas values.Schemas
	envelope := gjson.Parse(`{"type":"struct","name":"e","fields":[
		{"field":"before","type":"struct","fields":[{"field":"a","type":"int32","name":"io.debezium.time.Date"}]},
		{"field":"after","type":"struct","fields":[{"field":"a","type":"int32","name":"io.debezium.time.Date"},
			{"field":"tags","type":"array","items":{"type":"string"}},{"type":"int32"}]}]}`)
	for range 2 { // compiled, and known
		s := schemas.Compile(envelope)
		if got := s.Row.Of("a"); got.Kind != values.Days {
			t.Errorf("a is %+v", got)
		}
		if s.Row != schemas.Compile(envelope).Row {
			t.Error("compiled again")
		}
	}
	row := schemas.Compile(gjson.Parse(`{"name":"x.Key","fields":[{"field":"d","type":"bytes","name":"org.apache.kafka.connect.data.Decimal","parameters":{"scale":"4"}}]}`))
	if got := row.Of("d"); got.Kind != values.Decimal || got.Scale != 4 || row.Name != "x.Key" {
		t.Errorf("d is %+v of %s", got, row.Name)
	}
	for _, nothing := range []string{`{}`, `null`, `{"fields":{}}`, `[]`} {
		if s := schemas.Compile(gjson.Parse(nothing)); s != nil || s.Of("a").Kind != values.Undeclared {
			t.Errorf("%s: %+v", nothing, s)
		}
	}
	for i := range 3000 { // bounded, and right beyond the bound
		s := schemas.Compile(gjson.Parse(fmt.Sprintf(`{"fields":[{"field":"f%d","type":"bytes"}]}`, i)))
		if s.Of(fmt.Sprintf("f%d", i)).Kind != values.Bytes {
			t.Fatalf("schema %d", i)
		}
	}
}

func TestIDPart_equalIdsAreEqualTexts(t *testing.T) {
	for value, want := range map[string]string{
		`1`: "1", `1.0`: "1", `"1"`: "1", `10e1`: "100", `1720349049869471748`: "1720349049869471748", `"A"`: "A", `true`: "true",
	} {
		if got, ok := values.IDPart(gjson.Parse(value)); !ok || got != want {
			t.Errorf("%s: %q %v", value, got, ok)
		}
	}
	for _, value := range []string{`null`, `[]`, `{}`, `1e999`, ``} {
		if got, ok := values.IDPart(gjson.Parse(value)); ok {
			t.Errorf("%s: %q", value, got)
		}
	}
}

func FuzzNormalise(f *testing.F) {
	f.Add(`{"scale":2,"value":"ThY="}`, 2, "us")
	f.Add(`["ThY=",1e5,-1.5]`, -1, "auto")
	f.Add(`"2026-11-22T10:11:12+08:00"`, 1000, "d")
	all := []pipeline.Type{
		pipeline.TypeText, pipeline.TypeNumber, pipeline.TypeInt, pipeline.TypeBool, pipeline.TypeDate, pipeline.TypeUUID,
		pipeline.TypeTexts, pipeline.TypeNumbers, pipeline.TypeInts, pipeline.TypeBooleans, pipeline.TypeDates,
	}
	f.Fuzz(func(t *testing.T, value string, scale int, unit string) {
		if len(value) > 1<<16 || !gjson.Valid(value) {
			return
		}
		v := gjson.Parse(value)
		declaredUnit := values.Declared(pipeline.Property{Type: pipeline.TypeDate, Unit: unit})
		for _, as := range []values.Type{
			{},
			{Kind: values.Decimal, Scale: scale},
			declaredUnit,
			{Kind: values.Zoned},
			{Kind: values.TimeOfDay, Nanos: values.Microsecond},
			{Items: &values.Type{Kind: values.Decimal, Scale: scale}},
			{Items: &declaredUnit},
		} {
			normal, err := values.Normalise(v, as)
			if err != nil {
				continue
			}
			if normal.Exists() && !gjson.Valid(normal.Raw) {
				t.Fatalf("%s as %+v becomes %q", value, as, normal.Raw)
			}
			for _, kind := range all {
				_, _ = values.Typed(normal, kind) // must not panic
			}
		}
	})
}

// A record's schema is a part of a string that may be as long as all that was fetched or sent together.
func TestSchemas_keepNothingOfTheirRecordsButTheSchemas(t *testing.T) {
	var schemas values.Schemas
	used := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := used()
	const records, long = 64, 1 << 20
	for i := range records {
		value := fmt.Sprintf(`{"payload":%q,"schema":{"name":"t%d","fields":[{"field":"column","type":"string"}]}}`, strings.Repeat("v", long), i)
		if schemas.Compile(gjson.Parse(value).Get("schema")) == nil {
			t.Fatal("it says nothing")
		}
	}
	if kept := int64(used()) - int64(before); kept > records*long/2 { //nolint:gosec // it fits
		t.Errorf("%d schemas keep %d MB", records, kept>>20)
	}
	runtime.KeepAlive(&schemas)
}

func TestPlaceholder_asConnectorsAreTold(t *testing.T) {
	for text, forms := range map[string][]string{
		"<gone>":       {`"<gone>"`, `"PGdvbmU+"`, `"3c676f6e653e"`, `["<gone>"]`, `{"<gone>":"<gone>"}`, `"{\"<gone>\":\"<gone>\"}"`},
		"hex:676f6e65": {`"gone"`, `"Z29uZQ=="`, `[103,111,110,101]`},
		"hex:xyz":      {`"hex:xyz"`},
		"a>?":          {`"YT4_"`, `"YT4/"`}, // the alphabet of base64-url-safe
	} {
		p := values.NewPlaceholder(text)
		for _, form := range forms {
			if !p.Is(gjson.Parse(form)) {
				t.Errorf("%s: %s is not recognised", text, form)
			}
		}
		if p.Is(gjson.Parse(`"somebody's text"`)) || p.Is(gjson.Parse(`{"a":"b"}`)) || p.Is(gjson.Parse(`null`)) {
			t.Errorf("%s: what it is not", text)
		}
	}
}
