package writer_test

import (
	"math"
	"math/rand/v2"
	"strconv"

	"github.com/freshet-io/freshet/libs/record"
	"github.com/freshet-io/freshet/services/write/writer"
)

// What an index is tried with: a collection with the properties name (text) and price (int).
const (
	space      = "hash:test:32"
	dimensions = 32
	collection = "Product"
)

// config is that of a writer into collection.
func config() writer.Config {
	return writer.Config{Collections: map[string]writer.Collection{collection: {Space: space, Dimensions: dimensions}}, Remembered: 1 << 20}
}

// itemOf returns an item of collection.
func itemOf(id string) record.Item { return record.Item{Collection: collection, ID: []string{id}} }

// vectorOf is a direction that is a function of the text, so that a mix-up shows.
func vectorOf(text string) []byte {
	seed := record.Fingerprint(space, text)
	r := rand.New(rand.NewPCG(uint64(seed[0])<<8|uint64(seed[1]), uint64(seed[2])<<8|uint64(seed[3])))
	v := make([]float32, dimensions)
	for i := range v {
		v[i] = float32(r.NormFloat64())
	}
	return record.AppendVector(nil, v)
}

// cosine of two vectors in bytes.
func cosine(a, b []byte) float64 {
	x, _ := record.ParseVector(a)
	y, _ := record.ParseVector(b)
	var xy, xx, yy float64
	for i := range x {
		xy += float64(x[i]) * float64(y[i])
		xx += float64(x[i]) * float64(x[i])
		yy += float64(y[i]) * float64(y[i])
	}
	return xy / math.Sqrt(xx*yy)
}

// of returns a record that says nothing but its op, from a source that is a log.
func of(op record.Op, id string, version int64) *record.Vector {
	return &record.Vector{
		Version: version, VersionOrigin: record.VersionOrigin_VERSION_ORIGIN_LOG, State: record.VectorState_VECTOR_STATE_NONE,
		Document: &record.Document{
			Op: op, Collection: collection, Id: []string{id},
			Sources: []*record.SourceOrder{{Source: "shop", Order: []uint64{0, uint64(version)}}}, //nolint:gosec // positive
		},
	}
}

// row is a whole row whose text is its name; price is a property outside the text.
func row(id string, version int64, name string, price int64) *record.Vector {
	v := of(record.Op_OP_UPSERT, id, version)
	d := v.GetDocument()
	d.Text = name
	d.Inputs = []byte(`{"name":` + strconv.Quote(name) + `}`)
	d.Recipe = []byte{1, 2, 3, 4}
	d.Properties = []*record.Property{
		{Name: "name", Value: &record.Value{Kind: &record.Value_Text{Text: name}}},
		{Name: "price", Value: &record.Value{Kind: &record.Value_Integer{Integer: price}}},
	}
	v.State, v.Space, v.Fingerprint, v.Vector = record.VectorState_VECTOR_STATE_PRESENT, space, record.Fingerprint(space, name), vectorOf(name)
	return v
}

// pending is a row whose vector follows later.
func pending(id string, version int64, name string, price int64) *record.Vector {
	v := row(id, version, name, price)
	v.State, v.Space, v.Vector = record.VectorState_VECTOR_STATE_PENDING, "", nil
	return v
}

// remove returns a delete.
func remove(id string, version int64) *record.Vector { return of(record.Op_OP_DELETE, id, version) }

// failed returns the mark of a change that is a dead letter elsewhere.
func failed(id string, version int64) *record.Vector {
	v := of(record.Op_OP_FAILED, id, version)
	v.Document.Failed = &record.Failure{Reason: "oversize"}
	return v
}

// late gives a record an older source order than its version says.
func late(v *record.Vector, order uint64) *record.Vector {
	v.Document.Sources[0].Order = []uint64{0, order}
	return v
}

// bulk makes a record one of the bulk lane: judged by its version alone.
func bulk(v *record.Vector) *record.Vector {
	v.VersionOrigin = record.VersionOrigin_VERSION_ORIGIN_STAMP
	v.Document.Sources = nil
	return v
}
