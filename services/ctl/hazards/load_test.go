package hazards_test

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"

	"github.com/twmb/franz-go/pkg/kgo"
	"google.golang.org/protobuf/proto"

	"github.com/freshet-io/freshet/libs/kafka"
	"github.com/freshet-io/freshet/libs/record"
	"github.com/freshet-io/freshet/libs/weaviate"
	"github.com/freshet-io/freshet/services/embed/hash"
)

const (
	collection = "Product"
	dimensions = 128
	space      = "hash/hash/128"
)

// pipelineFile is one of which write needs the collection alone.
var pipelineFile = fmt.Sprintf(`apiVersion: freshet/v1
space: {provider: hash, model: hash, dimensions: %d}
pipelines:
- name: products
  source: {topics: [unused], format: rows}
  collection: %s
  id: {from: [id]}
  text: {template: "{{name}}"}
  properties: [{name: name, type: text}, {name: price, type: int}]
`, dimensions, collection)

// load is a history of items in both lanes, and what it must come to.
type load struct {
	dice    *rand.Rand
	version int64
	states  map[string]*record.State // by id
	sent    []*kgo.Record
}

func newLoad() *load {
	return &load{dice: rand.New(rand.NewPCG(1, 2)), states: map[string]*record.State{}} //nolint:gosec // a test's chance
}

// next returns one more change: mostly of new items, for the others a new text, a new price, a
// delete, or a bulk row that comes late.
func (l *load) next(topics kafka.Topics, partitions int32) *kgo.Record {
	l.version += 10
	id, topic := strconv.Itoa(len(l.states)+1), topics.VectorsLive()
	if known := len(l.states); known > 0 && l.dice.IntN(2) == 0 {
		id = strconv.Itoa(1 + l.dice.IntN(known))
	}
	v := row(id, l.version, fmt.Sprintf("item %s as of %d", id, l.version), 1)
	state, roll := l.states[id], l.dice.IntN(10)
	switch {
	case state == nil && roll > 0:
	case state == nil || roll < 4: // below the newest versions of its item, or a moment before them
		v, topic = bulk(id, max(1, l.version-5-10*l.dice.Int64N(40))), topics.VectorsBulk()
	case roll < 5:
		v = change(record.Op_OP_DELETE, id, l.version)
	case roll < 8 && state.Live():
		v = row(id, l.version, state.Text, l.version)
	}
	if l.states[id] == nil {
		l.states[id] = &record.State{Sources: record.Orders{}}
	}
	l.states[id].Take(v)
	key := itemOf(id).Key()
	value, _ := proto.Marshal(v) // it has no field that could fail
	r := &kgo.Record{Topic: topic, Partition: record.Partition(key, partitions), Key: key, Value: value}
	l.sent = append(l.sent, r)
	return r
}

func itemOf(id string) record.Item { return record.Item{Collection: collection, ID: []string{id}} }

func change(op record.Op, id string, version int64) *record.Vector {
	return &record.Vector{
		Version: version, VersionOrigin: record.VersionOrigin_VERSION_ORIGIN_LOG, State: record.VectorState_VECTOR_STATE_NONE,
		Document: &record.Document{
			Op: op, Collection: collection, Id: []string{id},
			Sources: []*record.SourceOrder{{Source: "shop", Order: []uint64{uint64(version)}}}, //nolint:gosec // positive
		},
	}
}

func row(id string, version int64, text string, price int64) *record.Vector {
	v := change(record.Op_OP_UPSERT, id, version)
	v.Document.Text, v.Document.Inputs, v.Document.Recipe = text, []byte(`{}`), []byte{1}
	v.Document.Properties = []*record.Property{
		{Name: "name", Value: &record.Value{Kind: &record.Value_Text{Text: text}}},
		{Name: "price", Value: &record.Value{Kind: &record.Value_Integer{Integer: price}}},
	}
	v.State, v.Space, v.Fingerprint = record.VectorState_VECTOR_STATE_PRESENT, space, record.Fingerprint(space, text)
	v.Vector = record.AppendVector(nil, hash.Vector(text, dimensions))
	return v
}

func bulk(id string, version int64) *record.Vector {
	v := row(id, version, fmt.Sprintf("item %s in bulk, as of %d", id, version), 1)
	v.VersionOrigin, v.Document.Sources = record.VersionOrigin_VERSION_ORIGIN_STAMP, nil
	return v
}

// verdict is what has become of the items, a line for each that is not as it must be.
type verdict struct {
	items                int
	lost, stale, unfound []string
}

// judge compares one item with what it must be, and reports whether it must be found.
func (v *verdict) judge(id string, want *record.State, got weaviate.Stored) (found bool) {
	v.items++
	s := got.State
	switch {
	case !want.Live():
		if got.Main {
			v.stale = append(v.stale, fmt.Sprintf("%s is deleted by %d and there, as of %d", id, want.Floor, s.Base))
		} else if s.Floor != want.Floor {
			v.lost = append(v.lost, fmt.Sprintf("%s has no tombstone of %d: %d", id, want.Floor, s.Floor))
		}
		return false
	case !got.Main:
		v.lost = append(v.lost, fmt.Sprintf("%s is not there: it must be as of %d", id, want.Base))
		return false
	case s.Base != want.Base || s.Text != want.Text || priceOf(s) != priceOf(*want) || !bytes.Equal(s.Held, want.Held) || cosine(s.Vector, want.Vector) < 0.99999:
		v.stale = append(v.stale, fmt.Sprintf("%s is as of %d, price %d, and must be as of %d, price %d", id, s.Base, priceOf(s), want.Base, priceOf(*want)))
	}
	return true
}

func priceOf(s record.State) int64 {
	for _, p := range s.Properties {
		if p.GetName() == "price" {
			return p.GetValue().GetInteger()
		}
	}
	return 0
}

func cosine(a, b []byte) float64 {
	x, errX := record.ParseVector(a)
	y, errY := record.ParseVector(b)
	if errX != nil || errY != nil || len(x) != len(y) {
		return 0
	}
	var xy, xx, yy float64
	for i := range x {
		xy, xx, yy = xy+float64(x[i])*float64(y[i]), xx+float64(x[i])*float64(x[i]), yy+float64(y[i])*float64(y[i])
	}
	return xy / math.Sqrt(xx*yy)
}
