package catalogue

import (
	"encoding/json"
	"slices"
	"testing"
	"time"
)

var committed = time.Date(2026, time.March, 4, 5, 6, 7, 891_234_000, time.UTC)

type decoded struct {
	Before, After map[string]any
	Source        map[string]any
	Op            string
	TsMs          int64 `json:"ts_ms"`
}

func decode(t *testing.T, key, value []byte) (id float64, c decoded) {
	t.Helper()
	var k map[string]float64
	if err := json.Unmarshal(key, &k); err != nil || len(k) != 1 {
		t.Fatalf("key %s: %v", key, err)
	}
	if err := json.Unmarshal(value, &c); err != nil {
		t.Fatalf("value %s: %v", value, err)
	}
	return k["id"], c
}

func TestCreate_isTheRowAsMySQLWouldShowIt(t *testing.T) {
	p := Products()[0]
	key, value := Create(p, committed)
	id, c := decode(t, key, value)
	if c.Op != "c" || c.Before != nil || id != float64(p.ID) || c.TsMs != committed.UnixMilli() {
		t.Errorf("key id %v, op %q, before %v, ts_ms %d", id, c.Op, c.Before, c.TsMs)
	}
	want := map[string]any{
		"id": float64(p.ID), "sku": p.SKU, "name": p.Name, "brand": p.Brand, "category_path": `["Kitchen","Knives"]`,
		"description": p.Description, "price": p.Price.String(), "stock": float64(p.Stock), "is_active": 1.0,
		"updated_at": float64(committed.UnixMicro()),
	}
	if len(c.After) != len(want) {
		t.Errorf("the row has columns %v", c.After)
	}
	for column, v := range want {
		if c.After[column] != v {
			t.Errorf("column %s is %v, want %v", column, c.After[column], v)
		}
	}
	for field, v := range map[string]any{
		"connector": "mysql", "name": "shop", "db": "catalog", "table": "products", "snapshot": "false",
		"ts_ms": float64(committed.UnixMilli()),
	} {
		if c.Source[field] != v {
			t.Errorf("source.%s is %v, want %v", field, c.Source[field], v)
		}
	}
}

func TestUpdate_hasBothRows(t *testing.T) {
	before := Products()[1]
	after := before
	after.Price, after.Active = 1234, false
	key, value := Update(before, after, committed)
	id, c := decode(t, key, value)
	if id != float64(before.ID) || c.Op != "u" {
		t.Errorf("key id %v, op %q", id, c.Op)
	}
	if c.Before["price"] != before.Price.String() || c.After["price"] != "12.34" || c.After["is_active"] != 0.0 {
		t.Errorf("before %v, after %v", c.Before, c.After)
	}
}

func TestDelete_hasOnlyTheOldRow(t *testing.T) {
	p := Products()[2]
	key, value := Delete(p, committed)
	id, c := decode(t, key, value)
	if id != float64(p.ID) || c.Op != "d" || c.After != nil || c.Before["id"] != float64(p.ID) {
		t.Errorf("key id %v, change %+v", id, c)
	}
}

func TestChangeEnvelope_isTheOneOfItsKind(t *testing.T) {
	p := Products()[3]
	for op, c := range map[string]Change{"c": {After: &p}, "u": {Before: &p, After: &p}, "d": {Before: &p}} {
		key, value := c.Envelope(committed)
		if _, got := decode(t, key, value); got.Op != op {
			t.Errorf("op is %q, want %q", got.Op, op)
		}
	}
}

func TestCreate_keepsLaterCommitsLaterInTheLog(t *testing.T) {
	positions := make([]float64, 0, 3)
	for i := range 3 {
		key, value := Create(Products()[0], committed.Add(time.Duration(i)*time.Microsecond))
		_, c := decode(t, key, value)
		positions = append(positions, c.Source["pos"].(float64)) //nolint:forcetypeassert // a failure here is a failure
	}
	if !slices.IsSorted(positions) || positions[0] == positions[2] {
		t.Errorf("positions %v do not rise", positions)
	}
}
