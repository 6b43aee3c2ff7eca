package rows_test

import (
	"testing"

	"github.com/freshet-io/freshet/libs/values"
	"github.com/freshet-io/freshet/services/ingest/change"
	"github.com/freshet-io/freshet/services/ingest/rows"
)

var limits = change.Limits{Bytes: 1 << 16, Depth: 32, Fields: 4096}

func decode(t *testing.T, value string) change.Change {
	t.Helper()
	body, err := change.Open([]byte(value), limits)
	if err != nil {
		t.Fatal(err)
	}
	return rows.Decode(body, &values.Schemas{}, rows.DefaultPrefix)
}

func TestDecode_whatUnwrappingAdds(t *testing.T) {
	c := decode(t, `{"id":1,"__op":"u","__deleted":"false","__db":"d","__schema":"s","__table":"t","__source_ts_ms":1700000000000}`)
	if c.Op != change.Upsert || c.CommittedAt != 1700000000000000 || c.Table != (change.Table{DB: "d", Schema: "s", Name: "t"}) {
		t.Errorf("%+v", c)
	}
	for _, value := range []string{`{"id":1,"__deleted":"true"}`, `{"id":1,"__deleted":true}`, `{"id":1,"__op":"d"}`, `{"id":1,"update_type":"delete"}`} {
		if c := decode(t, value); c.Op != change.Delete || !c.Before.Exists() || c.After.Exists() || !c.Defaulted {
			t.Errorf("%s: %+v", value, c)
		}
	}
}

func TestDecode_whatUnwrappingAddsUnderAnotherPrefix(t *testing.T) {
	body, err := change.Open([]byte(`{"id":1,"cdc.op":"c","cdc.table":"t","__table":"a column","op":"d"}`), limits)
	if err != nil {
		t.Fatal(err)
	}
	if c := rows.Decode(body, &values.Schemas{}, "cdc."); c.Op != change.Upsert || !c.Created || c.Table.Name != "t" {
		t.Errorf("%+v", c)
	}
	body, err = change.Open([]byte(`{"id":1,"__deleted":"true"}`), limits)
	if err != nil {
		t.Fatal(err)
	}
	if c := rows.Decode(body, &values.Schemas{}, "cdc."); c.Op != change.Delete {
		t.Errorf("%+v", c)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"id":1,"__op":"d","__deleted":"true","update_type":"full_rebuild"}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		body, err := change.Open(b, limits)
		if err != nil || body.Null {
			return
		}
		c := rows.Decode(body, &values.Schemas{}, "")
		if c.Op == change.Upsert && !c.After.IsObject() || c.Op == change.Delete && !c.Before.IsObject() || c.Op == change.Skip {
			t.Errorf("no row: %+v", c)
		}
	})
}
