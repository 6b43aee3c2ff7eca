package canal_test

import (
	"testing"

	"github.com/freshet-io/freshet/libs/fault"
	"github.com/freshet-io/freshet/libs/values"
	"github.com/freshet-io/freshet/services/ingest/canal"
	"github.com/freshet-io/freshet/services/ingest/change"
)

var limits = change.Limits{Bytes: 1 << 16, Depth: 32, Fields: 4096}

func decode(t *testing.T, value string) ([]change.Change, bool, error) {
	t.Helper()
	body, err := change.Open([]byte(value), limits)
	if err != nil {
		t.Fatal(err)
	}
	return canal.Decode(body, &values.Schemas{})
}

func TestDecode_timesAndPlaces(t *testing.T) {
	for name, test := range map[string]struct {
		members  string
		at       int64
		position string
	}{
		"milliseconds":          {`"es":1700000000123`, 1700000000123000, ""},
		"seconds of Tencent's":  {`"es":1700000000`, 1700000000000000, ""},
		"a text":                {`"es":"1700000000"`, 0, ""},
		"none":                  {`"ts":1`, 0, ""},
		"TiCDC's commit":        {`"es":1700000000123,"_tidb":{"commitTs":445600112233}`, 1700000000123000, "445600112233"},
		"a count beyond 64 bit": {`"es":99999999999999999999`, 0, ""},
	} {
		t.Run(name, func(t *testing.T) {
			changes, is, err := decode(t, `{"type":"INSERT","database":"d","table":"t","data":[{"id":"1"}],`+test.members+`}`)
			if err != nil || !is || len(changes) != 1 {
				t.Fatalf("%v, %v, %v", changes, is, err)
			}
			c := changes[0]
			if c.CommittedAt != test.at || c.Position != test.position || c.Table != (change.Table{DB: "d", Name: "t"}) {
				t.Errorf("%+v", c)
			}
		})
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"type":"UPDATE","database":"d","table":"t","data":[{"id":"1"}],"old":[{"id":"2"}],"mysqlType":{"id":"int"},"es":1}`))
	f.Add([]byte(`{"type":"DELETE","data":null,"old":[{"id":"2"}]}`))
	f.Add([]byte(`{"type":"ALTER","database":"d","isDdl":true}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		body, err := change.Open(b, limits)
		if err != nil || body.Null {
			return
		}
		changes, is, err := canal.Decode(body, &values.Schemas{})
		if is != (len(changes) > 0) || err != nil && (!is || fault.ClassOf(err) != fault.Permanent) {
			t.Errorf("is %v, %d changes, %v", is, len(changes), err)
		}
		for _, c := range changes {
			switch {
			case err != nil:
			case c.Op == change.Upsert && !c.After.IsObject(), c.Op == change.Delete && !c.Before.IsObject(), c.Op == change.Skip && c.Label == "":
				t.Errorf("%+v", c)
			}
		}
	})
}
