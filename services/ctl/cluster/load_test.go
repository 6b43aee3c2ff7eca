package cluster_test

import (
	"fmt"
	"math/rand/v2"
	"strconv"

	"github.com/freshet-io/freshet/libs/record"
	"github.com/freshet-io/freshet/services/embed/hash"
)

const (
	items      = 1000
	dimensions = 64
	collection = "Product"
	class      = collection + "_g1"
)

// want is what must be known of an item at the end: the newest of all that was sent of it.
type want struct {
	version int64
	deleted bool
	name    string
	price   int64
}

// load makes up the changes of a shop, and knows what must be in the index after them. It shares nothing with the code
// under test but the records' fields.
type load struct {
	dice    *rand.Rand
	space   string
	version int64
	wants   []want           // by id
	late    []*record.Vector // bulk rows that live changes overtake
}

func newLoad(space string) *load {
	return &load{dice: rand.New(rand.NewPCG(5, 5)), space: space, wants: make([]want, items)}
}

func itemOf(id int) record.Item {
	return record.Item{Collection: collection, ID: []string{strconv.Itoa(id)}}
}

// first returns a row of each item: of every second one in bulk.
func (l *load) first() []*record.Vector {
	var all []*record.Vector
	for id := range items {
		if id%2 == 0 {
			all = append(all, bulk(l.row(id, l.name(id))))
		} else {
			all = append(all, l.row(id, l.name(id)))
		}
	}
	return all
}

// next returns some changes: a new text, a new price, a delete, an item again, or a bulk row. A bulk row comes later than
// its version says, so that it meets newer rows and tombstones.
func (l *load) next() []*record.Vector {
	id := l.dice.IntN(items)
	was := l.wants[id]
	switch roll := l.dice.IntN(10); {
	case was.deleted:
		return []*record.Vector{l.row(id, l.name(id))}
	case roll < 2:
		return []*record.Vector{l.gone(id), l.row(id, l.name(id))}
	case roll < 4:
		return []*record.Vector{l.gone(id)}
	case roll < 6:
		return []*record.Vector{l.row(id, was.name)}
	case roll < 8:
		return []*record.Vector{l.row(id, l.name(id))}
	}
	l.late = append(l.late, bulk(l.row(id, l.name(id))))
	if len(l.late) < 50 {
		return nil
	}
	return l.overdue()
}

// overdue returns the bulk rows that are still to come.
func (l *load) overdue() []*record.Vector {
	rows := l.late
	l.late = nil
	return rows
}

// name is another one each time, so that no two items have one vector.
func (l *load) name(id int) string { return fmt.Sprintf("item %d as of %d", id, l.version) }

func (l *load) change(op record.Op, id int) *record.Vector {
	l.version++
	return &record.Vector{
		Version: l.version, VersionOrigin: record.VersionOrigin_VERSION_ORIGIN_LOG, State: record.VectorState_VECTOR_STATE_NONE,
		Document: &record.Document{
			Op: op, Collection: collection, Id: itemOf(id).ID,
			Sources: []*record.SourceOrder{{Source: "shop", Order: []uint64{uint64(l.version)}}}, //nolint:gosec // positive
		},
	}
}

func (l *load) gone(id int) *record.Vector {
	v := l.change(record.Op_OP_DELETE, id)
	l.wants[id] = want{version: l.version, deleted: true}
	return v
}

func (l *load) row(id int, name string) *record.Vector {
	v := l.change(record.Op_OP_UPSERT, id)
	price := l.dice.Int64N(1000)
	d := v.GetDocument()
	d.Text, d.Inputs, d.Recipe = name, []byte(`{}`), []byte{1}
	d.Properties = []*record.Property{
		{Name: "name", Value: &record.Value{Kind: &record.Value_Text{Text: name}}},
		{Name: "price", Value: &record.Value{Kind: &record.Value_Integer{Integer: price}}},
	}
	v.State, v.Space, v.Fingerprint = record.VectorState_VECTOR_STATE_PRESENT, l.space, record.Fingerprint(l.space, name)
	v.Vector = vectorOf(name)
	l.wants[id] = want{version: l.version, name: name, price: price}
	return v
}

func vectorOf(name string) []byte { return record.AppendVector(nil, hash.Vector(name, dimensions)) }

func bulk(v *record.Vector) *record.Vector {
	v.VersionOrigin, v.Document.Sources = record.VersionOrigin_VERSION_ORIGIN_STAMP, nil
	return v
}
