package rows_test

import (
	"testing"

	"github.com/freshet-io/freshet/libs/fault"
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
	c, err := rows.Decode(body, &values.Schemas{}, rows.DefaultPrefix)
	if err != nil {
		t.Fatalf("%s: %v", value, err)
	}
	return c
}

func TestDecode_whatUnwrappingAdds(t *testing.T) {
	c := decode(t, `{"id":1,"__op":"u","__deleted":"false","__db":"d","__schema":"s","__table":"t","__source_ts_ms":1700000000000}`)
	if c.Op != change.Upsert || c.CommittedAt != 1700000000000000 || c.Table != (change.Table{DB: "d", Schema: "s", Name: "t"}) {
		t.Errorf("%+v", c)
	}
	for _, value := range []string{
		`{"id":1,"__deleted":"true"}`, `{"id":1,"__deleted":true}`, `{"id":1,"__deleted":"TRUE"}`, `{"id":1,"__deleted":1}`, `{"id":1,"__op":"d"}`,
		`{"id":1,"update_type":"delete"}`, `{"id":1,"update_type":"DELETE"}`,
	} {
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
	if c, err := rows.Decode(body, &values.Schemas{}, "cdc."); err != nil || c.Op != change.Upsert || !c.Created || c.Table.Name != "t" {
		t.Errorf("%+v, %v", c, err)
	}
	body, err = change.Open([]byte(`{"id":1,"__deleted":"true"}`), limits)
	if err != nil {
		t.Fatal(err)
	}
	if c, err := rows.Decode(body, &values.Schemas{}, "cdc."); err != nil || c.Op != change.Delete {
		t.Errorf("%+v, %v", c, err)
	}
}

func TestDecode_aMarkThatSaysNothingIsNoUpsert(t *testing.T) {
	for value, want := range map[string]bool{
		`{"id":1,"__deleted":"yes"}`: false, `{"id":1,"__deleted":2}`: false, `{"id":1,"__deleted":""}`: false, `{"id":1,"__deleted":{}}`: false,
		`{"id":1,"__op":"D"}`: false, `{"id":1,"__op":"x"}`: false, `{"id":1,"__op":4}`: false, `{"id":1,"__op":"x","__deleted":true}`: false,
		`{"id":1,"__deleted":null,"__op":null}`: true, `{"id":1,"__op":"r"}`: true, `{"id":1,"update_type":"price"}`: true,
	} {
		body, err := change.Open([]byte(value), limits)
		if err != nil {
			t.Fatal(err)
		}
		c, err := rows.Decode(body, &values.Schemas{}, rows.DefaultPrefix)
		if (err == nil) != want || want && !c.After.Exists() || !want && (fault.ReasonOf(err) != fault.FormatMismatch || !c.Before.Exists()) {
			t.Errorf("%s: %+v, %v", value, c, err)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"id":1,"__op":"d","__deleted":"true","update_type":"full_rebuild"}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		body, err := change.Open(b, limits)
		if err != nil || body.Null {
			return
		}
		c, err := rows.Decode(body, &values.Schemas{}, "")
		if err != nil && fault.ReasonOf(err) != fault.FormatMismatch {
			t.Errorf("no reason: %v", err)
		}
		if err == nil && (c.Op == change.Upsert && !c.After.IsObject() || c.Op == change.Delete && !c.Before.IsObject() || c.Op == change.Skip) {
			t.Errorf("no row: %+v", c)
		}
	})
}
