package change

import (
	"bytes"
	"unicode/utf8"
	"unsafe"

	"github.com/tidwall/gjson"

	"github.com/freshet-io/freshet/libs/fault"
	"github.com/freshet-io/freshet/libs/values"
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
	types  *values.Schema
}

// Types returns what is known of the columns: by the schema that came along, or by the one that a registry has.
func (b Body) Types(schemas *values.Schemas) *values.Schema {
	if b.types != nil {
		return b.types
	}
	return schemas.Compile(b.Schema)
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
	return bodyOf(root, schema, nil)
}

// OpenTyped checks a value whose schema a registry has. It is in no wrapping: a row may have columns of those names.
func OpenTyped(value []byte, types *values.Schema, limits Limits) (Body, error) {
	root, err := parse(value, limits)
	if err != nil {
		return Body{}, err
	}
	return bodyOf(root, gjson.Result{}, types)
}

func bodyOf(root, schema gjson.Result, types *values.Schema) (Body, error) {
	switch {
	case root.Type == gjson.Null: // so converters write a null value with a schema
		return Body{Null: true}, nil
	case !root.IsObject():
		return Body{}, fault.Reject(fault.FormatMismatch, "the value is neither an object nor a record")
	}
	return Body{Object: root, Schema: schema, types: types}, nil
}

func parse(value []byte, limits Limits) (gjson.Result, error) {
	switch {
	case len(value) > limits.Bytes:
		return gjson.Result{}, fault.Reject(fault.Oversize, "the value has %d bytes, the limit is %d", len(value), limits.Bytes)
	case !utf8.Valid(value):
		return gjson.Result{}, fault.Reject(fault.Malformed, "the value is not UTF-8")
	}
	if err := limits.check(value); err != nil {
		return gjson.Result{}, err
	}
	if !gjson.ValidBytes(value) {
		return gjson.Result{}, fault.Reject(fault.Malformed, "the value is not valid JSON")
	}
	// Without a copy: what is read belongs to nobody who would change it, and results are short parts of it.
	return gjson.Parse(unsafe.String(unsafe.SliceData(value), len(value))), nil //nolint:gosec // see above
}

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

// skipString returns where the string that begins at i ends: at the first quote behind an even number of backslashes. Looking
// for quotes alone passes over long texts quickly.
func skipString(json []byte, i int) int {
	for {
		n := bytes.IndexByte(json[i:], '"')
		if n < 0 {
			return len(json)
		}
		end := i + n
		first := end
		for first > i && json[first-1] == '\\' {
			first--
		}
		if (end-first)%2 == 0 {
			return end
		}
		i = end + 1
	}
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
