// Package rows reads plain rows as JSON objects: Debezium's unwrapped ones, JDBC
// sources, expanded outbox events, and the flat update of a product
// {"product_id","name","desc","category","timestamp","update_type"}.
//
// A row is the whole item: a column that it does not carry counts as null where
// the pipeline asks whether it exists. Any object is a row: whether it is rather an
// event of another format must be asked before.
package rows

import (
	"cmp"
	"strconv"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/freshet-io/freshet/libs/fault"
	"github.com/freshet-io/freshet/libs/values"
	"github.com/freshet-io/freshet/services/ingest/change"
)

// DefaultPrefix begins the names of what the unwrapping transform adds (add.fields.prefix).
const DefaultPrefix = "__"

// Decode reads a row. Its error is permanent, format-mismatch: a mark that says neither that the row is gone nor that it is
// there. Before has the row then, for its item.
func Decode(body change.Body, schemas *values.Schemas, prefix string) (change.Change, error) {
	c := change.Change{
		Op: change.Upsert, After: body.Object, Schema: body.Types(schemas), Sparse: true,
	}
	raw := body.Object.Raw
	if !strings.Contains(raw, `"`+prefix) && !strings.Contains(raw, `"`+markDeleted+`"`) && !strings.Contains(raw, `"`+markUpdate+`"`) {
		return c, nil
	}
	return c, readMarks(&c, prefix)
}

const (
	markDeleted = "__deleted" // whatever the prefix is
	markUpdate  = "update_type"
)

// readMarks reads what tells of the change, beside the columns: the fields that the
// unwrapping transform adds to a row, and the type of a flat update.
func readMarks(c *change.Change, prefix string) (unclear error) {
	deleted := false
	c.After.ForEach(func(name, value gjson.Result) bool {
		gone, err := readMark(c, name.Str, prefix, value)
		deleted, unclear = deleted || gone, cmp.Or(unclear, err)
		return true
	})
	if deleted {
		c.Op = change.Delete
	}
	if deleted || unclear != nil {
		c.Before, c.After = c.After, gjson.Result{}
		c.Defaulted = true // it is the envelope's before
	}
	return unclear
}

// readMark reads a member of a row that may be a mark, and reports whether it says that the row is gone. What an update is called
// is anybody's column, too: only what is known of it counts.
func readMark(c *change.Change, name, prefix string, value gjson.Result) (gone bool, err error) {
	switch name {
	case markDeleted:
		return isTrue(name, value)
	case markUpdate:
		c.Force = strings.EqualFold(value.Str, "full_rebuild")
		return strings.EqualFold(value.Str, "delete"), nil
	}
	if field, added := strings.CutPrefix(name, prefix); added {
		return readField(c, name, field, value)
	}
	return false, nil
}

func isTrue(name string, value gjson.Result) (bool, error) {
	if value.Type == gjson.Null {
		return false, nil
	}
	is, err := strconv.ParseBool(strings.ToLower(value.String()))
	if err != nil {
		return false, fault.Reject(fault.FormatMismatch, "%s is neither true nor false: whether the row is deleted is not known", name)
	}
	return is, nil
}

// readField reads a field that was added, and reports whether it says that the row is gone.
// A later one of two names is the field as it is called within source.
func readField(c *change.Change, name, field string, value gjson.Result) (gone bool, err error) {
	switch field {
	case "op":
		return readOp(c, name, value)
	case "db", "source_db":
		c.Table.DB = value.String()
	case "schema", "source_schema":
		c.Table.Schema = value.String()
	case "table", "source_table":
		c.Table.Name = value.String()
	case "source_ts_ms":
		c.CommittedAt = change.Micros(value, change.Millisecond)
	}
	return false, nil
}

func readOp(c *change.Change, name string, value gjson.Result) (gone bool, err error) {
	switch {
	case value.Type == gjson.Null, value.Str == "u", value.Str == "r":
		return false, nil
	case value.Str == "c":
		c.Created = true
		return false, nil
	case value.Str == "d":
		return true, nil
	}
	return false, fault.Reject(fault.FormatMismatch, "%s is none of c, u, r and d: whether the row is deleted is not known", name)
}
