package change_test

import (
	"strings"
	"testing"

	"github.com/freshet-io/freshet/libs/fault"
	"github.com/freshet-io/freshet/libs/values"
	"github.com/freshet-io/freshet/services/ingest/change"
)

var limits = change.Limits{Bytes: 1 << 12, Depth: 8, Fields: 64}

func TestOpen_takesAValueOutOfItsWrapping(t *testing.T) {
	for value, want := range map[string]string{
		`{"a":1}`:                                `{"a":1}`,
		`{"schema":{},"payload":{"a":1}}`:        `{"a":1}`,
		`{"payload":{"a":1}}`:                    `{"a":1}`,
		`{"schema":{},"payload":null}`:           "null",
		`null`:                                   "null",
		`{"payload":{"a":1},"other":1}`:          `{"payload":{"a":1},"other":1}`, // a row with a column of that name
		`{"schema":{"a":1}}`:                     `{"schema":{"a":1}}`,
		`{"payload":{"a":1},"payload":{"b":1}}`:  `{"payload":{"a":1},"payload":{"b":1}}`,
		`{"payload":{"payload":{"a":1}}}`:        `{"payload":{"a":1}}`,
		` {"schema":null , "payload": {"a":1}} `: `{"a":1}`,
	} {
		body, err := change.Open([]byte(value), limits)
		got := body.Object.Raw
		if body.Null {
			got = "null"
		}
		if err != nil || got != want {
			t.Errorf("%s: %q %v, want %q", value, got, err, want)
		}
	}
}

func TestOpenKey_whetherItIsThere(t *testing.T) {
	var schemas values.Schemas
	for key, want := range map[string]bool{"": true, "null": true, `{"payload":null}`: true, "A": false, `{}`: false, `""`: true, "\x00": false} {
		if k := change.OpenKey([]byte(key), limits, &schemas); k.Null() != want {
			t.Errorf("%q: null %v", key, k.Null())
		}
	}
	if k := change.OpenKey([]byte(strings.Repeat("k", 1<<13)), limits, &schemas); fault.ReasonOf(k.Err) != fault.Oversize {
		t.Errorf("an endless key: %v", k.Err)
	}
	for _, key := range []string{"{\"id\":\"\xe9\"}", "\"\xe9\"", "caf\xe9"} {
		if k := change.OpenKey([]byte(key), limits, &schemas); fault.ReasonOf(k.Err) != fault.Malformed || k.Object.Exists() || k.Text != "" {
			t.Errorf("%q: %+v", key, k)
		}
	}
}

func FuzzOpen(f *testing.F) {
	f.Add([]byte(`{"schema":{"fields":[{"field":"a","type":"array","items":{}}]},"payload":{"a":[1]}}`))
	f.Add([]byte("\x00\x00\x00\x00\x01\x02"))
	f.Add([]byte(`"\`))
	f.Fuzz(func(t *testing.T, b []byte) {
		body, err := change.Open(b, limits)
		switch {
		case err != nil && (fault.ClassOf(err) != fault.Permanent || fault.ReasonOf(err) == ""):
			t.Errorf("%v", err)
		case err == nil && !body.Null && !body.Object.IsObject():
			t.Errorf("neither null nor an object: %q", body.Object.Raw)
		}
		var schemas values.Schemas
		schemas.Compile(body.Schema)
		if k := change.OpenKey(b, limits, &schemas); k.Err != nil && fault.ReasonOf(k.Err) == "" {
			t.Errorf("%v", k.Err)
		}
	})
}

// What stands in a text opens and separates nothing, however it is escaped.
func TestOpen_countsOutsideOfTextsAlone(t *testing.T) {
	limits := change.Limits{Bytes: 1 << 20, Depth: 1, Fields: 1}
	for value, right := range map[string]bool{
		`{"a":"{[:"}`:          true,
		`{"a{:\\\"{:":"\"{:"}`: true,
		`{"a":"\\"}`:           true,
		`{"a":"\\\\\"{\\"}`:    true,
		`{"a":"\\","b":1}`:     false,
		`{"a":"\"","b":1}`:     false,
		`{"a":"\\\\","b":1}`:   false,
		`{"a":[]}`:             false,
	} {
		if _, err := change.Open([]byte(value), limits); (err == nil) != right {
			t.Errorf("%s: %v", value, err)
		}
	}
}
