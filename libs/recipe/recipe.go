// Package recipe makes an item of a row: whether it is shown, its text and its properties.
//
// A recipe is the part of a pipeline that decides this and nothing else. ingest makes items of whole rows with the
// recipes of its pipeline file; write makes them of rows that it merged from several documents, with the recipe that
// the newest of these names. So an item is the same whoever made it, and a rollout flips nothing.
package recipe

import (
	"errors"

	"github.com/tidwall/gjson"

	"github.com/freshet-io/freshet/libs/fault"
	"github.com/freshet-io/freshet/libs/pipeline"
	"github.com/freshet-io/freshet/libs/record"
	"github.com/freshet-io/freshet/libs/values"
)

// Recipe is a compiled recipe. It is safe for concurrent use.
type Recipe struct {
	rules      *pipeline.Rules
	properties []property
	oversize   record.Oversize
}

type property struct {
	pipeline.Property
	path pipeline.Path
	// declared applies to values within a column; a whole column is normalised with the row.
	declared values.Type
}

// New compiles the recipe of a pipeline. One of a loaded file gives no error.
func New(p *pipeline.Pipeline) (*Recipe, error) {
	rules, err := p.Rules()
	if err != nil {
		return nil, err
	}
	r := &Recipe{rules: rules, oversize: p.Text.OversizePolicy()}
	for _, of := range p.Properties {
		path, err := of.Path()
		if err != nil {
			return nil, err
		}
		prop := property{Property: of, path: path}
		if prop.within() {
			prop.declared = values.Declared(of)
		}
		r.properties = append(r.properties, prop)
	}
	return r, nil
}

// Parse compiles the body of a recipe: what [pipeline.Pipeline.ItemRecipe] gives and the control topic keeps.
func Parse(body string) (*Recipe, error) {
	p, err := pipeline.ParseItemRecipe(body)
	if err != nil {
		return nil, err
	}
	return New(p)
}

// within reports whether the property is a value inside of its column.
func (p *property) within() bool { return p.path.Rest != "" || p.Parse != "" }

// Oversize is what becomes of a text that is too long for the model.
func (r *Recipe) Oversize() record.Oversize { return r.oversize }

// Made is an item that was made of a row.
type Made struct {
	Hidden     bool // when says that it is not to be found; it has no text and no properties then
	Text       string
	Properties []*record.Property // typed, without those that are null
}

// Shown says whether rows like this are indexed, and by which field it does so where that is of no use.
func (r *Recipe) Shown(row pipeline.Row) (truth pipeline.Truth, field string) {
	return r.rules.When.Eval(row)
}

// Make makes an item of a row that has all of its columns. Its errors are permanent faults that name the field.
func (r *Recipe) Make(row pipeline.Row) (Made, error) {
	switch truth, field := r.Shown(row); truth {
	case pipeline.False:
		return Made{Hidden: true}, nil
	case pipeline.Mistyped:
		return Made{}, fault.Reject(fault.FieldType, "field %s does not compare with the value that when gives", field)
	case pipeline.Unknown:
		return Made{}, fault.Reject(fault.UnavailableValue, "field %s, which when reads, is not in the row", field)
	case pipeline.True:
	}
	if field, missing := r.rules.Missing(row); missing {
		return Made{}, fault.Reject(fault.MissingText, "required field %s is empty", field)
	}
	text := r.rules.Template.Render(row)
	if text == "" {
		return Made{}, fault.Reject(fault.MissingText, "the template gives no text")
	}
	properties, err := r.typed(row)
	return Made{Text: text, Properties: properties}, err
}

// typed returns the properties that the row has. Null, absent and a date of zeros are the same.
func (r *Recipe) typed(row pipeline.Row) ([]*record.Property, error) {
	list, all := make([]*record.Property, 0, len(r.properties)), make([]record.Property, len(r.properties))
	for i := range r.properties {
		p := &r.properties[i]
		v, err := p.value(row)
		none := v.Type == gjson.Null || p.Type == pipeline.TypeDate && values.IsZeroDate(v)
		if err == nil && !none {
			var value *record.Value
			if value, err = values.Typed(v, p.Type); err == nil {
				all[i].Name, all[i].Value = p.Name, value
				list = append(list, &all[i])
			}
		}
		if err != nil {
			return nil, fault.Reject(fault.FieldType, "property %s: field %s %w", p.Name, p.path, err)
		}
	}
	return list, nil
}

// value returns the property's value in a row, a Null where there is none.
func (p *property) value(row pipeline.Row) (gjson.Result, error) {
	if p.Parse == "" {
		v := row.Get(p.path)
		if p.path.Rest == "" {
			return v, nil
		}
		return values.Normalise(v, p.declared)
	}
	column := row.Get(pipeline.Path{Column: p.path.Column})
	if column.Type == gjson.Null {
		return column, nil
	}
	v := pipeline.ParseJSON(column)
	if !v.Exists() {
		return v, errors.New("holds no JSON")
	}
	if p.path.Rest != "" {
		v = v.Get(p.path.Rest)
	}
	return values.Normalise(v, p.declared)
}
