// Package fault says what to do about an error: try again, give up on the one
// item, or stop the service.
//
// It owns the three classes and the closed list of dead-letter reasons. It never
// decides how long to wait or how often to try: that is the stage's business.
package fault

import (
	"errors"
	"fmt"
	"time"
)

// Class is what an error asks of the stage runtime.
type Class int

const (
	// Transient means that the same input may pass later. The stage waits and
	// tries again without end. It is the class of every unclassified error:
	// losing an item is worse than trying it once more.
	Transient Class = iota
	// Permanent means that this input never passes. The item becomes a dead letter.
	Permanent
	// Fatal means that no input passes until a person acts. The service stops and
	// commits nothing: a revoked key must never empty a catalogue into the dead letters.
	Fatal
)

// String returns the class's name as it appears in logs.
func (c Class) String() string {
	switch c {
	case Transient:
		return "transient"
	case Permanent:
		return "permanent"
	case Fatal:
		return "fatal"
	}
	return "unknown"
}

// Reason is a stable, low-cardinality code: the value of the header
// freshet-dlq-reason and of the metric label reason. See libs/record/FORMAT.md.
type Reason string

// The closed list of reasons a dead letter can have.
const (
	Malformed         Reason = "malformed"          // not the JSON, Avro or protobuf it should be
	FormatMismatch    Reason = "format-mismatch"    // well-formed, but of another format than the pipeline's
	UnknownSchema     Reason = "unknown-schema"     // the schema registry does not know its schema, or nobody can read that
	MissingID         Reason = "missing-id"         // neither the value nor the key has every id column
	FieldType         Reason = "field-type"         // a value does not fit the type of its property
	UnavailableValue  Reason = "unavailable-value"  // a mapped column was left out by the producer
	Oversize          Reason = "oversize"           // too long for the model, or too large for the topic
	MissingText       Reason = "missing-text"       // a required text field is empty
	ProviderRejected  Reason = "provider-rejected"  // the embeddings provider refuses this text
	DimensionMismatch Reason = "dimension-mismatch" // a vector record of a wrong length
	SpaceMismatch     Reason = "space-mismatch"     // a vector record of another space than its collection
	IndexRejected     Reason = "index-rejected"     // the index refuses this object
	BelowHorizon      Reason = "below-horizon"      // too old to tell whether its item was deleted
	Panic             Reason = "panic"              // the item makes the handler panic, or ends the process again and again
	Exhausted         Reason = "exhausted"          // the item alone fails again and again while its neighbours pass
)

// Reasons are all of them.
var Reasons = []Reason{
	Malformed, FormatMismatch, UnknownSchema, MissingID, FieldType, UnavailableValue, Oversize, MissingText, ProviderRejected,
	DimensionMismatch, SpaceMismatch, IndexRejected, BelowHorizon, Panic, Exhausted,
}

// Unreadable reports whether the reason is that a record has not the form which the
// pipeline expects: where most of a topic's records are so, the topic has changed.
func (r Reason) Unreadable() bool {
	return r == Malformed || r == FormatMismatch || r == UnknownSchema || r == MissingID || r == FieldType
}

// Error is an error with a class. The zero After means that the other side named no time.
type Error struct {
	Class  Class
	Reason Reason        // set for Permanent, empty otherwise
	After  time.Duration // the other side's Retry-After, if it sent one
	Status int           // the HTTP status behind the error, if there was one
	Err    error
}

// Error implements error.
func (e *Error) Error() string {
	if e.Reason == "" {
		return e.Err.Error()
	}
	return fmt.Sprintf("%s: %v", e.Reason, e.Err)
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Plainly returns what a person should read of an error: without a reason in front, which is for metrics and dead letters.
func Plainly(err error) string {
	if e, ok := err.(*Error); ok { //nolint:errorlint // only the outermost one begins the text
		return e.Err.Error()
	}
	return err.Error()
}

// Reject returns a Permanent error: the item it concerns becomes a dead letter
// with the given reason. The text must name the field or limit and must not
// contain the item's text or a secret: it is written to the letter's headers.
func Reject(reason Reason, format string, args ...any) error {
	return &Error{Class: Permanent, Reason: reason, Err: fmt.Errorf(format, args...)}
}

// Halt returns a Fatal error. Its text is the one line an operator sees: it says
// what is wrong, where, and what to do.
func Halt(format string, args ...any) error {
	return &Error{Class: Fatal, Err: fmt.Errorf(format, args...)}
}

// Wait returns a Transient error that asks for at least the given pause.
func Wait(after time.Duration, format string, args ...any) error {
	return &Error{Class: Transient, After: after, Err: fmt.Errorf(format, args...)}
}

// If returns an error without a class where something is wrong, nil where it is not.
func If(wrong bool, format string, args ...any) error {
	if !wrong {
		return nil
	}
	return fmt.Errorf(format, args...)
}

// ClassOf returns err's class, Transient where it has none.
func ClassOf(err error) Class {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Class
	}
	return Transient
}

// ReasonOf returns err's reason, or "" where it has none.
func ReasonOf(err error) Reason {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Reason
	}
	return ""
}

// AfterOf returns the pause that err asks for, or 0.
func AfterOf(err error) time.Duration {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.After
	}
	return 0
}

// StatusOf returns the HTTP status behind err, or 0.
func StatusOf(err error) int {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Status
	}
	return 0
}
