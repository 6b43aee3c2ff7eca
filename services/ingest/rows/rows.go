// Package rows reads plain rows as JSON objects: Debezium's unwrapped ones, JDBC
// sources, expanded outbox events, and the flat update of a product
// {"product_id","name","desc","category","timestamp","update_type"}.
//
// A row is the whole item: a column that it does not carry counts as null where
// the pipeline asks whether it exists. Rows of other formats are refused.
package rows

import (
	"strings"

	"github.com/tidwall/gjson"

	"github.com/freshet-io/freshet/libs/fault"
	"github.com/freshet-io/freshet/libs/values"
	"github.com/freshet-io/freshet/services/ingest/change"
)

// Decode reads a row. Its error is permanent, with the reason format-mismatch.
func Decode(body change.Body, schemas *values.Schemas) (change.Change, error) {
	if format := foreign(body.Object); format != "" {
		return change.Change{}, fault.Reject(fault.FormatMismatch, "the value looks like %s, which is not read yet", format)
	}
	c := change.Change{
		Op: change.Upsert, After: body.Object, Schema: schemas.Compile(body.Schema), Sparse: true,
	}
	if strings.Contains(body.Object.Raw, `"__`) || strings.Contains(body.Object.Raw, `"update_type"`) {
		readMarks(&c)
	}
	return c, nil
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
			if ms := value.Int(); ms > 0 && ms < 1<<52 {
				c.CommittedAt = ms * 1000
			}
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

// foreign names the other formats of change events that are also objects, so that
// none of them is taken for a row.
func foreign(object gjson.Result) string {
	if !strings.Contains(object.Raw, `"type"`) || !strings.Contains(object.Raw, `"database"`) {
		return ""
	}
	var kind, data, database, table gjson.Result
	object.ForEach(func(name, value gjson.Result) bool {
		switch name.Str {
		case "type":
			kind = value
		case "data":
			data = value
		case "database":
			database = value
		case "table":
			table = value
		}
		return true
	})
	switch {
	case kind.Type != gjson.String || kind.Str == "" || database.Type != gjson.String || !table.Exists():
	case kind.Str == strings.ToUpper(kind.Str) && (data.IsArray() || data.Type == gjson.Null):
		return "Canal"
	case kind.Str == strings.ToLower(kind.Str):
		return "Maxwell"
	}
	return ""
}
