// Package pipeline owns the pipeline file: what to index, from which fields, into
// which space; and the small languages in it, paths, templates and conditions.
//
// Everything is checked when the file is loaded, so that nothing in it can fail
// because of the file while rows pass. The package never reads a topic and knows
// no format of change events: it works on rows, whose columns others have read.
package pipeline

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strconv"
	"strings"

	"github.com/freshet-io/freshet/libs/record"
)

// APIVersion is the only value of a file's apiVersion.
const APIVersion = "freshet/v1"

// File is a pipeline file: what to index, from which fields, into which space.
type File struct {
	APIVersion string     `yaml:"apiVersion"` // "freshet/v1"
	Space      Space      `yaml:"space"`
	Pipelines  []Pipeline `yaml:"pipelines"`
	// CollectionSections is what the file says of collections; Collections has all of them.
	CollectionSections []Collection `yaml:"collections"`
}

// Space says in what the texts are embedded. Vectors of two spaces are never
// mixed: a collection belongs to one.
type Space struct {
	Provider   string `yaml:"provider"`   // openai, builtin or hash
	Model      string `yaml:"model"`      // as the provider calls it
	Dimensions int    `yaml:"dimensions"` // length of a vector
	Prefix     string `yaml:"prefix"`     // put before each text, for models that want one
}

// Pipeline maps the changes of some topics to items of one collection.
type Pipeline struct {
	Name       string      `yaml:"name"`
	Source     Source      `yaml:"source"`
	Match      Match       `yaml:"match"`
	Collection string      `yaml:"collection"` // logical name, starts with a capital
	ID         ID          `yaml:"id"`
	Tenant     *Tenant     `yaml:"tenant"`
	Text       Text        `yaml:"text"`
	Properties []Property  `yaml:"properties"`
	When       []Predicate `yaml:"when"`
	// BudgetPerDay is what embedding its texts may cost a day (UTC), in the currency of embed; 0 sets no bound.
	BudgetPerDay float64 `yaml:"budgetPerDay"`
}

// Source names the topics and their format.
type Source struct {
	Topics []string `yaml:"topics"` // names; * in one stands for any letters
	Format Format   `yaml:"format"`
	// Prefix begins the names of what the unwrapping transform adds to rows (add.fields.prefix): __ if empty.
	Prefix string `yaml:"prefix"`
	// Partial says that rows come without columns that did not change, where the format does not say so itself:
	// Debezium's envelopes do, and updates of Canal and Maxwell that show nothing of what was before.
	Partial bool `yaml:"partial"`
	// Order is a column that rises with each change of an item, a whole number or a time: it orders the changes, where
	// their places in the topic do not, because its keys do not name the item.
	Order string `yaml:"order"`
	// Ordered says that all changes of an item are in one partition, though the keys do not show that.
	Ordered bool `yaml:"ordered"`
	// Redis is a stream whose entries ingest passes on to the topic; nil where others write it.
	Redis *Redis `yaml:"redis"`
	// HTTP says that clients may bring changes over HTTP, which are written to the topic.
	HTTP bool `yaml:"http"`
}

// Format is a format of change events.
type Format string

// The formats that ingest reads.
const (
	Debezium Format = "debezium" // the envelope with before, after, source and op
	Rows     Format = "rows"     // plain or unwrapped rows, a null value is a delete
	Canal    Format = "canal"    // Canal's JSON: type, data and old
	Maxwell  Format = "maxwell"  // Maxwell's JSON
	Auto     Format = "auto"     // recognised a record at a time, to try things out
)

// ofEvents reports whether records of the format tell of a row, and are not rows themselves.
func (f Format) ofEvents() bool { return f == Debezium || f == Canal || f == Maxwell }

// Match picks tables of a topic that carries several. Empty fields match all.
type Match struct {
	DB     string `yaml:"db"`
	Schema string `yaml:"schema"`
	Table  string `yaml:"table"`
}

// ID names the columns whose values, in order, are the item's id.
type ID struct {
	From []string `yaml:"from"`
}

// Columns returns the id's columns as the source calls them.
func (id ID) Columns() []string {
	columns := make([]string, len(id.From))
	for i, from := range id.From {
		columns[i] = columnOf(from)
	}
	return columns
}

// Tenant names the column of the item's tenant.
type Tenant struct {
	From string `yaml:"from"`
}

// Column returns the tenant's column as the source calls it.
func (t Tenant) Column() string { return columnOf(t.From) }

// OrderColumn returns the column of Order as the source calls it, "" where there is none.
func (s Source) OrderColumn() string { return columnOf(s.Order) }

// columnOf undoes the escapes of a column's name. A loaded file has no other paths here.
func columnOf(from string) string {
	path, err := ParsePath(from)
	if err != nil {
		return from
	}
	return path.Column
}

// Text says what is embedded.
type Text struct {
	Template string   `yaml:"template"` // see ParseTemplate
	Require  []string `yaml:"require"`  // fields that must not be empty
	Oversize string   `yaml:"oversize"` // truncate (default) or deadletter
}

