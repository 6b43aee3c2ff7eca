package record

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"

	"github.com/tidwall/gjson"
)

// Older has the versions of the columns that the newest row of an item did not carry, by name: each below the
// item's Base. 0 is a column that is not known yet. It is never changed in place: states share it.
type Older map[string]int64

// unknown reports whether there is a column that is not known yet.
func (o Older) unknown() bool {
	for _, version := range o {
		if version == 0 {
			return true
		}
	}
	return false
}

// least returns the lowest version of a column, base where all are as new as that.
func (o Older) least(base int64) int64 {
	for _, version := range o {
		base = min(base, version)
	}
	return base
}

// judge says what a row below the newest one would do: fill in what was left out since.
func (o Older) judge(v *Vector) Taken {
	taken := Stale
	for column, version := range o {
		switch {
		case !v.GetDocument().carries(column) || version > v.GetVersion():
		case version < v.GetVersion():
			return TakenNew
		default:
			taken = TakenAgain
		}
	}
	return taken
}

// carries reports whether a row says what the column holds, be it nothing.
func (d *Document) carries(column string) bool { return !slices.Contains(d.GetUnavailable(), column) }

// Merged reports whether text, properties and Hidden are yet to be made of the columns: see Make.
func (s *State) Merged() bool { return s.unmade }

// Make gives a merged item what was made of its columns. fingerprint is that of the text, none for an item that is
// hidden. The mark that the text could not be embedded stays where it is the same text.
func (s *State) Make(hidden bool, text string, fingerprint []byte, properties []*Property) {
	if s.Refused() && !bytes.Equal(s.Wanted, fingerprint) {
		s.Failed = nil
	}
	s.unmade = false
	s.Hidden, s.Text, s.Wanted, s.Properties = hidden, text, fingerprint, properties
}

// merge takes the columns of a row that does not set all of the item: because it has only some, or because newer ones
// are there. What is made of the columns is to be made again.
func (s *State) merge(v *Vector) {
	d := v.GetDocument()
	old, row := columns(s.Inputs), columns(d.GetInputs())
	if v.GetVersion() >= s.Base {
		s.raise(v, old, row)
	} else {
		s.fill(v, old, row)
	}
	s.unmake()
}

// raise takes a partial row at or above Base: what it leaves out stays as it is, and is older than the row.
func (s *State) raise(v *Vector, old, row inputs) {
	d, older := v.GetDocument(), Older{}
	for _, column := range d.GetUnavailable() {
		value, known := old[column]
		if known {
			row[column] = value
		}
		version, listed := s.Older[column]
		if !listed && known {
			version = s.Base
		}
		if version < v.GetVersion() {
			older[column] = version
		}
	}
	s.Base, s.Older, s.Inputs = v.GetVersion(), older, row.encode()
	s.Recipe, s.Origin = d.GetRecipe(), d.GetOrigin()
}

// fill takes from a row below Base the columns that were left out since.
func (s *State) fill(v *Vector, old, row inputs) {
	older := maps.Clone(s.Older)
	for column, version := range s.Older {
		if version > v.GetVersion() || !v.GetDocument().carries(column) {
			continue
		}
		older[column] = v.GetVersion()
		old.take(row, column)
	}
	s.Older, s.Inputs = older, old.encode()
}

// sink drops the columns that are at or below the floor: they are of the row that was deleted.
func (s *State) sink() {
	dropped, older, old := false, maps.Clone(s.Older), inputs(nil)
	for column, version := range s.Older {
		if version == 0 || version > s.Floor {
			continue
		}
		if old == nil {
			old = columns(s.Inputs)
		}
		delete(old, column)
		dropped, older[column] = true, 0
	}
	if dropped {
		s.Older, s.Inputs = older, old.encode()
		s.unmake()
	}
}

// unmake says that the columns are not those any more of which text and properties were made.
func (s *State) unmake() {
	s.unmade = s.Known()
	if !s.unmade {
		s.Hidden, s.Text, s.Wanted, s.Properties = false, "", nil, nil
	}
	s.overtake()
}

// fillFrom takes from another copy of the item the columns that are newer there.
func (s *State) fillFrom(other *State) {
	older, filled := maps.Clone(s.Older), false
	own, others := inputs(nil), inputs(nil)
	for column, version := range s.Older {
		there, listed := other.Older[column]
		if !listed {
			there = other.Base
		}
		if there <= version {
			continue
		}
		if own == nil {
			own, others = columns(s.Inputs), columns(other.Inputs)
		}
		own.take(others, column)
		older[column], filled = there, true
	}
	if filled {
		s.Older, s.Inputs = older, own.encode()
		s.unmake()
	}
}

// inputs is an object of JSON: raw values by name.
type inputs map[string]string

func columns(object []byte) inputs {
	in := inputs{}
	gjson.ParseBytes(object).ForEach(func(name, value gjson.Result) bool {
		in[name.Str] = value.Raw
		return true
	})
	return in
}

// take gives a column the value that it has in other, be it none.
func (in inputs) take(other inputs, column string) {
	delete(in, column)
	if value, ok := other[column]; ok {
		in[column] = value
	}
}

// encode returns the object with its names in order.
func (in inputs) encode() []byte {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, name := range slices.Sorted(maps.Keys(in)) {
		if i > 0 {
			b.WriteByte(',')
		}
		quoted, err := json.Marshal(name)
		if err != nil { // not for a string
			continue
		}
		b.Write(quoted)
		b.WriteByte(':')
		b.WriteString(in[name])
	}
	b.WriteByte('}')
	return b.Bytes()
}
