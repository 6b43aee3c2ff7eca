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
	change.Members(object, map[string]*gjson.Result{
		"type": &m.kind, "database": &m.database, "table": &m.table, "data": &m.data, "old": &m.old,
		"mysqlType": &m.mysqlType, "es": &m.es, "isDdl": &m.isDDL, "sql": &m.sql, "_tidb": &m.tidb,
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
		if !m.data.IsArray() && (kind != "DELETE" || !m.old.IsArray()) {
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
	data, old := m.data, m.old
	if m.kind.Str == "DELETE" && !data.IsArray() {
		data, old = old, gjson.Result{}
	}
	common := change.Change{
		Table:  change.Table{DB: m.database.String(), Name: m.table.String()},
		Schema: schemas.MySQL(m.mysqlType), CommittedAt: m.committedAt(), Position: m.tidb.Get("commitTs").Raw,
	}
	rows, ok := rowsOf(data)
	if !ok {
		return []change.Change{common}, fault.Reject(fault.Malformed, "row %d of a message of Canal's has no columns", len(rows)+1)
	}
	if len(rows) == 0 {
		return []change.Change{{Op: change.Skip, Label: change.LabelNoRows}}, nil
	}
	// TiCDC does so with what is too large for its topic. Before names the item, for its mark.
	if m.kind.Str != "DELETE" && (m.tidb.Get("onlyHandleKey").Bool() || m.tidb.Get("claimCheckLocation").Str != "") {
		common.Before = rows[0]
		return []change.Change{common}, fault.Reject(fault.UnavailableValue, "TiCDC left all columns but the key out of a message that was too large")
	}
	if n := len(old.Array()); m.kind.Str == "UPDATE" && old.IsArray() && n > 0 && n != len(rows) {
		return []change.Change{common}, fault.Reject(fault.Malformed, "an update of Canal's has %d rows, and %d as they were before", len(rows), n)
	}
	before := imagesOf(old, len(rows))
	changes := make([]change.Change, len(rows))
	for i, row := range rows {
		changes[i] = common
		m.fill(&changes[i], row, before[i])
	}
	return changes, nil
}

// rowsOf returns the elements of a list. ok is false where one is no object, or has nothing in
// it: what has no fields is not counted by change.Limits, and must not grow.
func rowsOf(list gjson.Result) (rows []gjson.Result, ok bool) {
	ok = true
	list.ForEach(func(_, row gjson.Result) bool {
		if ok = row.IsObject() && strings.Contains(row.Raw, ":"); ok {
			rows = append(rows, row)
		}
		return ok
	})
	return rows, ok
}

// imagesOf returns what a list shows of each of n rows, nothing where that is no object.
func imagesOf(list gjson.Result, n int) []gjson.Result {
	images, i := make([]gjson.Result, n), 0
	if !list.IsArray() {
		return images
	}
	list.ForEach(func(_, image gjson.Result) bool {
		if i < n && image.IsObject() {
			images[i] = image
		}
		i++
		return i < n
	})
	return images
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
