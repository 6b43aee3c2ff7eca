package wire

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/twmb/avro"

	"github.com/freshet-io/freshet/libs/values"
)

type kind uint8

const (
	kindNull kind = iota
	kindBoolean
	kindInt
	kindLong
	kindFloat
	kindDouble
	kindBytes
	kindString
	kindFixed
	kindUUID // of 16 bytes
	kindEnum
	kindUnion
	kindRecord
	kindArray
	kindMap
)

var kinds = map[string]kind{
	"null": kindNull, "boolean": kindBoolean, "int": kindInt, "long": kindLong, "float": kindFloat, "double": kindDouble,
	"bytes": kindBytes, "string": kindString, "fixed": kindFixed, "enum": kindEnum, "union": kindUnion,
	"record": kindRecord, "error": kindRecord, "array": kindArray, "map": kindMap,
}

// node is a part of an Avro schema. A recursive one leads back to itself.
type node struct {
	kind     kind
	name     string      // records: as Connect calls it, or in full
	typ      values.Type // how the JSON of a value is to be read
	fields   []field
	items    *node // of a list or a map
	branches []*node
	symbols  []string // as JSON
	size     int      // fixed: bytes
}

type field struct {
	name   string
	quoted string // as a member's name in JSON, with its colon
	node   *node
}

// compile reads an Avro schema. twmb/avro parses it; values are read by nodes, since its own decoder makes Go's maps of
// them, and of logical types what would have to be undone.
func compile(d Definition) (*node, error) {
	var cache avro.SchemaCache
	// Names are the registry's business: whatever wrote them has written values, too.
	lax := avro.WithLaxNames(func(string) error { return nil })
	for _, text := range d.References {
		if _, err := cache.Parse(text, lax); err != nil {
			return nil, fmt.Errorf("in a schema that it refers to: %w", err)
		}
	}
	parsed, err := cache.Parse(d.Text, lax)
	if err != nil {
		return nil, err
	}
	c := compiler{named: map[string]*node{}}
	return c.node(parsed.Root(), "")
}

// compiler remembers the named types of a schema.
type compiler struct{ named map[string]*node }

// node compiles a part of a schema. Names without dots are of the namespace that they stand in.
func (c *compiler) node(s *avro.SchemaNode, space string) (*node, error) {
	if s == nil { // the library has looked at none of what a type has that should have no parts
		return nil, errors.New("a list or a map does not say what is in it")
	}
	kind, known := kinds[s.Type]
	if !known {
		return c.reference(s.Type, space)
	}
	n := &node{kind: kind, typ: typeOf(s), size: s.Size}
	if kind == kindRecord || kind == kindEnum || kind == kindFixed {
		n.name, space = fullName(s)
		c.named[n.name] = n
	}
	if name, named := s.Props["connect.name"].(string); named {
		n.name = name
	}
	if kind == kindFixed && s.LogicalType == "uuid" && s.Size == 16 {
		n.kind = kindUUID
	}
	for _, symbol := range s.Symbols {
		n.symbols = append(n.symbols, values.Quote(symbol))
	}
	return n, c.parts(n, s, space)
}

// parts compiles what a list, a map, a union or a record consists of.
func (c *compiler) parts(n *node, s *avro.SchemaNode, space string) (err error) {
	of := s.Items
	if n.kind == kindMap {
		of = s.Values
	}
	if n.kind == kindMap || n.kind == kindArray {
		n.items, err = c.node(of, space)
		return err
	}
	for i := range s.Branches {
		branch, err := c.node(&s.Branches[i], space)
		if err != nil {
			return err
		}
		n.branches = append(n.branches, branch)
	}
	for i := range s.Fields {
		f := &s.Fields[i]
		of, err := c.node(&f.Type, space)
		if err != nil {
			return err
		}
		n.fields = append(n.fields, field{name: f.Name, quoted: values.Quote(f.Name) + ":", node: of})
	}
	return nil
}

