// Package canal reads the JSON messages of Alibaba's Canal and of those who write the
// same form: TiCDC and Flink CDC, the transfer services of Huawei (INIT for rows of a
// snapshot, the row of a delete in old) and Tencent (times in seconds, zones behind them).
//
// One message has any number of rows. Their values are texts, which mysqlType gives
// their type; where a dialect leaves mysqlType out, they are taken as they stand.
package canal

import (
	"strings"

	"github.com/tidwall/gjson"

	"github.com/freshet-io/freshet/libs/fault"
	"github.com/freshet-io/freshet/libs/values"
	"github.com/freshet-io/freshet/services/ingest/change"
)

// message is the members of a value that its changes are made of.
type message struct {
	kind, database, table, data, old, mysqlType, es, isDDL, sql, tidb gjson.Result
}

func read(object gjson.Result) (m message) {
	members := map[string]*gjson.Result{
		"type": &m.kind, "database": &m.database, "table": &m.table, "data": &m.data, "old": &m.old,
		"mysqlType": &m.mysqlType, "es": &m.es, "isDdl": &m.isDDL, "sql": &m.sql, "_tidb": &m.tidb,
	}
	object.ForEach(func(name, value gjson.Result) bool {
		if member := members[name.Str]; member != nil && !member.Exists() { // the first of two counts
			*member = value
		}
		return true
	})
	return m
}

// Decode reads a value. is reports whether it is Canal's at all; changes has one element
// a row, or one that is skipped. Its error is permanent and malformed.
func Decode(body change.Body, schemas *values.Schemas) (changes []change.Change, is bool, err error) {
	if !strings.Contains(body.Object.Raw, `"type"`) { // most values of other formats
		return nil, false, nil
	}
	m := read(body.Object)
	switch kind := m.kind.Str; kind {
	case "INSERT", "UPDATE", "DELETE", "INIT":
		if !m.data.IsArray() && !m.old.IsArray() {
			return nil, false, nil
		}
		changes, err = m.rows(schemas)
		return changes, true, err
	default:
		if !m.isStatement() {
			return nil, false, nil
		}
		return []change.Change{{Op: change.Skip, Label: m.label()}}, true, nil
	}
}

// isStatement recognises what concerns no row, by the members that are there whatever it is.
func (m *message) isStatement() bool {
	kind := m.kind.Str
	return kind != "" && kind == strings.ToUpper(kind) && m.database.Exists() && (m.isDDL.Exists() || m.sql.Exists())
}

func (m *message) label() string {
	switch m.kind.Str {
	case "TRUNCATE":
		return change.LabelTruncate
	case "TIDB_WATERMARK":
		return change.LabelHeartbeat
	}
	return change.LabelSchemaChange
}

// rows returns a change for each row. All of them are of one kind.
func (m *message) rows(schemas *values.Schemas) ([]change.Change, error) {
	data, old := m.data.Array(), m.old.Array()
	if m.kind.Str == "DELETE" && len(data) == 0 {
		data, old = old, nil
	}
	common := change.Change{
		Table:  change.Table{DB: m.database.String(), Name: m.table.String()},
		Schema: schemas.MySQL(m.mysqlType), CommittedAt: m.committedAt(), Position: m.tidb.Get("commitTs").Raw,
	}
	changes := make([]change.Change, 0, len(data))
	for i, row := range data {
		if !row.IsObject() {
			return []change.Change{common}, fault.Reject(fault.Malformed, "row %d of a message of Canal's is no object", i+1)
		}
		c := common
		var before gjson.Result
		if i < len(old) && old[i].IsObject() {
			before = old[i]
		}
		m.fill(&c, row, before)
		changes = append(changes, c)
	}
	if len(changes) == 0 {
		return []change.Change{{Op: change.Skip, Label: change.LabelNoRows}}, nil
	}
	return changes, nil
}

func (m *message) fill(c *change.Change, row, old gjson.Result) {
	switch m.kind.Str {
	case "DELETE":
		c.Op, c.Before = change.Delete, row
	case "UPDATE":
		c.Update(row, old)
	default:
		c.Op, c.After, c.Created = change.Upsert, row, m.kind.Str == "INSERT"
	}
}

// seconds is below any count of milliseconds since 1973, and above any of seconds.
const seconds = 100_000_000_000

func (m *message) committedAt() int64 {
	if m.es.Int() < seconds {
		return change.Micros(m.es, change.Second)
	}
	return change.Micros(m.es, change.Millisecond)
}
