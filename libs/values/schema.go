package values

import (
	"strings"
	"sync"

	"github.com/tidwall/gjson"
)

// Schema is what is known of the columns of a row, a key or an envelope: by the schema that came along, or by a registry's.
type Schema struct {
	Name    string          // of the struct, such as server.catalog.products.Key
	Columns map[string]Type // of a row; nil where it is none
	Row     *Schema         // of before and after, where it is that of an envelope
}

// Of returns the type of a column. s may be nil: then nothing is declared.
func (s *Schema) Of(column string) Type {
	if s == nil {
		return Type{}
	}
	return s.Columns[column]
}

// The cache's bounds: a table has one schema until it is altered, and one of 1,000 columns has about 100,000 bytes. What is
// compiled of a schema may take ten times its bytes.
const (
	maxSchemas     = 1024
	maxSchemaBytes = 8 << 20
)

// Schemas compiles schemas and keeps them: every record repeats its own, which is
// several times as long as its row. It may be used from several goroutines.
type Schemas struct {
	mu    sync.RWMutex
	known map[string]*Schema
	bytes int // of its keys
}

// Compile returns the schema of its JSON, nil where that says nothing.
func (s *Schemas) Compile(schema gjson.Result) *Schema {
	return s.compiled(schema, "", compile)
}

// MySQL returns the types of columns that are given by their MySQL declarations, as Canal
// sends them along: {"id":"bigint unsigned"}. It is nil where that says nothing.
func (s *Schemas) MySQL(types gjson.Result) *Schema {
	return s.compiled(types, "mysql", compileMySQL)
}

// compiled returns what compile makes of a schema; kind tells the compilers apart.
func (s *Schemas) compiled(schema gjson.Result, kind string, compile func(gjson.Result) *Schema) *Schema {
	if !schema.IsObject() {
		return nil
	}
	key := kind + schema.Raw
	s.mu.RLock()
	compiled, found := s.known[key]
	s.mu.RUnlock()
	if found {
		return compiled
	}
	if len(key) > maxSchemaBytes {
		return compile(schema)
	}
	// Of a copy: what is kept would keep the whole record, and with it all that was fetched or sent together.
	schema = gjson.Parse(strings.Clone(schema.Raw))
	key, compiled = kind+schema.Raw, compile(schema)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.known == nil || len(s.known) >= maxSchemas || s.bytes+len(key) > maxSchemaBytes {
		s.known, s.bytes = map[string]*Schema{}, 0
	}
	if _, found := s.known[key]; !found { // another goroutine may have been here
		s.bytes += len(key)
	}
	s.known[key] = compiled
	return compiled
}

func compile(schema gjson.Result) *Schema {
	fields := schema.Get("fields")
	if !fields.IsArray() {
		return nil
	}
	compiled := &Schema{Name: schema.Get("name").String(), Columns: map[string]Type{}}
	fields.ForEach(func(_, field gjson.Result) bool {
		name := field.Get("field").String()
		if name == "" {
			return true
		}
		compiled.Columns[name] = typeOf(field)
		// after stands behind before; both have the same columns.
		if (name == "after" || name == "before") && compiled.Row == nil {
			compiled.Row = compile(field)
		}
		return true
	})
	return compiled
}

// semantic types by the name that Debezium and Connect give them.
var semantic = map[string]Type{
	"io.debezium.data.VariableScaleDecimal": {Kind: Decimal},
	"io.debezium.data.Bits":                 {Kind: Bits},

	"io.debezium.time.Date":           {Kind: Days},
	"io.debezium.time.Timestamp":      {Kind: Instant, Nanos: Millisecond},
	"io.debezium.time.MicroTimestamp": {Kind: Instant, Nanos: Microsecond},
	"io.debezium.time.NanoTimestamp":  {Kind: Instant, Nanos: Nanosecond},
	"io.debezium.time.Time":           {Kind: TimeOfDay, Nanos: Millisecond},
	"io.debezium.time.MicroTime":      {Kind: TimeOfDay, Nanos: Microsecond},
	"io.debezium.time.NanoTime":       {Kind: TimeOfDay, Nanos: Nanosecond},
	"io.debezium.time.ZonedTimestamp": {Kind: Zoned},
	"io.debezium.time.IsoTimestamp":   {Kind: Zoned},

	"org.apache.kafka.connect.data.Date":      {Kind: Days},
	"org.apache.kafka.connect.data.Timestamp": {Kind: Instant, Nanos: Millisecond},
	"org.apache.kafka.connect.data.Time":      {Kind: TimeOfDay, Nanos: Millisecond},
}

// Named returns the type that the name of a schema of Debezium's or Connect's says, whatever serialises it; scale is
// that of Connect's decimals.
func Named(name string, scale int) (t Type, known bool) {
	if name == "org.apache.kafka.connect.data.Decimal" {
		return Type{Kind: Decimal, Scale: scale}, true
	}
	t, known = semantic[name]
	return t, known
}

func typeOf(field gjson.Result) Type {
	if t, known := Named(field.Get("name").String(), int(field.Get("parameters.scale").Int())); known {
		return t
	}
	switch field.Get("type").String() {
	case "array":
		items := typeOf(field.Get("items"))
		return Type{Kind: Plain, Items: &items}
	case "string":
		return Type{Kind: Text}
	case "bytes":
		return Type{Kind: Bytes}
	}
	return Type{Kind: Plain}
}
