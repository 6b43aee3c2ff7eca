package e2e_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/freshet-io/freshet/libs/record"
	"github.com/freshet-io/freshet/libs/weaviate"
	"github.com/freshet-io/freshet/services/embed/hash"
)

const (
	productTopic = "shop.catalog.products"
	collection   = "Product"
)

// productPipeline is the pipeline file of the tests that make their own changes.
var productPipeline = fmt.Sprintf(`apiVersion: freshet/v1
space: {provider: hash, model: hash, dimensions: %d}
pipelines:
- name: products
  source: {topics: [%s], format: debezium}
  collection: %s
  id: {from: [id]}
  text: {template: "{{name}}: {{description}}", oversize: deadletter}
  properties:
  - {name: name, type: text}
  - {name: price, type: number}
  - {name: stock, type: int}
  - {name: seq, type: int}
`, dimensions, productTopic, collection)

// product is a row of the source's table.
type product struct {
	ID          int64  `json:"id"`
	Name        string `json:"name"`
	Description string `json:"description"`
	Price       any    `json:"price"` // a number, or what a faulty producer sends
	Stock       int    `json:"stock"`
	Seq         int    `json:"seq"` // number of the change that made the row
}

func itemOf(id int64) record.Item {
	return record.Item{Collection: collection, ID: []string{strconv.FormatInt(id, 10)}}
}

// text is what the pipeline's template gives, said once more.
func (p product) text() string { return p.Name + ": " + p.Description }

// envelope returns the change of a row as Debezium sends it.
func (r *rig) envelope(op string, before, after *product) *kgo.Record {
	row := after
	if row == nil {
		row = before
	}
	now := time.Now()
	value, err := json.Marshal(map[string]any{
		"op": op, "before": before, "after": after, "ts_ms": now.UnixMilli(), "transaction": nil,
		"source": map[string]any{
			"version": "3.7.0.Final", "connector": "mysql", "name": "shop", "db": "catalog", "table": "products",
			"snapshot": "false", "ts_ms": now.UnixMilli(), "ts_us": now.UnixMicro(), "file": "binlog.000001", "pos": row.Seq,
		},
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return r.source(productKey(row.ID), value)
}

func productKey(id int64) []byte { return fmt.Appendf(nil, `{"id":%d}`, id) }

// tombstone is what Debezium sends after a delete.
func (r *rig) tombstone(id int64) *kgo.Record { return r.source(productKey(id), nil) }

// differs says how the index differs from a row that it should have, nil where it does not.
func (p product) differs(s weaviate.Stored) error {
	if !s.Main || !s.State.Live() {
		return errors.New("it is not there")
	}
	price, ok := p.Price.(float64)
	if !ok {
		return fmt.Errorf("a price of %v", p.Price)
	}
	want := map[string]string{
		"name": p.Name, "price": strconv.FormatFloat(price, 'f', -1, 64), "stock": strconv.Itoa(p.Stock), "seq": strconv.Itoa(p.Seq),
	}
	got := map[string]string{}
	for _, property := range s.State.Properties {
		got[property.GetName()] = show(property.GetValue())
	}
	for name, value := range want {
		if got[name] != value {
			return fmt.Errorf("%s is %q, want %q", name, got[name], value)
		}
	}
	if s.State.Text != p.text() {
		return fmt.Errorf("the text is %q, want %q", s.State.Text, p.text())
	}
	return sameDirection(s.State.Vector, hash.Vector(p.text(), dimensions))
}

func show(v *record.Value) string {
	switch kind := v.GetKind().(type) {
	case *record.Value_Text:
		return kind.Text
	case *record.Value_Number:
		return strconv.FormatFloat(kind.Number, 'f', -1, 64)
	case *record.Value_Integer:
		return strconv.FormatInt(kind.Integer, 10)
	}
	return fmt.Sprint(v)
}

// sameDirection compares a stored vector with the one that it should be. The writer
// may have changed its lowest bits on purpose, so it is not equal to the last one.
func sameDirection(stored []byte, want []float32) error {
	got, err := record.ParseVector(stored)
	if err != nil || len(got) != len(want) {
		return fmt.Errorf("a vector of %d bytes: %w", len(stored), err)
	}
	if cosine := cosineOf(got, want); !(cosine > 0.9999) {
		return fmt.Errorf("the vector is another text's: cosine %.4f", cosine)
	}
	return nil
}

// cosineOf is not a number where one of the vectors is zero.
func cosineOf(got, want []float32) float64 {
	if len(got) != len(want) {
		return 0
	}
	var dot, a, b float64
	for i := range got {
		dot += float64(got[i]) * float64(want[i])
		a += float64(got[i]) * float64(got[i])
		b += float64(want[i]) * float64(want[i])
	}
	return dot / math.Sqrt(a*b)
}
