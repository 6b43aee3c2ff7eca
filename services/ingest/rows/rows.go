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

// DefaultPrefix begins the names of what the unwrapping transform adds (add.fields.prefix).
const DefaultPrefix = "__"

// Decode reads a row. It never fails.
func Decode(body change.Body, schemas *values.Schemas, prefix string) change.Change {
	c := change.Change{
		Op: change.Upsert, After: body.Object, Schema: body.Types(schemas), Sparse: true,
	}
	if strings.Contains(body.Object.Raw, `"`+prefix) || strings.Contains(body.Object.Raw, `"__deleted"`) || strings.Contains(body.Object.Raw, `"update_type"`) {
		readMarks(&c, prefix)
	}
	return c
}

// readMarks reads what tells of the change, beside the columns: the fields that the
// unwrapping transform adds to a row, and the type of a flat update. __deleted is called so
// whatever the prefix is.
func readMarks(c *change.Change, prefix string) {
	deleted := false
	c.After.ForEach(func(name, value gjson.Result) bool {
		switch name.Str {
		case "__deleted":
			deleted = deleted || strings.EqualFold(value.String(), "true")
		case "update_type":
			c.Force = value.Str == "full_rebuild"
			deleted = deleted || value.Str == "delete"
		}
		if field, added := strings.CutPrefix(name.Str, prefix); added {
			deleted = readField(c, field, value) || deleted
		}
		return true
	})
	if deleted {
		c.Op, c.Before, c.After = change.Delete, c.After, gjson.Result{}
		c.Defaulted = true // it is the envelope's before
	}
}

// readField reads a field that was added, and reports whether it says that the row is gone.
// A later one of two names is the field as it is called within source.
func readField(c *change.Change, name string, value gjson.Result) (deleted bool) {
	switch name {
	case "op":
		c.Created = value.Str == "c"
		return value.Str == "d"
	case "db", "source_db":
		c.Table.DB = value.String()
	case "schema", "source_schema":
		c.Table.Schema = value.String()
	case "table", "source_table":
		c.Table.Name = value.String()
	case "source_ts_ms":
		c.CommittedAt = change.Micros(value, change.Millisecond)
	}
	return false
}
