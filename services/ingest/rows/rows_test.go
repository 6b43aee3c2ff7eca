package rows_test

import (
	"testing"

	"github.com/freshet-io/freshet/libs/fault"
	"github.com/freshet-io/freshet/libs/values"
	"github.com/freshet-io/freshet/services/ingest/change"
	"github.com/freshet-io/freshet/services/ingest/rows"
)

var limits = change.Limits{Bytes: 1 << 16, Depth: 32, Fields: 4096}

func decode(t *testing.T, value string) (change.Change, error) {
	t.Helper()
	body, err := change.Open([]byte(value), limits)
	if err != nil {
		t.Fatal(err)
	}
	return rows.Decode(body, &values.Schemas{})
}

func TestDecode_whatUnwrappingAdds(t *testing.T) {
	c, err := decode(t, `{"id":1,"__op":"u","__deleted":"false","__db":"d","__schema":"s","__table":"t","__source_ts_ms":1700000000000}`)
	if err != nil || c.Op != change.Upsert || c.CommittedAt != 1700000000000000 || c.Table != (change.Table{DB: "d", Schema: "s", Name: "t"}) {
		t.Errorf("%+v %v", c, err)
	}
	for _, value := range []string{`{"id":1,"__deleted":"true"}`, `{"id":1,"__deleted":true}`, `{"id":1,"__op":"d"}`} {
		if c, err := decode(t, value); err != nil || c.Op != change.Delete || !c.Before.Exists() || c.After.Exists() || !c.Defaulted {
			t.Errorf("%s: %+v %v", value, c, err)
		}
	}
}

func TestDecode_otherFormatsAreNoRows(t *testing.T) {
	for value, mismatch := range map[string]bool{
		`{"type":"INSERT","database":"d","table":"t","data":[{}]}`:                  true,
		`{"type":"ALTER","database":"d","table":"t","data":null,"sql":"x"}`:         true,
		`{"type":"insert","database":"d","table":"t","data":{}}`:                    true,
		`{"type":"table-create","database":"d","table":"t"}`:                        true,
		`{"type":"chair","id":1}`:                                                   false,
		`{"type":"Chair","database":"d","table":"t","id":1}`:                        false,
		`{"type":"INSERT","database":"d","table":"t","data":"a row's own"}`:         false,
		`{"id":1,"note":"\"type\" and \"database\" within a text","table":"round"}`: false,
	} {
		if _, err := decode(t, value); (fault.ReasonOf(err) == fault.FormatMismatch) != mismatch {
			t.Errorf("%s: %v", value, err)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"id":1,"__op":"d","__deleted":"true","update_type":"full_rebuild"}`))
	f.Add([]byte(`{"type":"INSERT","database":"d","table":"t","data":[]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		body, err := change.Open(b, limits)
		if err != nil || body.Null {
			return
		}
		c, err := rows.Decode(body, &values.Schemas{})
		switch {
		case err != nil && fault.ReasonOf(err) != fault.FormatMismatch:
			t.Errorf("%v", err)
		case err == nil && c.Op == change.Upsert && !c.After.IsObject(), err == nil && c.Op == change.Delete && !c.Before.IsObject():
			t.Errorf("no row: %+v", c)
		}
	})
}
