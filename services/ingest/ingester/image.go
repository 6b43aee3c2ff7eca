package ingester

import (
	"strings"

	"github.com/tidwall/gjson"

	"github.com/freshet-io/freshet/libs/fault"
	"github.com/freshet-io/freshet/libs/pipeline"
	"github.com/freshet-io/freshet/libs/values"
	"github.com/freshet-io/freshet/services/ingest/change"
)

// image is the columns of a row that a pipeline reads, normalised.
type image struct {
	mapping     *mapping
	row         pipeline.Row // in the order of the pipeline's columns; absent ones are not in it
	unavailable []string     // the columns that the source left out
	ill         []string     // the columns that could not be normalised
	err         error        // of the first of them
}

// read takes the pipeline's columns out of a change's row. A column that the
// source left out comes from before where that has it; null there means nothing,
// because what was left out was too long to be null.
func (m *mapping) read(c *change.Change) *image {
	picked := m.pick(c.After, len(m.columns))
	img := &image{mapping: m, row: picked[:0]} // what is added is never ahead of what is read
	var before pipeline.Row
	for i := range m.columns {
		v := picked[i].Value
		if m.leftOut(v, c) {
			if before == nil {
				before = m.pick(c.Before, len(m.columns))
			}
			if v = m.fromBefore(before[i].Value, c); !v.Exists() {
				img.unavailable = append(img.unavailable, m.columns[i].name)
				continue
			}
		}
		img.add(i, v, c)
	}
	return img
}

// leftOut reports whether the source left a column of the row out because it did not change.
func (m *mapping) leftOut(v gjson.Result, c *change.Change) bool {
	if !v.Exists() {
		return c.Minimal || c.Changed && m.pipeline.Source.Partial
	}
	return m.placeholder.Is(v)
}

// fromBefore returns what before says of a column that was left out, nothing where that is
// nothing. Where before has what changed, the column is in it because it became null.
func (m *mapping) fromBefore(v gjson.Result, c *change.Change) gjson.Result {
	switch {
	case c.Changed && v.Exists():
		return null
	case v.Type == gjson.Null || m.placeholder.Is(v):
		return gjson.Result{}
	}
	return v
}

var null = gjson.Result{Type: gjson.Null, Raw: "null"}

func (img *image) add(i int, v gjson.Result, c *change.Change) {
	col := &img.mapping.columns[i]
	if !v.Exists() {
		if col.asked && c.Sparse {
			img.row = append(img.row, pipeline.Column{Name: col.name, Value: null})
		}
		return
	}
	normal, err := values.Normalise(v, col.typeIn(c))
	if err != nil {
		img.ill = append(img.ill, col.name)
		if img.err == nil {
			img.err = fault.Reject(fault.FieldType, "field %s %w", col.name, err)
		}
		return
	}
	img.row = append(img.row, pipeline.Column{Name: col.name, Value: normal})
}

// pick returns the first n of the pipeline's columns, their values as an object has them or nothing. It reads no further than
// it must: rows are long, and what identifies them comes first.
func (m *mapping) pick(object gjson.Result, n int) pipeline.Row {
	picked, missing := make(pipeline.Row, n), n
	object.ForEach(func(name, value gjson.Result) bool {
		if i, wanted := m.index[name.Str]; wanted && i < n && !picked[i].Value.Exists() {
			picked[i] = pipeline.Column{Name: name.Str, Value: value}
			missing--
		}
		return missing > 0
	})
	return picked
}

// inputs returns the row as a JSON object: Document.inputs.
func (img *image) inputs() []byte {
	size := 2
	for i := range img.row {
		size += len(img.row[i].Name) + len(img.row[i].Value.Raw) + 4
	}
	b := append(make([]byte, 0, size), '{')
	for i := range img.row {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, img.mapping.columns[img.mapping.index[img.row[i].Name]].quoted...)
		b = append(b, ':')
		b = append(b, img.row[i].Value.Raw...)
	}
	return append(b, '}')
}

func (img *image) get(i int) gjson.Result {
	return img.row.Get(pipeline.Path{Column: img.mapping.columns[i].name})
}

// identify returns the item of a change: of its row where there is one, else of
// its key, else of what before shows. It reports false where a part is missing.
func (m *mapping) identify(img *image, c *change.Change) (identity, bool) {
	key := m.key(c)
	var before pipeline.Row
	return m.identity(func(i int) gjson.Result {
		if img != nil {
			if v := img.get(i); v.Type != gjson.Null {
				return v
			}
		}
		if v := key(i); v.Type != gjson.Null {
			return v
		}
		if img != nil || !c.Before.Exists() {
			return gjson.Result{}
		}
		if before == nil {
			before = m.pick(c.Before, m.identifying)
		}
		return m.shown(i, before[i].Value, c)
	})
}

// identifyBefore returns the item that the row was before an update. It reports
// false where before does not show all of it.
func (m *mapping) identifyBefore(c *change.Change) (identity, bool) {
	if !c.Before.Exists() {
		return identity{}, false
	}
	before := m.pick(c.Before, m.identifying)
	var after pipeline.Row
	if c.Changed {
		after = m.pick(c.After, m.identifying)
	}
	return m.identity(func(i int) gjson.Result {
		if c.Changed && !before[i].Value.Exists() {
			return m.shown(i, after[i].Value, c)
		}
		return m.shown(i, before[i].Value, c)
	})
}

