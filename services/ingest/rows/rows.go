// Package rows reads plain rows as JSON objects: Debezium's unwrapped ones, JDBC
// sources, expanded outbox events, and the flat update of a product
// {"product_id","name","desc","category","timestamp","update_type"}.
//
// A row is the whole item: a column that it does not carry counts as null where
// the pipeline asks whether it exists. Any object is a row: whether it is rather an
// event of another format must be asked before.
package rows

import (
	"strings"

	"github.com/tidwall/gjson"

	"github.com/freshet-io/freshet/libs/values"
	"github.com/freshet-io/freshet/services/ingest/change"
)

// Decode reads a row. It never fails.
func Decode(body change.Body, schemas *values.Schemas) change.Change {
	c := change.Change{
		Op: change.Upsert, After: body.Object, Schema: schemas.Compile(body.Schema), Sparse: true,
	}
	if strings.Contains(body.Object.Raw, `"__`) || strings.Contains(body.Object.Raw, `"update_type"`) {
		readMarks(&c)
	}
	return c
}

// readMarks reads what the unwrapping transform adds to a row.
func readMarks(c *change.Change) {
	var op string
	deleted := false
	c.After.ForEach(func(name, value gjson.Result) bool {
		switch name.Str {
		case "__op":
			op = value.Str
		case "__deleted":
			deleted = strings.EqualFold(value.String(), "true")
		case "__db", "__source_db":
			c.Table.DB = value.String()
		case "__schema", "__source_schema":
			c.Table.Schema = value.String()
		case "__table", "__source_table":
			c.Table.Name = value.String()
		case "__source_ts_ms":
			c.CommittedAt = change.Micros(value, change.Millisecond)
		case "update_type":
			c.Force = value.Str == "full_rebuild"
		}
		return true
	})
	if deleted || op == "d" {
		c.Op, c.Before, c.After = change.Delete, c.After, gjson.Result{}
		c.Defaulted = true // it is the envelope's before
	}
}
