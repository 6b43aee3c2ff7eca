package change

import (
	"strings"
	"unicode/utf8"

	"github.com/tidwall/gjson"

	"github.com/freshet-io/freshet/libs/fault"
	"github.com/freshet-io/freshet/libs/values"
)

// Key is the key of a change. The zero Key is a null key.
type Key struct {
	Object gjson.Result // where the key has columns
	Text   string       // where it is one value: a text, a number, a string of JSON
	Number bool         // whether Text is a number of JSON
	Schema *values.Schema
	// Err says why the key cannot be read. It matters only where the row does not
	// have what the key should give.
	Err error
	// Printed: the key shows the row's columns as Java prints them, which nobody can read back: Err says so.
	Printed bool
}

// Null reports whether there is no key.
func (k Key) Null() bool { return k.Err == nil && k.Text == "" && !k.Object.Exists() }

// OpenKey reads a key: JSON with or without its schema, or plain text.
func OpenKey(key []byte, limits Limits, schemas *values.Schemas) Key {
	switch {
	case len(key) == 0:
		return Key{}
	case len(key) > limits.Bytes:
		return Key{Err: fault.Reject(fault.Oversize, "the key has %d bytes, the limit is %d", len(key), limits.Bytes)}
	}
	if !utf8.Valid(key) { // gjson does not look, and no document takes such a text
		return Key{Err: fault.Reject(fault.Malformed, "the key is not UTF-8")}
	}
	if err := limits.check(key); err != nil {
		return Key{Err: err}
	}
	if !gjson.ValidBytes(key) {
		return textKey(string(key))
	}
	root := gjson.ParseBytes(key)
	schema, payload, wrapped := unwrap(root)
	if wrapped {
		root = payload
	}
	return keyOf(root, schemas.Compile(schema))
}

// OpenTypedKey reads a key whose schema a registry has, as OpenTyped does a value.
func OpenTypedKey(key []byte, types *values.Schema, limits Limits) Key {
	root, err := parse(key, limits)
	if err != nil {
		return Key{Err: err}
	}
	return keyOf(root, types)
}

func keyOf(root gjson.Result, types *values.Schema) Key {
	switch {
	case root.Type == gjson.Null:
		return Key{}
	case root.IsObject():
		return Key{Object: root, Schema: types}
	case root.IsArray():
		return Key{Err: fault.Reject(fault.Malformed, "the key is a list")}
	case root.Type == gjson.String && values.Halved(root.Raw):
		return Key{Err: fault.Reject(fault.Malformed, "the key has half of a surrogate pair, which is no text")}
	case root.Type == gjson.String && isPrinted(root.Str):
		return printed
	case root.Type == gjson.String:
		return Key{Text: root.Str}
	}
	// As it stands: whether 007 or 1e3 is a number or somebody's text cannot be known.
	return Key{Text: strings.TrimSpace(root.Raw), Number: root.Type == gjson.Number}
}

func textKey(key string) Key {
	binary := func(r rune) bool { return r < ' ' || r == 0x7f }
	if strings.ContainsFunc(key, binary) || strings.ContainsAny(key[:1], `{["`) {
		return Key{Err: fault.Reject(fault.Malformed, "the key is neither JSON nor text")}
	}
	if isPrinted(key) {
		return printed
	}
	return Key{Text: key}
}

// printed is what Connect's StringConverter makes of a key: Struct{id=1,name=a,b=c}. Taken for an id it would have other
// items deleted than the row's.
var printed = Key{Printed: true, Err: fault.Reject(fault.Malformed,
	"the key is text that Kafka Connect's StringConverter made of its columns (Struct{…}), which cannot be read back: set the connector's key.converter to the JsonConverter or the AvroConverter")}

func isPrinted(text string) bool {
	return strings.HasPrefix(text, "Struct{") && strings.HasSuffix(text, "}")
}
