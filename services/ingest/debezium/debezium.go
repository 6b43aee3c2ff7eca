// Package debezium reads the change events of Debezium's connectors (MySQL,
// MariaDB, PostgreSQL, SQL Server, Oracle) and of those who write the same
// envelope (TiCDC, Flink CDC), as JSON; and recognises the other streams that the
// connectors write: transactions, schema changes, heartbeats.
//
// It never looks at a topic's name, which transforms change at will.
package debezium

import (
	"strconv"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/freshet-io/freshet/libs/fault"
	"github.com/freshet-io/freshet/libs/values"
	"github.com/freshet-io/freshet/services/ingest/change"
)

// envelope holds the members of a value by which its stream is known.
type envelope struct {
	op, before, after, source, message       gjson.Result
	status, id, eventCount, dataCollections  gjson.Result
	ddl, tableChanges, historyRecord, dbName gjson.Result
	known, others, times                     int
}

func (e *envelope) take(name string, value gjson.Result) {
	member := e.member(name)
	if member != nil {
		e.known++
	}
	switch {
	case member == nil && strings.HasPrefix(name, "ts_"):
		e.times++
	case member == nil:
		e.others++
	case !member.Exists(): // the first of two counts
		*member = value
	}
}

func (e *envelope) member(name string) *gjson.Result {
	switch name {
	case "op":
		return &e.op
	case "before":
		return &e.before
	case "after":
		return &e.after
	case "source":
		return &e.source
	case "message":
		return &e.message
	case "status":
		return &e.status
	case "id":
		return &e.id
	case "event_count":
		return &e.eventCount
	case "data_collections":
		return &e.dataCollections
	case "ddl":
		return &e.ddl
	case "tableChanges":
		return &e.tableChanges
	case "historyRecord":
		return &e.historyRecord
	case "databaseName":
		return &e.dbName
	}
	return nil
}

// Decode reads a value. is reports whether it is Debezium's at all: an envelope,
// or a record of its other streams, which comes back as a Skip. An envelope that
// does not hold together is an error, permanent and malformed.
func Decode(body change.Body, schemas *values.Schemas) (c change.Change, is bool, err error) {
	var e envelope
	body.Object.ForEach(func(name, value gjson.Result) bool {
		e.take(name.Str, value)
		return true
	})
	if label := e.control(); label != "" {
		return change.Change{Op: change.Skip, Label: label}, true, nil
	}
	if !e.isEnvelope() {
		return change.Change{}, false, nil
	}
	c, err = e.change()
	if schema := schemas.Compile(body.Schema); schema != nil {
		c.Schema = schema.Row
	}
	return c, true, err
}

// isEnvelope wants more than a column called op: a row may have one. Flink's
// serialisers leave source out, and then write before and after both.
func (e *envelope) isEnvelope() bool {
	if e.op.Type != gjson.String || !isImage(e.before) || !isImage(e.after) {
		return false
	}
	if e.source.IsObject() {
		return e.before.Exists() || e.after.Exists()
	}
	return !e.source.Exists() && e.before.Exists() && e.after.Exists()
}

// isImage reports whether v is absent, null or an object.
func isImage(v gjson.Result) bool { return v.Type == gjson.Null || v.IsObject() }

// control returns the label of a record that concerns no row, or nothing.
func (e *envelope) control() string {
	switch {
	case e.op.Str == "m" && e.message.IsObject() && e.source.IsObject():
		return change.LabelLogicalMessage
	case e.op.Str == "m" && e.source.IsObject() && !e.before.Exists() && !e.after.Exists(): // TiCDC's watermark
		return change.LabelLogicalMessage
	case e.op.Str == "t" && e.source.IsObject():
		return change.LabelTruncate
	case e.op.Exists():
		return ""
	case (e.status.Str == "BEGIN" || e.status.Str == "END") && e.id.Exists() && e.eventCount.Exists() && e.dataCollections.Exists():
		return change.LabelTransaction
	case (e.ddl.Exists() || e.tableChanges.Exists() || e.historyRecord.Exists()) && (e.source.IsObject() || e.dbName.Exists()):
		return change.LabelSchemaChange
	case e.times > 0 && e.known+e.others == 0:
		return change.LabelHeartbeat
	}
	return ""
}

func (e *envelope) change() (change.Change, error) {
	c := change.Change{Before: object(e.before), After: object(e.after)}
	readSource(&c, e.source)
	switch e.op.Str {
	case "c", "u", "r":
		c.Op, c.Created = change.Upsert, e.op.Str == "c"
		if !c.After.Exists() {
			return c, fault.Reject(fault.Malformed, "an envelope of op %s has no row in after", e.op.Str)
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

// source holds the members of source that give a position.
type source struct {
	tsMicro, tsMilli                      int64
	gtid, file, pos, lsn, commitLSN       string
	changeLSN, scn, commitTS, connectedBy string
}

func readSource(c *change.Change, object gjson.Result) {
	var s source
	object.ForEach(func(name, value gjson.Result) bool {
		switch name.Str {
		case "db":
			c.Table.DB = value.String()
		case "schema":
			c.Table.Schema = value.String()
		case "table":
			c.Table.Name = value.String()
		case "ts_us":
			s.tsMicro = value.Int()
		case "ts_ms":
			s.tsMilli = value.Int()
		default:
			s.take(name.Str, value)
		}
		return true
	})
	c.CommittedAt = s.tsMicro
	if c.CommittedAt == 0 && s.tsMilli < 1<<52 && s.tsMilli > 0 {
		c.CommittedAt = s.tsMilli * 1000
	}
	c.Position = s.position()
	// Without full replica identity PostgreSQL logs the key alone.
	c.Defaulted = s.connectedBy == "postgresql"
	// Both leave long columns out that did not change.
	c.Partial = s.connectedBy == "postgresql" || s.connectedBy == "oracle"
}

func (s *source) take(name string, value gjson.Result) {
	if value.Type == gjson.Null || value.Type == gjson.JSON {
		return
	}
	text := value.Raw
	if value.Type == gjson.String {
		text = value.Str
	}
	switch name {
	case "gtid":
		s.gtid = text
	case "file":
		s.file = text
	case "pos":
		s.pos = text
	case "lsn":
		s.lsn = text
	case "commit_lsn":
		s.commitLSN = text
	case "change_lsn":
		s.changeLSN = text
	case "scn":
		s.scn = text
	case "commit_ts":
		s.commitTS = text
	case "connector":
		s.connectedBy = text
	}
}

// maxPosition bounds what goes into each document for people to read.
const maxPosition = 256

func (s *source) position() string {
	var p string
	switch {
	case s.gtid != "":
		p = s.gtid
	case s.file != "":
		p = s.file + ":" + s.pos
	case s.lsn != "":
		p = s.lsn
	case s.commitLSN != "":
		p = strings.TrimSuffix(s.commitLSN+"/"+s.changeLSN, "/")
	case s.scn != "":
		p = s.scn
	case s.commitTS != "":
		p = s.commitTS
	}
	if len(p) > maxPosition {
		return strconv.Itoa(len(p)) + " bytes of position"
	}
	return p
}
