package ingester

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/freshet-io/freshet/libs/record"
	"github.com/freshet-io/freshet/libs/stage"
	"github.com/freshet-io/freshet/services/ingest/change"
	"github.com/freshet-io/freshet/services/ingest/intake"
)

// Try implements intake.Mapper: a record is handled as the stage will have it.
func (in *Ingester) Try(topic string, key, value []byte) intake.Trial {
	return trialOf(key, in.handle(&stage.Record{Topic: topic, Key: key, Value: value}))
}

// TryRow implements intake.Mapper. The key is an object of the columns of id and tenant: all rows of an item have one, however
// they write its id. The row is decoded once for the key and for what becomes of it.
func (in *Ingester) TryRow(pipeline, topic string, row []byte) intake.Trial {
	t := in.topic(topic)
	changes, err := in.decode(row, change.Key{}, t)
	var key []byte
	if i := slices.IndexFunc(t.mappings, func(m *mapping) bool { return m.pipeline.Name == pipeline }); i >= 0 && err == nil {
		key = t.mappings[i].rowKey(&changes[0])
	}
	opened := change.OpenKey(key, in.limits, &in.schemas)
	for i := range changes {
		changes[i].Key = opened
	}
	return trialOf(key, in.become(&stage.Record{Topic: topic, Key: key, Value: row}, t, changes, err))
}

func trialOf(key []byte, outcome stage.Outcome[*record.Document]) intake.Trial {
	trial := intake.Trial{Key: key, Err: outcome.Err}
	if n := len(outcome.Out); n > 0 {
		trial.ID = strings.Join(outcome.Out[n-1].GetId(), "+")
	} else {
		trial.Label = outcome.Label
	}
	return trial
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
		parts[m.columns[m.tenant].name] = who.tenant
	}
	key, err := json.Marshal(parts) // sorted by column
	if err != nil {
		return nil
	}
	return key
}