func (c *compiler) reference(name, space string) (*node, error) {
	if space != "" && !strings.Contains(name, ".") {
		if n := c.named[space+"."+name]; n != nil {
			return n, nil
		}
	}
	if n := c.named[strings.TrimPrefix(name, ".")]; n != nil {
		return n, nil
	}
	return nil, fmt.Errorf("nothing says what type %.100q is", name)
}

func fullName(s *avro.SchemaNode) (name, space string) {
	if dot := strings.LastIndexByte(s.Name, '.'); dot >= 0 {
		return s.Name, s.Name[:dot]
	}
	if s.Namespace == "" {
		return s.Name, ""
	}
	return s.Namespace + "." + s.Name, s.Namespace
}

// logical types of Avro's own, by name. Producers that are not Kafka Connect have no others.
var logical = map[string]values.Type{
	"date":                   {Kind: values.Days},
	"time-millis":            {Kind: values.TimeOfDay, Nanos: values.Millisecond},
	"time-micros":            {Kind: values.TimeOfDay, Nanos: values.Microsecond},
	"timestamp-millis":       {Kind: values.Instant, Nanos: values.Millisecond},
	"timestamp-micros":       {Kind: values.Instant, Nanos: values.Microsecond},
	"timestamp-nanos":        {Kind: values.Instant, Nanos: values.Nanosecond},
	"local-timestamp-millis": {Kind: values.Instant, Nanos: values.Millisecond},
	"local-timestamp-micros": {Kind: values.Instant, Nanos: values.Microsecond},
	"local-timestamp-nanos":  {Kind: values.Instant, Nanos: values.Nanosecond},
	"uuid":                   {Kind: values.Text},
}

// typeOf returns how the JSON of a value is to be read: as Connect's or Debezium's name of its schema says, else as
// Avro's logical type does. A producer that is not Connect may have both decimals and their scale from the latter alone.
func typeOf(s *avro.SchemaNode) values.Type {
	name, _ := s.Props["connect.name"].(string)
	if t, known := values.Named(name, scaleOf(s)); known {
		return t
	}
	if t, known := logical[s.LogicalType]; known {
		return t
	}
	switch {
	case s.LogicalType == "decimal" && (s.Type == "bytes" || s.Type == "fixed"):
		return values.Type{Kind: values.Decimal, Scale: s.Scale}
	case s.Type == "string" || s.Type == "enum":
		return values.Type{Kind: values.Text}
	case s.Type == "bytes" || s.Type == "fixed":
		return values.Type{Kind: values.Bytes}
	}
	return values.Type{Kind: values.Plain}
}

func scaleOf(s *avro.SchemaNode) int {
	parameters, _ := s.Props["connect.parameters"].(map[string]any)
	if text, given := parameters["scale"].(string); given {
		if scale, err := strconv.Atoi(text); err == nil {
			return scale
		}
	}
	return s.Scale
}

// present returns what a value is where it is not null.
func (n *node) present() *node {
	if n.kind != kindUnion {
		return n
	}
	var found *node
	for _, branch := range n.branches {
		switch {
		case branch.kind == kindNull:
		case found != nil: // either of two
			return n
		default:
			found = branch
		}
	}
	if found == nil {
		return n
	}
	return found
}

// types returns what is known of a record's columns, and of those of the rows in an envelope.
func (n *node) types() *values.Schema {
	types := n.columns()
	if types == nil {
		return nil
	}
	for _, f := range n.present().fields {
		if (f.name == "before" || f.name == "after") && types.Row == nil {
			types.Row = f.node.columns()
		}
	}
	return types
}

func (n *node) columns() *values.Schema {
	n = n.present()
	if n.kind != kindRecord {
		return nil
	}
	types := &values.Schema{Name: n.name, Columns: make(map[string]values.Type, len(n.fields))}
	for _, f := range n.fields {
		types.Columns[f.name] = f.node.column()
	}
	return types
}

func (n *node) column() values.Type {
	n = n.present()
	if n.kind != kindArray {
		return n.typ
	}
	items := n.items.column()
	return values.Type{Kind: values.Plain, Items: &items}
}
