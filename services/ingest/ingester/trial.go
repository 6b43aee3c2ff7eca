package ingester

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/freshet-io/freshet/libs/stage"
	"github.com/freshet-io/freshet/services/ingest/change"
)

// Try tells what would become of a record of a topic, before it is written there: it has the record handled as the stage
// will have it. id is that of its last item, the parts of a composite one joined by +, "" where none is known. label says
// why the record would be skipped, "" where it would not. The error is that of its dead letter, permanent.
func (in *Ingester) Try(topic string, key, value []byte) (id, label string, err error) {
	outcome := in.handle(&stage.Record{Topic: topic, Key: key, Value: value})
	if n := len(outcome.Out); n > 0 {
		id = strings.Join(outcome.Out[n-1].GetId(), "+")
	} else {
		label = outcome.Label
	}
	return id, label, outcome.Err
}

// RowKey returns the key under which a row of a pipeline's topic is written, an object of the columns of id and tenant: all
// rows of an item have one, however they write its id. It is nil where the row does not name its item.
func (in *Ingester) RowKey(pipeline, topic string, row []byte) []byte {
	i := slices.IndexFunc(in.mappings, func(m *mapping) bool { return m.pipeline.Name == pipeline })
	changes, err := in.decode(row, change.Key{}, in.topic(topic))
	if i < 0 || err != nil {
		return nil
	}
	return in.mappings[i].rowKey(&changes[0])
}

func (m *mapping) rowKey(c *change.Change) []byte {
	row := c.After
	if c.Op == change.Delete {
		row = c.Before
	}
	picked := m.pick(row)
	who, known := m.identity(func(i int) gjson.Result { return normalOrNothing(picked[i], m.columns[i].typeIn(c)) })
	if !known {
		return nil
	}
	parts := map[string]string{}
	for n, i := range m.id {
		parts[m.columns[i].name] = who.id[n]
	}
	if m.tenant >= 0 {
		parts[m.columns[m.tenant].name] = cmp.Or(parts[m.columns[m.tenant].name], who.tenant)
	}
	key, err := json.Marshal(parts) // sorted by column
	if err != nil {
		return nil
	}
	return key
}
