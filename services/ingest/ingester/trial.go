package ingester

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/freshet-io/freshet/libs/stage"
	"github.com/freshet-io/freshet/services/ingest/change"
	"github.com/freshet-io/freshet/services/ingest/intake"
	"github.com/freshet-io/freshet/services/ingest/rows"
)

// Try implements intake.Mapper: a record is handled as the stage will have it.
func (in *Ingester) Try(ctx context.Context, topic string, key, value []byte) (intake.Trial, error) {
	outcomes, err := in.Handle(ctx, []Change{{stage.Record{Topic: topic, Key: key, Value: value}}})
	if err != nil {
		return intake.Trial{}, err
	}
	trial := intake.Trial{Key: key, Err: outcomes[0].Err}
	if n := len(outcomes[0].Out); n > 0 {
		trial.ID = strings.Join(outcomes[0].Out[n-1].GetId(), "+")
	} else {
		trial.Label = outcomes[0].Label
	}
	return trial, nil
}

// TryRow implements intake.Mapper. The key is an object of the columns of id and tenant: all rows of an item have one, however
// they write its id.
func (in *Ingester) TryRow(ctx context.Context, pipeline, topic string, row []byte) (intake.Trial, error) {
	var key []byte
	if i := slices.IndexFunc(in.mappings, func(m *mapping) bool { return m.pipeline.Name == pipeline }); i >= 0 {
		key = in.mappings[i].rowKey(in, row)
	}
	return in.Try(ctx, topic, key, row)
}

// rowKey reads no more of a row than its key is made of. Whether it is JSON at all, and of use, the trial says.
func (m *mapping) rowKey(in *Ingester, row []byte) []byte {
	c, _ := rows.Decode(change.Body{Object: gjson.ParseBytes(row)}, &in.schemas, cmp.Or(m.pipeline.Source.Prefix, rows.DefaultPrefix))
	picked := m.pick(c.Row(), m.identifying)
	who, known := m.identity(func(i int) gjson.Result { return normalOrNothing(picked[i].Value, m.columns[i].typeIn(&c)) })
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
