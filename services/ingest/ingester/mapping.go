package ingester

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/freshet-io/freshet/libs/fault"
	"github.com/freshet-io/freshet/libs/pipeline"
	"github.com/freshet-io/freshet/libs/recipe"
	"github.com/freshet-io/freshet/libs/record"
	"github.com/freshet-io/freshet/libs/values"
	"github.com/freshet-io/freshet/services/ingest/change"
)

// mapping is one pipeline, compiled.
type mapping struct {
	pipeline    *pipeline.Pipeline
	recipe      *recipe.Recipe
	recipeHash  []byte
	columns     []column       // those of id and tenant first
	identifying int            // how many are of id and tenant
	index       map[string]int // of columns, by name
	id          []int          // of columns
	tenant      int            // of columns, -1 without tenants
	order       int            // of columns, -1 where the topic has the order
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

func newMapping(p *pipeline.Pipeline, placeholder *values.Placeholder) (*mapping, error) {
	made, err := recipe.New(p)
	if err != nil {
		return nil, err
	}
	m := &mapping{pipeline: p, recipe: made, identifying: len(p.Identifying()), index: map[string]int{}, tenant: -1, order: -1, placeholder: placeholder}
	m.recipeHash, _ = p.ItemRecipe()
	for i, name := range p.Fields() {
		m.columns = append(m.columns, column{name: name, quoted: values.Quote(name)})
		m.index[name] = i
	}
	for _, declared := range p.Properties {
		path, err := declared.Path()
		if err != nil {
			return nil, err
		}
		t := values.Declared(declared)
		if path.Rest == "" && declared.Parse == "" && (t.Kind != values.Undeclared || t.Items != nil) {
			m.columns[m.index[path.Column]].declared = t
		}
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
	if column := p.Source.OrderColumn(); column != "" {
		m.order = m.index[column]
	}
	return m, nil
}

// apply adds the documents of a change. Its error is permanent, and then the last
// document, if the item is known, is the mark that it failed.
func (m *mapping) apply(b *builder) error {
	b.place = b.home
	if b.change.Op == change.Delete {
		return m.delete(b)
	}
	c := b.change
	img := m.read(c)
	who, known := m.identify(img, c)
	if !known {
		if img.err != nil {
			return img.err
		}
		return m.unknown(c)
	}
	err := m.locate(b)
	was, shown := m.identifyBefore(c)
	column, other := m.otherAlone(img, c)
	switch {
	case err != nil:
	case other:
		err = fault.Reject(fault.MissingID, "one of row and key has a schema, and column %q is another value by it: a null value under this key would delete another item. "+
			"Have both carry their schemas (key.converter.schemas.enable), or map the column to a property with decimal or unit", column)
	case shown && !was.equal(who):
		b.add(m, was, record.Op_OP_DELETE)
	case !shown && m.hides(c):
		err = fault.Reject(fault.MissingID, "the key does not have all of the columns %q, and the update does not show what they were: it may leave another item behind. "+
			"Key the topic by them, or have the source send whole rows before (PostgreSQL: REPLICA IDENTITY FULL)", m.pipeline.Identifying())
	}
	if err == nil {
		err = m.upsert(b, who, img)
	}
	if err != nil {
		b.failed(m, who, err)
	}
	return err
}

func (m *mapping) delete(b *builder) error {
	c := b.change
	if column, found := m.contradicted(c); found {
		return fault.Reject(fault.MissingID, "the key and the row before the delete differ in column %q", column)
	}
	who, known := m.identify(nil, c)
	if !known && !m.repeats(c) {
		return m.unknown(c)
	}
	err := m.locate(b)
	switch {
	case known && err == nil:
		b.add(m, who, record.Op_OP_DELETE)
	case known && !m.repeats(c):
		b.failed(m, who, err)
		return err
	}
	return nil
}

// unknown says that a change names no item, and what there is.
func (m *mapping) unknown(c *change.Change) error {
	if c.Key.Err != nil {
		return c.Key.Err
	}
	row, there := c.After, ""
	if c.Op == change.Delete {
		row = c.Before
	}
	if row.Exists() {
		there = fmt.Sprintf("; the row has %q", columnsIn(row))
	}
	if c.Key.Object.Exists() {
		there += fmt.Sprintf("; the key has %q", columnsIn(c.Key.Object))
	}
	return fault.Reject(fault.MissingID, "neither the row nor the key has all of the columns %q%s", m.pipeline.Identifying(), there)
}

// columnsIn returns names of columns that are not null, for a letter to tell: few of them, and their beginnings, since
// those of a row without a schema may be anybody's.
func columnsIn(object gjson.Result) []string {
	const most, longest = 10, 64
	names := []string{}
	object.ForEach(func(name, value gjson.Result) bool {
		switch {
		case value.Type == gjson.Null:
		case len(names) == most:
			names = append(names, "…")
			return false
		default:
			names = append(names, strings.ToValidUTF8(name.Str[:min(len(name.Str), longest)], ""))
		}
		return true
	})
	return names
}

// upsert adds the document of a row. A row that when hides is deleted; but where the source may leave columns out, what
// is known of it is kept: the change that shows it again would not bring all of it.
func (m *mapping) upsert(b *builder, who identity, img *image) error {
	truth, field := m.recipe.Shown(img.row)
	hidden, partial := truth == pipeline.False, len(img.unavailable) > 0
	switch {
	case hidden && !partial && !m.partial(b.change):
		b.add(m, who, record.Op_OP_DELETE)
		return nil
	case hidden: // decides even where another column is of no use
		img.unavailable = append(img.unavailable, img.ill...)
		partial = len(img.unavailable) > 0
	case img.err != nil:
		return img.err
	case partial && truth == pipeline.Mistyped:
		return fault.Reject(fault.FieldType, "field %s does not compare with the value that when gives", field)
	}
	if partial {
		d := m.row(b, who, record.Op_OP_PARTIAL, img)
		d.Unavailable = img.unavailable
		switch {
		case hidden:
			b.weaken(d, aside)
		case truth == pipeline.Unknown:
			b.weaken(d, undecided)
		}
		if b.change.Created && !hidden { // PostgreSQL's new row of a changed key: it waits, and somebody must know
			return fault.Reject(fault.UnavailableValue, "the source left field %s out of a new row: only the row of the old key had it, and the item waits until a row shows it. "+
				"Have the field written anew (PostgreSQL: SET %[1]s = %[1]s || ''), or send the row by a backfill", img.unavailable[0])
		}
		return nil
	}
	made, err := m.recipe.Make(img.row)
	if err != nil {
		return err
	}
	d := m.row(b, who, record.Op_OP_UPSERT, img)
	if d.Text, d.Properties, d.Hidden = made.Text, made.Properties, made.Hidden; hidden {
		b.weaken(d, aside)
	}
	return nil
}

// row adds a document that carries the columns of a row.
func (m *mapping) row(b *builder, who identity, op record.Op, img *image) *record.Document {
	d := b.add(m, who, op)
	d.Inputs, d.Recipe, d.Oversize, d.Force = img.inputs(), m.recipeHash, m.recipe.Oversize(), b.change.Force
	return d
}

// partial reports whether the change's source leaves out columns that did not change.
func (m *mapping) partial(c *change.Change) bool {
	return c.Partial || c.Minimal || m.pipeline.Source.Partial
}

// identity says which item a change is about.
type identity struct {
	id     []string
	tenant string
}

func (i identity) equal(other identity) bool {
	return i.tenant == other.tenant && slices.Equal(i.id, other.id)
}
