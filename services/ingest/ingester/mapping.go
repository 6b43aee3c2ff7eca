package ingester

import (
	"encoding/json"
	"slices"

	"github.com/tidwall/gjson"

	"github.com/freshet-io/freshet/libs/fault"
	"github.com/freshet-io/freshet/libs/pipeline"
	"github.com/freshet-io/freshet/libs/record"
	"github.com/freshet-io/freshet/services/ingest/change"
	"github.com/freshet-io/freshet/services/ingest/values"
)

// mapping is one pipeline, compiled.
type mapping struct {
	pipeline    *pipeline.Pipeline
	rules       *pipeline.Rules
	recipe      []byte
	columns     []column
	index       map[string]int // of columns, by name
	id          []int          // of columns
	tenant      int            // of columns, -1 without tenants
	properties  []property
	placeholder *values.Placeholder
}

// column is a column that the pipeline reads.
type column struct {
	name     string
	quoted   string // as a member's name in JSON
	declared values.Type
	asked    bool // whether when asks if it exists
}

// typeIn returns the type of the column in the row and before.
func (col *column) typeIn(c *change.Change) values.Type {
	return c.Schema.Of(col.name).Or(col.declared)
}

// typeInKey returns the type of the column in the key, which often comes without
// the schema that the value has. It must give the id that the row gives.
func (col *column) typeInKey(c *change.Change) values.Type {
	return c.Key.Schema.Of(col.name).Or(col.typeIn(c))
}

type property struct {
	pipeline.Property
	path pipeline.Path
	// declared applies to values within a column; a whole column is normalised with the row.
	declared values.Type
}

func newMapping(p *pipeline.Pipeline, placeholder *values.Placeholder) (*mapping, error) {
	rules, err := p.Rules()
	if err != nil {
		return nil, err
	}
	m := &mapping{pipeline: p, rules: rules, index: map[string]int{}, tenant: -1, placeholder: placeholder}
	m.recipe, _ = p.Recipe()
	for i, name := range p.Fields() {
		quoted, err := json.Marshal(name)
		if err != nil {
			return nil, err
		}
		m.columns = append(m.columns, column{name: name, quoted: string(quoted)})
		m.index[name] = i
	}
	for _, declared := range p.Properties {
		path, err := declared.Path()
		if err != nil {
			return nil, err
		}
		prop := property{Property: declared, path: path}
		switch t := values.Declared(declared); {
		case path.Rest != "" || declared.Parse != "":
			prop.declared = t
		case t.Kind != values.Undeclared || t.Items != nil:
			m.columns[m.index[path.Column]].declared = t
		}
		m.properties = append(m.properties, prop)
	}
	for _, w := range p.When {
		if path, err := pipeline.ParsePath(w.Field); err == nil && w.Exists != nil {
			m.columns[m.index[path.Column]].asked = true
		}
	}
	for _, name := range p.ID.Columns() {
		m.id = append(m.id, m.index[name])
	}
	if p.Tenant != nil {
		m.tenant = m.index[p.Tenant.Column()]
	}
	return m, nil
}

// apply adds the documents of a change. Its error is permanent, and then the last
// document, if the item is known, is the mark that it failed.
func (m *mapping) apply(b *builder) error {
	c := b.change
	if c.Op == change.Delete {
		if column, found := m.contradicted(c); found {
			return fault.Reject(fault.MissingID, "the key and the row before the delete differ in column %q", column)
		}
		who, known := m.identify(nil, c)
		switch {
		case known:
			b.add(m, who, record.Op_OP_DELETE)
		case !m.repeats(c):
			return m.unknown(c)
		}
		return nil
	}
	img := m.read(c)
	who, known := m.identify(img, c)
	if !known {
		if img.err != nil {
			return img.err
		}
		return m.unknown(c)
	}
	if was, known := m.identifyBefore(c); known && !was.equal(who) {
		b.add(m, was, record.Op_OP_DELETE)
	}
	if err := m.upsert(b, who, img); err != nil {
		b.failed(m, who, err)
		return err
	}
	return nil
}

// unknown says that a change names no item.
func (m *mapping) unknown(c *change.Change) error {
	if c.Key.Err != nil {
		return c.Key.Err
	}
	columns := m.pipeline.ID.Columns()
	if m.tenant >= 0 {
		columns = append(columns, m.columns[m.tenant].name)
	}
	return fault.Reject(fault.MissingID, "neither the row nor the key has all of the columns %q", columns)
}

func (m *mapping) upsert(b *builder, who identity, img *image) error {
	switch truth, field := m.rules.When.Eval(img.row); truth {
	case pipeline.False: // decides even where another column is of no use
		b.add(m, who, record.Op_OP_DELETE)
		return nil
	case pipeline.Mistyped:
		return fault.Reject(fault.FieldType, "field %s does not compare with the value that when gives", field)
	case pipeline.Unknown:
		if img.err != nil {
			return img.err
		}
		return fault.Reject(fault.UnavailableValue, "field %s, which when reads, is not in the row", field)
	case pipeline.True:
	}
	switch {
	case img.err != nil:
		return img.err
	case img.unavailable != "":
		return fault.Reject(fault.UnavailableValue, "the source left field %s out because it did not change", img.unavailable)
	}
	if field, missing := m.rules.Missing(img.row); missing {
		return fault.Reject(fault.MissingText, "required field %s is empty", field)
	}
	text := m.rules.Template.Render(img.row)
	if text == "" {
		return fault.Reject(fault.MissingText, "the template gives no text")
	}
	properties, err := m.typed(img.row)
	if err != nil {
		return err
	}
	d := b.add(m, who, record.Op_OP_UPSERT)
	d.Text, d.Properties, d.Inputs, d.Recipe = text, properties, img.inputs(), m.recipe
	d.Oversize, d.Force = m.pipeline.Text.OversizePolicy(), b.change.Force
	return nil
}

// typed returns the properties that the row has. Null and absent are the same.
func (m *mapping) typed(row pipeline.Row) ([]*record.Property, error) {
	list := make([]*record.Property, 0, len(m.properties))
	for i := range m.properties {
		p := &m.properties[i]
		v, err := p.value(row)
		if err == nil && v.Type != gjson.Null {
			var value *record.Value
			if value, err = values.Typed(v, p.Type); err == nil {
				list = append(list, &record.Property{Name: p.Name, Value: value})
			}
		}
		if err != nil {
			return nil, fault.Reject(fault.FieldType, "property %s: field %s %w", p.Name, p.path, err)
		}
	}
	return list, nil
}

// identity says which item a change is about.
type identity struct {
	id     []string
	tenant string
}

func (i identity) equal(other identity) bool {
	return i.tenant == other.tenant && slices.Equal(i.id, other.id)
}
