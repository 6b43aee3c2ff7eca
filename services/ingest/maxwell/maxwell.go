// Package maxwell reads the JSON that Maxwell's daemon writes of a MySQL log: changes of
// rows, the rows of its bootstrap, and statements, which are skipped.
//
// A column may be missing because it is null (output_nulls=false), or in an update
// because it did not change (minimal images).
package maxwell

import (
	"cmp"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/freshet-io/freshet/services/ingest/change"
)

// message is the members of a value that its change is made of.
type message struct {
	kind, database, table, data, old, ts, position, gtid gjson.Result
}

func read(object gjson.Result) (m message) {
	change.Members(object, map[string]*gjson.Result{
		"type": &m.kind, "database": &m.database, "table": &m.table, "data": &m.data, "old": &m.old,
		"ts": &m.ts, "position": &m.position, "gtid": &m.gtid,
	})
	return m
}

// Decode reads a value. is reports whether it is Maxwell's at all. It never fails.
func Decode(body change.Body) (c change.Change, is bool) {
	raw := body.Object.Raw
	if !strings.Contains(raw, `"type"`) || !strings.Contains(raw, `"database"`) { // most values of other formats
		return c, false
	}
	m := read(body.Object)
	if m.kind.Type != gjson.String || m.database.Type != gjson.String {
		return c, false
	}
	if label := label(m.kind.Str); label != "" {
		return change.Change{Op: change.Skip, Label: label}, true
	}
	return m.row()
}

// row makes the change of a row, where it is one.
func (m *message) row() (c change.Change, is bool) {
	if m.table.Type != gjson.String || !m.data.IsObject() {
		return c, false
	}
	switch m.kind.Str {
	case "insert", "bootstrap-insert":
		c.Op, c.After, c.Created = change.Upsert, m.data, m.kind.Str == "insert"
	case "update":
		c.Update(m.data, m.old)
	case "delete":
		c.Op, c.Before = change.Delete, m.data
	default:
		return c, false
	}
	c.Sparse = true
	c.Table = change.Table{DB: m.database.Str, Name: m.table.Str}
	c.CommittedAt = change.Micros(m.ts, change.Second)
	c.Position = change.Position(cmp.Or(m.gtid.Str, m.position.Str))
	return c, true
}

// label returns what a record without a row is, or nothing.
func label(kind string) string {
	switch kind {
	case "bootstrap-start", "bootstrap-complete":
		return change.LabelBootstrap
	case "table-create", "table-alter", "table-drop", "database-create", "database-alter", "database-drop":
		return change.LabelSchemaChange
	case "heartbeat":
		return change.LabelHeartbeat
	}
	return ""
}
