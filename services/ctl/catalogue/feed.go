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

// row is the table as the MySQL connector shows it with decimal.handling.mode=string.
type row struct {
	ID           int64  `json:"id"`
	SKU          string `json:"sku"`
	Name         string `json:"name"`
	Brand        string `json:"brand"`
	CategoryPath string `json:"category_path"` // a JSON column arrives as a string
	Description  string `json:"description"`
	Price        string `json:"price"`
	Stock        int    `json:"stock"`
	IsActive     int    `json:"is_active"`
	UpdatedAt    int64  `json:"updated_at"` // microseconds since 1970, UTC
}

func rowOf(p Product, updatedAt time.Time) *row {
	r := &row{
		ID: p.ID, SKU: p.SKU, Name: p.Name, Brand: p.Brand, CategoryPath: string(mustJSON(p.CategoryPath)),
		Description: p.Description, Price: p.Price.String(), Stock: p.Stock, UpdatedAt: updatedAt.UnixMicro(),
	}
	if p.Active {
		r.IsActive = 1
	}
	return r
}

type change struct {
	Before      *row    `json:"before"`
	After       *row    `json:"after"`
	Source      source  `json:"source"`
	Op          string  `json:"op"`
	TsMs        int64   `json:"ts_ms"`
	Transaction *string `json:"transaction"`
}

type source struct {
	Version   string  `json:"version"`
	Connector string  `json:"connector"`
	Name      string  `json:"name"`
	TsMs      int64   `json:"ts_ms"`
	Snapshot  string  `json:"snapshot"`
	DB        string  `json:"db"`
	Sequence  *string `json:"sequence"`
	TsUs      int64   `json:"ts_us"`
	TsNs      int64   `json:"ts_ns"`
	Table     string  `json:"table"`
	ServerID  int64   `json:"server_id"`
	GTID      *string `json:"gtid"`
	File      string  `json:"file"`
	Pos       int64   `json:"pos"`
	Row       int     `json:"row"`
	Thread    *int64  `json:"thread"`
	Query     *string `json:"query"`
}

func envelope(op string, before, after *row, at time.Time) []byte {
	return mustJSON(change{
		Before: before, After: after, Op: op, TsMs: at.UnixMilli(),
		Source: source{
			Version: "3.0.0.Final", Connector: "mysql", Name: "shop", Snapshot: "false", DB: "catalog", Table: "products",
			TsMs: at.UnixMilli(), TsUs: at.UnixMicro(), TsNs: at.UnixNano(),
			// A position of the log only has to rise, as the commit times do.
			ServerID: 1, File: "binlog.000001", Pos: at.UnixMicro(),
		},
	})
}

func keyOf(p Product) []byte {
	return mustJSON(struct {
		ID int64 `json:"id"`
	}{p.ID})
}

// mustJSON never fails: it is given numbers, strings, and structs and lists of them.
func mustJSON(v any) []byte {
	text, _ := json.Marshal(v)
	return text
}
