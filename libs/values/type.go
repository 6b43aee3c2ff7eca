// Package values reads column values as sources encode them (decimals in bytes,
// times as counts since 1970, left-out values) and types them for the index.
//
// It never guesses: what a schema or the pipeline file does not declare stays as it
// is, and what does not fit its declaration is an error. Its errors say what is
// wrong and never repeat the value: they end in the headers of dead letters.
package values

import "github.com/freshet-io/freshet/libs/pipeline"

// Kind says how a column's JSON is to be read.
type Kind uint8

// The kinds of columns.
const (
	Undeclared Kind = iota // no schema speaks of the column
	Plain                  // as it is
	Text                   // a string, and never bytes
	Bytes                  // base64
	Decimal                // a number, base64 of its unscaled value, or {"scale","value"}
	Days                   // days since 1970
	Instant                // a count since 1970
	Magnitude              // a count since 1970, its unit taken from its size
	TimeOfDay              // a count since midnight, or a signed length of time
	Zoned                  // text with a time zone
	Number                 // a number that may come as a text
	Bits                   // a number, base64 of its bytes, the lowest first
)

// Type is the type of a column.
type Type struct {
	Kind  Kind
	Scale int   // Decimal: digits behind the point
	Nanos int64 // Instant, TimeOfDay: nanoseconds a count
	Items *Type // arrays: of the elements
}

// Nanoseconds of the units that counts come in.
const (
	Nanosecond  int64 = 1
	Microsecond       = 1000 * Nanosecond
	Millisecond       = 1000 * Microsecond
	Second            = 1000 * Millisecond
)

var units = map[string]Type{
	"d":    {Kind: Days},
	"s":    {Kind: Instant, Nanos: Second},
	"ms":   {Kind: Instant, Nanos: Millisecond},
	"us":   {Kind: Instant, Nanos: Microsecond},
	"ns":   {Kind: Instant, Nanos: Nanosecond},
	"auto": {Kind: Magnitude},
}

// Declared returns what the pipeline file says of a property's values.
func Declared(p pipeline.Property) Type {
	declared := units[p.Unit]
	if p.Decimal != nil {
		declared = Type{Kind: Decimal, Scale: p.Decimal.Scale}
	}
	if p.Type.IsArray() && declared.Kind != Undeclared {
		return Type{Items: &declared}
	}
	return declared
}

// Or returns t where it says how to read a column, and else what the file declared:
// a schema knows better, but calls a count of milliseconds a number.
func (t Type) Or(declared Type) Type {
	switch t.Kind {
	case Undeclared, Plain:
		if t.Items != nil && declared.Items != nil {
			items := t.Items.Or(*declared.Items)
			return Type{Kind: t.Kind, Items: &items}
		}
		if declared.Kind != Undeclared || t.Kind == Undeclared && t.Items == nil {
			return declared
		}
	case Bytes:
		if declared.Kind == Decimal {
			return declared
		}
	case Number: // a bigint of MySQL's may be a count of time
		if declared.Kind == Days || declared.Kind == Instant || declared.Kind == Magnitude {
			return declared
		}
	case Text, Decimal, Days, Instant, Magnitude, TimeOfDay, Zoned, Bits:
	}
	return t
}
