package selftest

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"time"

	"github.com/freshet-io/freshet/libs/pipeline"
	"github.com/freshet-io/freshet/services/ingest/rows"
)

type event struct{ key, value []byte }

// table has what an event of each format says beside its row.
type table struct {
	pipeline *pipeline.Pipeline
	format   pipeline.Format
}

// event returns the change by which a row comes, or goes, as the format has it. The key has the columns of id and tenant: two
// changes of one row come to one partition.
func (t table) event(row map[string]any, deleted bool, at time.Time) (event, error) {
	key := map[string]any{}
	for _, column := range t.pipeline.Identifying() {
		key[column] = row[column]
	}
	k, err := json.Marshal(key)
	if err != nil {
		return event{}, fmt.Errorf("writing the canary's key: %w", err)
	}
	v, err := json.Marshal(t.value(row, deleted, at))
	if err != nil {
		return event{}, fmt.Errorf("writing the canary: %w", err)
	}
	return event{k, v}, nil
}

func (t table) value(row map[string]any, deleted bool, at time.Time) map[string]any {
	match := t.pipeline.Match
	switch t.format {
	case pipeline.Rows:
		marked := maps.Clone(row)
		prefix := cmp.Or(t.pipeline.Source.Prefix, rows.DefaultPrefix)
		for name, value := range map[string]string{"db": match.DB, "schema": match.Schema, "table": match.Table} {
			if value != "" {
				marked[prefix+name] = value
			}
		}
		marked[prefix+"op"] = pick(deleted, "d", "c")
		return marked
	case pipeline.Canal:
		return map[string]any{
			"type": pick(deleted, "DELETE", "INSERT"), "database": match.DB, "table": match.Table, "isDdl": false, "sql": "",
			"es": at.UnixMilli(), "ts": at.UnixMilli(), "data": []any{row}, "old": nil,
		}
	case pipeline.Maxwell:
		return map[string]any{"type": pick(deleted, "delete", "insert"), "database": match.DB, "table": match.Table, "ts": at.Unix(), "data": row}
	case pipeline.Debezium, pipeline.Auto:
	}
	e := map[string]any{
		"before": nil, "after": row, "op": pick(deleted, "d", "c"), "ts_ms": at.UnixMilli(),
		"source": map[string]any{"connector": nameText, "db": match.DB, "schema": match.Schema, "table": match.Table, "ts_ms": at.UnixMilli(), "ts_us": at.UnixMicro()},
	}
	if deleted {
		e["before"], e["after"] = row, nil
	}
	return e
}

func pick(deleted bool, yes, no string) string {
	if deleted {
		return yes
	}
	return no
}
