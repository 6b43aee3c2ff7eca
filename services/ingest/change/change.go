// Package change owns what ingest knows of one change, whatever the format it came
// in, and the opening of its bytes: limits, JSON, and the wrapping of Kafka
// Connect's converter.
//
// It never maps a change to an item: that is the ingester's. JSON objects are kept
// raw; where a name stands twice in one, the first counts.
package change

import (
	"strconv"

	"github.com/tidwall/gjson"

	"github.com/freshet-io/freshet/libs/values"
)

// Op is what a change does to its row.
type Op uint8

// What a change can do.
const (
	Skip   Op = iota // nothing that concerns an item; Label says why
	Upsert           // After is the whole row
	Delete           // the row is gone; Before may show some of it
)

// Change is one change of a row.
type Change struct {
	Op     Op
	Label  string       // Skip: what it is
	Before gjson.Result // an object, or does not exist
	After  gjson.Result // an object, or does not exist
	Schema *values.Schema
	Key    Key
	Table  Table
	// Defaulted: Before may show the defaults of a column's type where the source
	// did not log the column: 0, false and "" say nothing then.
	Defaulted bool
	// Sparse: the source leaves columns out that are null.
	Sparse bool
	// Created: the row is new, so that no earlier change of it has what this one left out.
	Created bool
	// Updated: the row was there before, whether Before shows it or not.
	Updated bool
	// Partial: the source may leave out columns that did not change.
	Partial bool
	// Changed: Before has the columns that changed alone. The others are as in After.
	Changed bool
	// Minimal: After has the columns that changed alone, and those that name the row.
	Minimal   bool
	Tombstone bool // Delete by a null value, which says nothing but its key
	Outbox    bool // a row of an outbox table, which is no item
	Force     bool // embed again whatever is stored

	CommittedAt int64  // microseconds since 1970; 0 if the source does not say
	Position    string // the source's own
}

// Row returns what the change shows of its row: as it is, or as it was before its delete. It does not exist behind a tombstone.
func (c *Change) Row() gjson.Result {
	if c.After.Exists() {
		return c.After
	}
	return c.Before
}

// Table names where a row lives; what the source does not say is empty.
type Table struct {
	DB, Schema, Name string
}

// Labels of changes that are counted and skipped.
const (
	LabelTruncate       = "truncate"
	LabelLogicalMessage = "logical-message"
	LabelTransaction    = "transaction"
	LabelSchemaChange   = "schema-change"
	LabelHeartbeat      = "heartbeat"
	LabelBootstrap      = "bootstrap" // the start or the end of one
	LabelNoRows         = "no-rows"
)

// Update makes c the change of a row, as Canal and Maxwell tell it: old has what the changed
// columns were before. An update changes something, so where old has nothing, the source
// logs no row as it was (binlog_row_image=MINIMAL), and none as it is but what changed.
func (c *Change) Update(row, old gjson.Result) {
	c.Op, c.After, c.Changed, c.Minimal = Upsert, row, true, true
	old.ForEach(func(_, _ gjson.Result) bool {
		c.Before, c.Minimal = old, false
		return false
	})
}

// Microseconds of the units in which sources tell the time of a change.
const (
	Millisecond int64 = 1000
	Second            = 1000 * Millisecond
)

// Micros returns a count of units since 1970 in microseconds, 0 where it is no time.
func Micros(count gjson.Result, unit int64) int64 {
	n := count.Int()
	if count.Type != gjson.Number || n <= 0 || n >= 1<<62/unit {
		return 0
	}
	return n * unit
}

// maxPosition bounds what goes into each document for people to read.
const maxPosition = 256

// Position bounds a source's position.
func Position(p string) string {
	if len(p) > maxPosition {
		return strconv.Itoa(len(p)) + " bytes of position"
	}
	return p
}
