// Package change owns what ingest knows of one change, whatever the format it came
// in, and the opening of its bytes: limits, JSON, and the wrapping of Kafka
// Connect's converter.
//
// It never maps a change to an item: that is the ingester's. JSON objects are kept
// raw; where a name stands twice in one, the first counts.
package change

import (
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
	// Partial: the source may leave out columns that did not change.
	Partial   bool
	Tombstone bool // Delete by a null value, which says nothing but its key
	Outbox    bool // a row of an outbox table, which is no item
	Force     bool // embed again whatever is stored

	CommittedAt int64  // microseconds since 1970; 0 if the source does not say
	Position    string // the source's own
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
)
