package change

import (
	"unicode/utf8"

	"github.com/tidwall/gjson"

	"github.com/freshet-io/freshet/libs/fault"
)

// Limits bound what is decoded, before it is decoded.
type Limits struct {
	Bytes  int // of a value
	Depth  int // of nested objects and lists
	Fields int // of all objects together, schemas and sources included
}

// Body is the value of a change: an object, or null.
type Body struct {
	Null   bool
	Object gjson.Result
	Schema gjson.Result // where Connect's converter sends it along
}

// Open checks a record's value and takes it out of its wrapping. Its errors are
// permanent: oversize, malformed or format-mismatch.
func Open(value []byte, limits Limits) (Body, error) {
	if value == nil {
		return Body{Null: true}, nil
	}
	root, err := parse(value, limits)
	if err != nil {
		return Body{}, err
	}
	schema, payload, wrapped := unwrap(root)
	if wrapped {
		root = payload
	}
	switch {
	case root.Type == gjson.Null: // so converters write a null value with a schema
		return Body{Null: true}, nil
	case !root.IsObject():
		return Body{}, fault.Reject(fault.FormatMismatch, "the value is JSON and no object")
	}
	return Body{Object: root, Schema: schema}, nil
}

func parse(value []byte, limits Limits) (gjson.Result, error) {
	switch {
	case len(value) > limits.Bytes:
		return gjson.Result{}, fault.Reject(fault.Oversize, "the value has %d bytes, the limit is %d", len(value), limits.Bytes)
	case confluentWire(value):
		return gjson.Result{}, fault.Reject(fault.FormatMismatch, "the value is in Confluent's wire format, which is not read yet")
	case !utf8.Valid(value):
		return gjson.Result{}, fault.Reject(fault.Malformed, "the value is not UTF-8")
	}
	if err := limits.check(value); err != nil {
		return gjson.Result{}, err
	}
	if !gjson.ValidBytes(value) {
		return gjson.Result{}, fault.Reject(fault.Malformed, "the value is not valid JSON")
	}
	return gjson.ParseBytes(value), nil
}

// confluentWire recognises a zero byte and the four of a schema's id.
func confluentWire(b []byte) bool { return len(b) > 5 && b[0] == 0 }

// check counts what opens and separates, outside of strings. It must come before
// gjson, which descends on the stack as deep as its input goes.
func (l Limits) check(json []byte) error {
	depth, deepest, fields := 0, 0, 0
	for i := 0; i < len(json); i++ {
		switch json[i] {
		case '"':
			i = skipString(json, i+1)
		case '{', '[':
			depth++
			deepest = max(deepest, depth)
		case '}', ']':
			depth--
		case ':':
			fields++
		}
	}
	switch {
	case deepest > l.Depth:
		return fault.Reject(fault.Malformed, "the value nests %d deep, the limit is %d", deepest, l.Depth)
	case fields > l.Fields:
		return fault.Reject(fault.Malformed, "the value has %d fields, the limit is %d", fields, l.Fields)
	}
	return nil
}

// skipString returns where the string that begins at i ends.
func skipString(json []byte, i int) int {
	for ; i < len(json); i++ {
		switch json[i] {
		case '\\':
			i++
		case '"':
			return i
		}
	}
	return i
}

// unwrap takes a value out of {"schema","payload"} or {"payload"} alone. An object
// with any other member is not wrapped.
func unwrap(root gjson.Result) (schema, payload gjson.Result, wrapped bool) {
	if !root.IsObject() {
		return schema, payload, false
	}
	wrapped = true
	root.ForEach(func(name, member gjson.Result) bool {
		switch {
		case name.Str == "schema" && !schema.Exists():
			schema = member
		case name.Str == "payload" && !payload.Exists():
			payload = member
		default:
			wrapped = false
		}
		return wrapped
	})
	return schema, payload, wrapped && payload.Exists()
}

// Members reads those members of an object that have a place to be put. Of two of one name the first counts.
func Members(object gjson.Result, places map[string]*gjson.Result) {
	object.ForEach(func(name, value gjson.Result) bool {
		if place := places[name.Str]; place != nil && !place.Exists() {
			*place = value
		}
		return true
	})
}