// Property is stored with the item and returned by searches.
type Property struct {
	Name    string   `yaml:"name"`
	Type    Type     `yaml:"type"`
	From    string   `yaml:"from"`    // source field, a path with dots; default: the name
	Parse   string   `yaml:"parse"`   // "json": the column holds JSON as a string
	Unit    string   `yaml:"unit"`    // of numeric dates: d, s, ms, us, ns or auto
	Decimal *Decimal `yaml:"decimal"` // of decimals that arrive as bytes without a schema

	Tokenization string `yaml:"tokenization"` // of text: word if empty
	Filterable   *bool  `yaml:"filterable"`   // filters may ask for it; true if absent
	Searchable   *bool  `yaml:"searchable"`   // keyword searches look into it; true if absent, for text alone
	RangeFilters bool   `yaml:"rangeFilters"` // an index for < and > beside that of filterable
}

// Decimal describes an encoded decimal.
type Decimal struct {
	Scale int `yaml:"scale"`
}

// Type is the type of a property, in the index's words.
type Type string

// The types of properties.
const (
	TypeText     Type = "text"
	TypeNumber   Type = "number"
	TypeInt      Type = "int"
	TypeBool     Type = "boolean"
	TypeDate     Type = "date"
	TypeUUID     Type = "uuid"
	TypeTexts    Type = "text[]"
	TypeNumbers  Type = "number[]"
	TypeInts     Type = "int[]"
	TypeBooleans Type = "boolean[]"
	TypeDates    Type = "date[]"
)

// Predicate is a condition on one field. Exactly one of Eq, Ne, In and Exists is set.
type Predicate struct {
	Field  string `yaml:"field"`
	Eq     any    `yaml:"eq"`
	Ne     any    `yaml:"ne"`
	In     []any  `yaml:"in"`
	Exists *bool  `yaml:"exists"`
}

// Budgets returns the budgets of the pipelines that have one, by name.
func (f *File) Budgets() map[string]float64 {
	budgets := map[string]float64{}
	for _, p := range f.Pipelines {
		if p.BudgetPerDay > 0 {
			budgets[p.Name] = p.BudgetPerDay
		}
	}
	return budgets
}

// OversizePolicy returns the pipeline's policy as documents carry it.
func (t Text) OversizePolicy() record.Oversize {
	if t.Oversize == "deadletter" {
		return record.Oversize_OVERSIZE_DEADLETTER
	}
	return record.Oversize_OVERSIZE_TRUNCATE
}

// Known reports whether t is one of the types.
func (t Type) Known() bool { return slices.Contains(types, t) }

// Elem returns the type of an array's elements, or t itself where it is no array.
func (t Type) Elem() Type { return Type(strings.TrimSuffix(string(t), "[]")) }

// IsArray reports whether t is an array.
func (t Type) IsArray() bool { return strings.HasSuffix(string(t), "[]") }

// String returns the space's name, as records and collections carry it:
// openai/text-embedding-3-large/3072, and a hash of the prefix where there is one.
func (s Space) String() string {
	parts := []string{s.Provider, s.Model, strconv.Itoa(s.Dimensions)}
	if s.Prefix != "" {
		hash := sha256.Sum256([]byte(s.Prefix))
		parts = append(parts, "prefix-"+hex.EncodeToString(hash[:4]))
	}
	return strings.Join(slices.DeleteFunc(parts, func(p string) bool { return p == "" }), "/")
}

// Path returns where the property's value is in a row.
func (p Property) Path() (Path, error) { return ParsePath(cmp.Or(p.From, p.Name)) }

// Identifying returns the columns of id and tenant.
func (p *Pipeline) Identifying() []string {
	columns := p.ID.Columns()
	if p.Tenant != nil && !slices.Contains(columns, p.Tenant.Column()) {
		columns = append(columns, p.Tenant.Column())
	}
	return columns
}

// Reading is what one part of a pipeline reads.
type Reading struct {
	Of      string // template, when, property, …
	Columns []string
}

// Reads returns the columns that the parts of the pipeline read beside those of id and tenant, perhaps more than once.
func (p *Pipeline) Reads() []Reading {
	rules, err := p.Rules()
	if err != nil { // a loaded file has no such error
		return nil
	}
	var conditions, required, properties []string
	for i := range rules.When {
		conditions = append(conditions, rules.When[i].path.Column)
	}
	for _, path := range rules.Require {
		required = append(required, path.Column)
	}
	for _, property := range p.Properties {
		if path, err := property.Path(); err == nil {
			properties = append(properties, path.Column)
		}
	}
	reads := []Reading{{"template", rules.Template.Columns()}, {"require", required}, {"when", conditions}, {"property", properties}}
	if p.Source.Order != "" {
		reads = append(reads, Reading{"order", []string{columnOf(p.Source.Order)}})
	}
	return reads
}

// Fields returns the columns that the pipeline reads, the keys of Document.inputs: those of id and tenant, then those of its
// template, when, require, properties and order, sorted.
func (p *Pipeline) Fields() []string {
	var columns []string
	for _, part := range p.Reads() {
		columns = append(columns, part.Columns...)
	}
	slices.Sort(columns)
	first := p.Identifying()
	identifies := func(column string) bool { return slices.Contains(first, column) }
	return append(first, slices.DeleteFunc(slices.Compact(columns), identifies)...)
}
