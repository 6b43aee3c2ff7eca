package ingester

import (
	"encoding/hex"
	"slices"
	"strconv"
	"time"

	"github.com/tidwall/gjson"

	"github.com/freshet-io/freshet/libs/fault"
	"github.com/freshet-io/freshet/libs/pipeline"
	"github.com/freshet-io/freshet/libs/record"
	"github.com/freshet-io/freshet/libs/stage"
	"github.com/freshet-io/freshet/libs/values"
	"github.com/freshet-io/freshet/services/ingest/change"
)

// place is where a change stands in its source; a document's order is that and the ordinal
// of the document among those of the record.
type place struct {
	source string
	order  []uint64
}

func (p place) of(ordinal int) []*record.SourceOrder {
	return []*record.SourceOrder{{Source: p.source, Order: append(slices.Clone(p.order), uint64(ordinal))}} //nolint:gosec // not negative
}

// SourceName returns the name under which a partition's orders are kept: it
// follows the topic's id, so that a topic made anew is another source.
func SourceName(topicID [16]byte, partition int32) string {
	return hex.EncodeToString(topicID[:]) + "/" + strconv.Itoa(int(partition))
}

// inPartition is the place of a record in its partition.
func inPartition(r *stage.Record, rewind func(string) uint64) place {
	source := SourceName(r.TopicID, r.Partition)
	order := record.KafkaOrder(rewind(source), r.LeaderEpoch, r.Offset, 0)
	return place{source: source, order: order[:len(order)-1]}
}

// inOrder is the place of a change by the column that says so: one source for all
// partitions. Behind its value stands whether the row is deleted, because a delete shows the
// value of the last change before it; and then the offset, so that there are no two of one
// place, which counts only among changes of one value.
func (m *mapping) inOrder(b *builder) (place, error) {
	column := &m.columns[m.order]
	value, ok := rank(m.shownOrder(b.change))
	if !ok {
		return place{}, fault.Reject(fault.MissingID, "the change has no whole number and no time in column %q, which source.order names", column.name)
	}
	source, deleted := hex.EncodeToString(b.record.TopicID[:])+"/"+column.name, uint64(0)
	if b.change.Op == change.Delete {
		deleted = 1
	}
	return place{source: source, order: []uint64{b.rewind(source), value, deleted, uint64(b.record.Offset)}}, nil //nolint:gosec // not negative
}

// shownOrder returns the order's column of the row, or of the row that was deleted.
func (m *mapping) shownOrder(c *change.Change) gjson.Result {
	return normalOrNothing(m.pick(c.Row(), len(m.columns))[m.order].Value, m.columns[m.order].typeIn(c))
}

// rank returns a number that rises with a value.
func rank(v gjson.Result) (uint64, bool) {
	if text, ok := values.IDPart(v); ok {
		if n, err := strconv.ParseUint(text, 10, 64); err == nil {
			return n, true
		}
	}
	if at, err := values.Time(v); err == nil && at.After(time.Unix(0, 0)) && at.Year() < 2262 {
		return uint64(at.UnixNano()), true //nolint:gosec // after 1970
	}
	return 0, false
}

// locate finds the place of the change in its source, for the documents to come. It is an error where nothing says so:
// two changes of an item in two partitions may overtake each other.
func (m *mapping) locate(b *builder) error {
	switch {
	case m.order >= 0:
		at, err := m.inOrder(b)
		if err == nil {
			b.place = at
		}
		return err
	case m.pipeline.Source.Ordered || !b.partitioned || m.namesItem(b.change):
		return nil // b has it at home
	}
	return fault.Reject(fault.MissingID, "the key is not that of the item, by columns of id and tenant and no others, and the topic has several partitions, so that changes of it may overtake each other: "+
		"key the topic by the columns of id, or give pipeline %s a source.order (a column that rises with each change), or source.ordered", m.pipeline.Name)
}

// namesItem reports whether all changes of an item have one key: it has columns of id and tenant, and no others, in which a row
// may change: its delete under the old key then comes after its insert under the new one. One value is the id, unless the row
// has another.
func (m *mapping) namesItem(c *change.Change) bool {
	switch {
	case c.Key.Object.Exists():
		return m.keyHasOnly(c.Key.Object)
	case c.Key.Text != "":
		return len(m.id) == 1 && m.keyIs(c, m.id[0])
	}
	return c.Key.Err != nil // reported where it matters
}

// keyIs reports whether a key of one value is what the row has in a column, if it has it.
func (m *mapping) keyIs(c *change.Change, column int) bool {
	own, has := values.IDPart(m.shown(column, m.pick(c.Row(), m.identifying)[column].Value, c))
	if !has || own == c.Key.Text {
		return true
	}
	if text, _ := values.IDPart(singleKey(c.Key, m.columns[column].typeInKey(c))); text == own {
		return true
	}
	digits, number := pipeline.CanonicalNumber(c.Key.Text) // 7.0 is 7
	return number && digits == own
}

func (m *mapping) keyHas(c *change.Change, columns []int) bool {
	key := m.pick(c.Key.Object, m.identifying)
	return !slices.ContainsFunc(columns, func(i int) bool { return !key[i].Value.Exists() })
}

func (m *mapping) keyHasOnly(key gjson.Result) bool {
	columns, only := 0, true
	key.ForEach(func(name, _ gjson.Result) bool {
		i, read := m.index[name.Str]
		columns++
		only = read && i < m.identifying
		return only
	})
	return only && columns > 0
}

// hides reports whether an update may have changed the item's id or tenant, and nothing says
// from what: it is not in the key, and the row before is not shown.
func (m *mapping) hides(c *change.Change) bool {
	if !c.Updated || c.Key.Null() || c.Key.Err != nil {
		return false
	}
	if !c.Key.Object.Exists() { // a single value
		return len(m.id) > 1 || m.tenant >= 0
	}
	return !m.keyHas(c, m.id) || m.tenant >= 0 && !m.keyHas(c, []int{m.tenant})
}
