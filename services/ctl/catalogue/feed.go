package catalogue

import (
	"encoding/json"
	"time"
)

// Topic is the topic on which Debezium would publish the products table.
const Topic = "shop.catalog.products"

// Create returns the Debezium change of an inserted row: its key and value as
// JSON without schemas. at is when the row was committed; it becomes updated_at.
func Create(p Product, at time.Time) (key, value []byte) {
	return keyOf(p), envelope("c", nil, rowOf(p, at), at)
}

// Update returns the Debezium change of an updated row. The id stays the same: a
// change of it would be a delete and an insert.
func Update(before, after Product, at time.Time) (key, value []byte) {
	return keyOf(after), envelope("u", rowOf(before, before.UpdatedAt), rowOf(after, at), at)
}

// Delete returns the Debezium change of a deleted row. The tombstone that
// Debezium sends after it is a record with the same key and no value.
func Delete(p Product, at time.Time) (key, value []byte) {
	return keyOf(p), envelope("d", rowOf(p, p.UpdatedAt), nil, at)
}

// rowOf returns a row of the table as the MySQL connector shows it with decimal.handling.mode=string.
func rowOf(p Product, updatedAt time.Time) map[string]any {
	active := 0
	if p.Active {
		active = 1
	}
	return map[string]any{
		"id": p.ID, "sku": p.SKU, "name": p.Name, "brand": p.Brand, "description": p.Description,
		"category_path": string(mustJSON(p.CategoryPath)), // a JSON column arrives as a string
		"price":         p.Price.String(), "stock": p.Stock, "is_active": active,
		"updated_at": updatedAt.UnixMicro(), // since 1970, UTC
	}
}

func envelope(op string, before, after map[string]any, at time.Time) []byte {
	return mustJSON(map[string]any{
		"before": before, "after": after, "op": op, "ts_ms": at.UnixMilli(), "transaction": nil,
		"source": map[string]any{
			"version": "3.0.0.Final", "connector": "mysql", "name": "shop", "snapshot": "false", "db": "catalog", "table": "products",
			"ts_ms": at.UnixMilli(), "ts_us": at.UnixMicro(), "ts_ns": at.UnixNano(), "sequence": nil, "server_id": 1, "gtid": nil,
			// A position of the log only has to rise, as the commit times do.
			"file": "binlog.000001", "pos": at.UnixMicro(), "row": 0, "thread": nil, "query": nil,
		},
	})
}

func keyOf(p Product) []byte { return mustJSON(map[string]any{"id": p.ID}) }

// mustJSON never fails: it is given numbers, strings, and maps and lists of them.
func mustJSON(v any) []byte {
	text, _ := json.Marshal(v)
	return text
}