// shown returns a value of before, unless it may be the default of its type in
// place of a value that was not logged. Of a table without a key PostgreSQL logs nothing, or all; but rows may have lost
// their keys since, so that this holds for envelopes alone.
func (m *mapping) shown(i int, v gjson.Result, c *change.Change) gjson.Result {
	defaulted := c.Defaulted && (!c.Partial || !c.Key.Null())
	if m.placeholder.Is(v) || defaulted && isDefault(v) {
		return gjson.Result{}
	}
	normal := normalOrNothing(v, m.columns[i].typeIn(c))
	if defaulted && isDefault(normal) { // a decimal shows its zero as bytes
		return gjson.Result{}
	}
	return normal
}

func isDefault(v gjson.Result) bool {
	return v.Type == gjson.False || v.Type == gjson.String && v.Str == "" || v.Type == gjson.Number && isZero(v)
}

func isZero(v gjson.Result) bool {
	digits, ok := pipeline.CanonicalNumber(v.Raw)
	return ok && digits == "0"
}

// normalOrNothing returns a normalised value, or nothing where it cannot be.
func normalOrNothing(v gjson.Result, t values.Type) gjson.Result {
	normal, err := values.Normalise(v, t)
	if err != nil {
		return gjson.Result{}
	}
	return normal
}

// key returns the values of the key's columns. A key that is one value is the id
// where that has one column.
func (m *mapping) key(c *change.Change) func(i int) gjson.Result {
	var picked pipeline.Row
	return func(i int) gjson.Result {
		switch {
		case c.Key.Object.Exists():
			if picked == nil {
				picked = m.pick(c.Key.Object, m.identifying)
			}
			return normalOrNothing(picked[i].Value, m.columns[i].typeInKey(c))
		case c.Key.Text != "" && len(m.id) == 1 && i == m.id[0] && i != m.tenant:
			return singleKey(c.Key, m.columns[i].typeInKey(c))
		}
		return gjson.Result{}
	}
}

// singleKey reads a key of one value. Without a type that asks for a number, its
// digits stay as they stand: they may be somebody's text.
func singleKey(key change.Key, t values.Type) gjson.Result {
	v := gjson.Result{Type: gjson.String, Str: key.Text}
	switch t.Kind {
	case values.Undeclared, values.Plain, values.Text, values.Bytes:
		return v
	case values.Decimal, values.Days, values.Instant, values.Magnitude, values.TimeOfDay, values.Zoned, values.Number, values.Bits:
	}
	if key.Number {
		v = gjson.Result{Type: gjson.Number, Raw: key.Text}
	}
	return normalOrNothing(v, t)
}

// otherAlone returns a column of the item's identity of which the key gives the row's value where it is read by the row's types, and
// another one where it comes with a null value, alone. It matters where no event before the null value says that the row is
// deleted. A key of something else than the item is no such key, whatever it is read by.
func (m *mapping) otherAlone(img *image, c *change.Change) (column string, found bool) {
	if m.saysDeletes() {
		return "", false
	}
	alone, beside := &change.Change{Key: c.Key}, &change.Change{Key: c.Key, Schema: c.Schema}
	beside.Key.Schema = nil
	asNull, asRow := m.key(alone), m.key(beside)
	for i := range m.identifying {
		if m.columns[i].typeInKey(alone) == m.columns[i].typeIn(c) {
			continue
		}
		inRow, shown := values.IDPart(img.get(i))
		own, _ := values.IDPart(asRow(i))
		if read, _ := values.IDPart(asNull(i)); shown && own == inRow && read != inRow {
			return m.columns[i].name, true
		}
	}
	return "", false
}

// contradicted returns a column of the item's identity for which the key of a
// delete and before show different values: one of them is of another item, and
// deleting the wrong one would lose it.
func (m *mapping) contradicted(c *change.Change) (column string, found bool) {
	if !c.Before.Exists() {
		return "", false
	}
	key, before := m.key(c), m.pick(c.Before, m.identifying)
	for i := range m.identifying {
		ofKey, inKey := values.IDPart(key(i))
		ofBefore, inBefore := values.IDPart(m.shown(i, before[i].Value, c))
		if inKey && inBefore && ofKey != ofBefore {
			return m.columns[i].name, true
		}
	}
	return "", false
}

func (m *mapping) identity(value func(i int) gjson.Result) (who identity, known bool) {
	who.id = make([]string, len(m.id))
	for n, i := range m.id {
		part, ok := values.IDPart(value(i))
		if !ok {
			return identity{}, false
		}
		who.id[n] = part
	}
	if strings.Join(who.id, "") == "" {
		return identity{}, false
	}
	if m.tenant >= 0 {
		tenant, ok := values.IDPart(value(m.tenant))
		if !ok || tenant == "" {
			return identity{}, false
		}
		who.tenant = tenant
	}
	return who, true
}
