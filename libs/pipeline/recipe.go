package pipeline

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/tidwall/gjson"
)

// recipeSize is the length of a recipe's hash in bytes.
const recipeSize = 16

// Rules say what becomes of a row: whether it is indexed, and with which text.
type Rules struct {
	Template *Template
	When     Conditions
	Require  []Path
}

// Rules compiles the pipeline's template, when and require. A pipeline of a loaded
// file gives no error.
func (p *Pipeline) Rules() (*Rules, error) {
	template, templateErr := ParseTemplate(p.Text.Template)
	when, whenErr := CompileConditions(p.When)
	rules := &Rules{Template: template, When: when}
	faults := []error{templateErr, whenErr}
	for _, field := range p.Text.Require {
		path, err := ParsePath(field)
		faults = append(faults, err)
		rules.Require = append(rules.Require, path)
	}
	if err := errors.Join(faults...); err != nil {
		return nil, fmt.Errorf("compiling pipeline %s: %w", p.Name, err)
	}
	return rules, nil
}

// Missing returns the first required field that is absent, null or blank in row.
func (r *Rules) Missing(row Row) (field string, missing bool) {
	for _, path := range r.Require {
		value := row.Get(path)
		blank := !value.Exists() || value.Type == gjson.Null ||
			value.Type == gjson.String && strings.TrimSpace(value.Str) == ""
		if blank {
			return path.String(), true
		}
	}
	return "", false
}

// Recipe returns the canonical JSON of what turns a row of this pipeline into a
// text (template, when, require, oversize), and its hash: sha256, cut to 16 bytes.
// A generation of a collection is of one recipe.
func (p *Pipeline) Recipe() (hash []byte, body string) { return canonical(p.text()) }

// ItemRecipe returns the canonical JSON of all that makes an item of a row: the recipe
// and the properties, and its hash. Documents carry the hash, the control topic keeps
// the body: whoever makes the item later, of merged rows, makes it in the same way.
func (p *Pipeline) ItemRecipe() (hash []byte, body string) {
	all, properties := p.text(), make([]map[string]any, len(p.Properties))
	for i, property := range p.Properties {
		properties[i] = property.canonical()
	}
	all["properties"] = properties
	return canonical(all)
}

// ParseItemRecipe reads the body that ItemRecipe gives. The pipeline has nothing but
// what is in it.
func ParseItemRecipe(body string) (*Pipeline, error) {
	var r struct {
		Text
		When       []Predicate
		Properties []Property
	}
	decoder := json.NewDecoder(strings.NewReader(body))
	decoder.UseNumber() // as a float64 a large number in when would lose its digits
	if err := decoder.Decode(&r); err != nil {
		return nil, fmt.Errorf("reading a recipe: %w", err)
	}
	return &Pipeline{Text: r.Text, When: r.When, Properties: r.Properties}, nil
}

// text returns what the text of a row hangs on.
func (p *Pipeline) text() map[string]any {
	when := make([]map[string]any, 0, len(p.When))
	for _, w := range p.When {
		when = append(when, w.canonical())
	}
	return map[string]any{
		"template": p.Text.Template, "when": when, "require": append([]string{}, p.Text.Require...),
		"oversize": cmp.Or(p.Text.Oversize, oversizeTruncate),
	}
}

func canonical(recipe map[string]any) (hash []byte, body string) {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b) // sorts the keys of maps
	encoder.SetEscapeHTML(false)
	// Text and plain values cannot fail to encode; a loaded file holds nothing else.
	if err := encoder.Encode(recipe); err != nil {
		return nil, ""
	}
	body = strings.TrimSuffix(b.String(), "\n")
	sum := sha256.Sum256([]byte(body))
	return sum[:recipeSize], body
}

func (p Predicate) canonical() map[string]any {
	m := map[string]any{"field": p.Field}
	switch {
	case p.Eq != nil:
		m["eq"] = p.Eq
	case p.Ne != nil:
		m["ne"] = p.Ne
	case p.In != nil:
		m["in"] = p.In
	case p.Exists != nil:
		m["exists"] = *p.Exists
	}
	return m
}

// canonical returns what makes the property's value of a row.
func (p Property) canonical() map[string]any {
	m := map[string]any{"name": p.Name, "type": p.Type}
	for key, value := range map[string]string{"from": p.From, "parse": p.Parse, "unit": p.Unit} {
		if value != "" {
			m[key] = value
		}
	}
	if p.Decimal != nil {
		m["decimal"] = map[string]any{"scale": p.Decimal.Scale}
	}
	return m
}
