// Package debezium reads the change events of Debezium's connectors (MySQL,
// MariaDB, PostgreSQL, SQL Server, Oracle) and of those who write the same
// envelope (TiCDC, Flink CDC), as JSON; and recognises the other streams that the
// connectors write: transactions, schema changes, heartbeats.
//
// It never looks at a topic's name, which transforms change at will.
package debezium

import (
	"cmp"
	"slices"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/freshet-io/freshet/libs/fault"
	"github.com/freshet-io/freshet/libs/values"
	"github.com/freshet-io/freshet/services/ingest/change"
)

// members holds what an object has under some names; of two of one name the first counts. It is no map: to make two of them
// for each change took as long as to read it.
type members struct {
	names  []string // at most as many as values
	values [14]gjson.Result
}

// take keeps a member that has one of the names, and reports whether it has.
func (m *members) take(name string, value gjson.Result) bool {
	i := slices.Index(m.names, name)
	if i >= 0 && !m.values[i].Exists() {
		m.values[i] = value
	}
	return i >= 0
}

func (m *members) get(name string) gjson.Result { return m.values[slices.Index(m.names, name)] }

func (m *members) has(name string) bool { return m.get(name).Exists() }

func (m *members) text(name string) string {
	v := m.get(name)
	if v.Type == gjson.String {
		return v.Str
	}
	return v.Raw
}

// envelope holds the members of a value by which its stream is known.
type envelope struct {
	members
	times, others int // members that are times, and all others
}

var envelopeNames = []string{
	"op", "before", "after", "source", "message", // of a change
	"status", "id", "event_count", "data_collections", // of a transaction
	"ddl", "tableChanges", "historyRecord", "databaseName", // of a schema
}

// Decode reads a value. is reports whether it is Debezium's at all: an envelope,
// or a record of its other streams, which comes back as a Skip. An envelope that
// does not hold together is an error, permanent and malformed.
func Decode(body change.Body, schemas *values.Schemas) (c change.Change, is bool, err error) {
	e := envelope{members: members{names: envelopeNames}}
	body.Object.ForEach(func(name, value gjson.Result) bool {
		if !e.take(name.Str, value) && strings.HasPrefix(name.Str, "ts_") {
			e.times++
		} else {
			e.others++
		}
		return true
	})
	if label := e.control(); label != "" {
		return change.Change{Op: change.Skip, Label: label}, true, nil
	}
	if !e.isEnvelope() {
		return change.Change{}, false, nil
	}
	c, err = e.change()
	if schema := body.Types(schemas); schema != nil {
		c.Schema = schema.Row
	}
	return c, true, err
}

// isEnvelope wants more than a column called op: a row may have one. Flink's
// serialisers leave source out, and then write before and after both.
func (e *envelope) isEnvelope() bool {
	if e.get("op").Type != gjson.String || !isImage(e.get("before")) || !isImage(e.get("after")) {
		return false
	}
	if e.get("source").IsObject() {
		return e.has("before") || e.has("after")
	}
	return !e.has("source") && e.has("before") && e.has("after")
}

// isImage reports whether v is absent, null or an object.
func isImage(v gjson.Result) bool { return v.Type == gjson.Null || v.IsObject() }

// control returns the label of a record that concerns no row, or nothing.
func (e *envelope) control() string {
	op, status, sourced := e.get("op").Str, e.get("status").Str, e.get("source").IsObject()
	switch {
	case op == "m" && sourced && e.get("message").IsObject():
		return change.LabelLogicalMessage
	case op == "m" && sourced && !e.has("before") && !e.has("after"): // TiCDC's watermark
		return change.LabelLogicalMessage
	case op == "t" && sourced:
		return change.LabelTruncate
	case e.has("op"):
		return ""
	case (status == "BEGIN" || status == "END") && e.has("id") && e.has("event_count") && e.has("data_collections"):
		return change.LabelTransaction
	case (e.has("ddl") || e.has("tableChanges") || e.has("historyRecord")) && (sourced || e.has("databaseName")):
		return change.LabelSchemaChange
	case e.times > 0 && e.others == 0:
		return change.LabelHeartbeat
	}
	return ""
}

func (e *envelope) change() (change.Change, error) {
	c := change.Change{Before: object(e.get("before")), After: object(e.get("after"))}
	readSource(&c, e.get("source"))
	switch op := e.get("op").Str; op {
	case "c", "u", "r":
		c.Op, c.Created, c.Updated = change.Upsert, op == "c", op == "u"
		if !c.After.Exists() {
			return c, fault.Reject(fault.Malformed, "an envelope of op %s has no row in after", op)
		}
		c.Outbox = isOutbox(c.After)
	case "d":
		c.Op = change.Delete
		c.After = gjson.Result{}
		c.Outbox = isOutbox(c.Before)
	default:
		return c, fault.Reject(fault.FormatMismatch, "an envelope has an op that Debezium does not document")
	}
	return c, nil
}

func object(v gjson.Result) gjson.Result {
	if v.IsObject() {
		return v
	}
	return gjson.Result{}
}

// isOutbox recognises a row of an outbox table by the columns that the outbox
// event router needs.
func isOutbox(row gjson.Result) bool {
	// The look-ups cost a pass over the row each, so they wait for a hint.
	if !strings.Contains(row.Raw, "ggregatetype") && !strings.Contains(row.Raw, "GGREGATETYPE") {
		return false
	}
	found := 0
	row.ForEach(func(name, _ gjson.Result) bool {
		switch strings.ToLower(name.Str) {
		case "aggregatetype", "aggregateid", "payload":
			found++
		}
		return true
	})
	return found == 3
}

// sourceNames are of the scalars of source that tell of a change's table, time and position.
var sourceNames = []string{
	"db", "schema", "table", "connector", "ts_us", "ts_ms",
	"gtid", "file", "pos", "lsn", "commit_lsn", "change_lsn", "scn", "commit_ts",
}

func readSource(c *change.Change, object gjson.Result) {
	s := members{names: sourceNames}
	object.ForEach(func(name, value gjson.Result) bool {
		if value.Type != gjson.Null && value.Type != gjson.JSON {
			s.take(name.Str, value)
		}
		return true
	})
	c.Table.DB, c.Table.Schema, c.Table.Name = s.text("db"), s.text("schema"), s.text("table")
	c.CommittedAt = s.get("ts_us").Int()
	if c.CommittedAt == 0 {
		c.CommittedAt = change.Micros(s.get("ts_ms"), change.Millisecond)
	}
	c.Position = position(&s)
	// Without full replica identity PostgreSQL logs the key alone.
	c.Defaulted = s.text("connector") == "postgresql"
	// Both leave long columns out that did not change.
	c.Partial = c.Defaulted || s.text("connector") == "oracle"
}

func position(s *members) string {
	file, commit := s.text("file"), s.text("commit_lsn")
	if file != "" {
		file += ":" + s.text("pos")
	}
	if commit != "" {
		commit = strings.TrimSuffix(commit+"/"+s.text("change_lsn"), "/")
	}
	return change.Position(cmp.Or(s.text("gtid"), file, s.text("lsn"), commit, s.text("scn"), s.text("commit_ts")))
}
