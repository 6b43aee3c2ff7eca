package selftest

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/freshet-io/freshet/libs/pipeline"
)

// Mark begins the text of each canary.
const Mark = "freshet selftest"

// What a canary is called. No sequence of a database gives a negative number, so that no row is called so; it spells SELFTEST
// on the keys of a telephone.
const (
	nameText   = "freshet-selftest"
	nameNumber = -73537837
)

var nameUUID = uuid.NewSHA1(uuid.NameSpaceOID, []byte(nameText)).String()

// names are those that a canary may have, as parts of ids.
var names = []string{nameText, strconv.Itoa(nameNumber), nameUUID}

// Row makes a row of a table that a pipeline takes an item of, by what the pipeline file says of the columns: those of the
// template have the text, those of id and tenant a name that no row of a table has, conditions are met, and all others are
// null. Columns that are given stay as they are. Whether ingest makes an item of it, New finds out.
func Row(p *pipeline.Pipeline, text string, given map[string]any, at time.Time) map[string]any {
	r := row{pipeline: p, text: text, at: at, columns: map[string]any{}}
	for _, column := range p.Fields() {
		r.columns[column] = nil
	}
	if rules, err := p.Rules(); err == nil { // a loaded file has no such error
		for _, column := range rules.Template.Columns() {
			r.columns[column] = r.value(column)
		}
		for _, path := range rules.Require {
			r.put(path, r.value(path.Column))
		}
	}
	for _, column := range p.Identifying() {
		r.columns[column] = r.name(column)
	}
	if column := p.Source.OrderColumn(); column != "" {
		r.columns[column] = r.order(column)
	}
	for _, condition := range p.When {
		r.meet(condition)
	}
	maps.Copy(r.columns, given)
	return r.columns
}

type row struct {
	pipeline *pipeline.Pipeline
	text     string
	at       time.Time
	columns  map[string]any
}

// property returns what the whole column becomes; its Type is empty where it is in no property.
func (r *row) property(column string) pipeline.Property {
	i := slices.IndexFunc(r.pipeline.Properties, func(p pipeline.Property) bool {
		path, err := p.Path()
		return err == nil && path == pipeline.Path{Column: column}
	})
	if i < 0 {
		return pipeline.Property{}
	}
	return r.pipeline.Properties[i]
}

// value returns one that the column's property takes, with the text where it can have one.
func (r *row) value(column string) any {
	p := r.property(column)
	var value any = r.text
	switch p.Type.Elem() {
	case pipeline.TypeInt, pipeline.TypeNumber:
		value = 1
	case pipeline.TypeBool:
		value = true
	case pipeline.TypeUUID:
		value = nameUUID
	case pipeline.TypeDate:
		value = r.time(p.Unit)
	case pipeline.TypeText, pipeline.TypeTexts, pipeline.TypeNumbers, pipeline.TypeInts, pipeline.TypeBooleans, pipeline.TypeDates:
	}
	if p.Type.IsArray() {
		value = []any{value}
	}
	if p.Parse == "json" {
		b, _ := json.Marshal(value) // texts and numbers
		value = string(b)
	}
	return value
}

func (r *row) time(unit string) any {
	switch unit {
	case "d":
		return r.at.Unix() / (24 * 60 * 60)
	case "s":
		return r.at.Unix()
	case "ms":
		return r.at.UnixMilli()
	case "us":
		return r.at.UnixMicro()
	case "ns":
		return r.at.UnixNano()
	}
	return r.at.UTC().Format(time.RFC3339Nano)
}

// name returns what a column of id or tenant has.
func (r *row) name(column string) any {
	switch r.property(column).Type {
	case pipeline.TypeInt, pipeline.TypeNumber:
		return nameNumber
	case pipeline.TypeUUID:
		return nameUUID
	case pipeline.TypeDate, pipeline.TypeBool:
		return r.value(column)
	case pipeline.TypeText, pipeline.TypeTexts, pipeline.TypeNumbers, pipeline.TypeInts, pipeline.TypeBooleans, pipeline.TypeDates:
	}
	return nameText
}

// order returns a number or a time that is above that of the canary before.
func (r *row) order(column string) any {
	if p := r.property(column); p.Type == pipeline.TypeDate {
		return r.time(p.Unit)
	}
	return r.at.UnixMilli()
}

func (r *row) meet(c pipeline.Predicate) {
	path, err := pipeline.ParsePath(c.Field)
	switch {
	case err != nil:
	case c.Exists != nil && !*c.Exists:
		r.columns[path.Column] = nil
	case c.Exists != nil:
		if r.columns[path.Column] == nil {
			r.put(path, r.value(path.Column))
		}
	case c.Eq != nil:
		r.put(path, c.Eq)
	case len(c.In) > 0:
		r.put(path, c.In[0])
	default:
		r.differ(path, c.Ne)
	}
}

// differ gives a column that has something a value of the operand's type: others cannot be compared with it.
func (r *row) differ(path pipeline.Path, operand any) {
	if r.columns[path.Column] == nil {
		return
	}
	switch o := operand.(type) {
	case bool:
		r.put(path, !o)
	case string:
	default:
		other := 1
		if o == other {
			other = 2
		}
		r.put(path, other)
	}
}

// put sets a value, within objects where the path leads into them.
func (r *row) put(path pipeline.Path, value any) {
	steps := append([]string{path.Column}, strings.FieldsFunc(path.Rest, func(c rune) bool { return c == '.' })...)
	object := r.columns
	for _, step := range steps[:len(steps)-1] {
		inner, ok := object[step].(map[string]any)
		if !ok {
			inner = map[string]any{}
			object[step] = inner
		}
		object = inner
	}
	object[steps[len(steps)-1]] = value
}
