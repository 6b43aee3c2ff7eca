// Package wire reads Confluent's wire format: a zero byte, the four of a schema's id, and a value that the schema
// describes, in Avro or as JSON.
//
// It owns the framing, what a schema says of columns, and the way from Avro to the JSON that Kafka Connect's own
// converter writes of the same value, so that all behind it reads one form. It never fetches a schema: see package
// registry. Any bytes give a value or an error, in time and memory bounded by change.Limits.
package wire

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/freshet-io/freshet/libs/values"
	"github.com/freshet-io/freshet/services/ingest/change"
)

const header = 5 // bytes before the value

// Split takes a key or value apart. is reports whether it is in this format: neither JSON nor text begins so.
func Split(b []byte) (id uint32, value []byte, is bool) {
	if len(b) < header || b[0] != 0 {
		return 0, nil, false
	}
	return binary.BigEndian.Uint32(b[1:]), b[header:], true
}

// Definition is a schema as a registry gives it.
type Definition struct {
	Text       string
	Language   string   // AVRO, JSON or PROTOBUF; Avro where it is empty
	References []string // the texts of Avro schemas that it names types of, each behind those that it needs itself
}

// maxText bounds a schema: one of a table with 1,000 columns has about 200,000 bytes. To read a byte of it takes up to 300
// bytes of memory.
const maxText = 1 << 20

// Schema is a definition that was read. It may be used from several goroutines.
type Schema struct {
	Types *values.Schema // of the columns of a row, a key or an envelope; nil where it is of none of them
	root  *node          // nil: values are JSON
}

// Compile reads a definition.
func Compile(d Definition) (*Schema, error) {
	size := len(d.Text)
	for _, reference := range d.References {
		size += len(reference)
	}
	if size > maxText {
		return nil, fmt.Errorf("it has %d bytes, the limit is %d", size, maxText)
	}
	switch d.Language {
	case "", "AVRO":
		root, err := compile(d)
		if err != nil {
			return nil, err
		}
		return &Schema{Types: root.types(), root: root}, nil
	case "JSON":
		if !json.Valid([]byte(d.Text)) { // which is total, and bounds the depth, as gjson is and does not
			return nil, errors.New("it is not JSON")
		}
		return &Schema{Types: typesOf(d.Text)}, nil
	}
	return nil, fmt.Errorf("it is of type %.20q: AVRO and JSON are read", d.Language)
}

// JSON returns a value of the schema as JSON: objects for records and maps, base64 for bytes, whatever has a branch of a
// union without its name. It is not checked yet: a text may be no UTF-8. Its errors are permanent.
func (s *Schema) JSON(value []byte, limits change.Limits) ([]byte, error) {
	if s.root == nil {
		return value, nil
	}
	return transcode(s.root, value, limits)
}

// ErrNotYet says that a schema may be there in a moment.
var ErrNotYet = errors.New("the schema registry does not know it yet")
