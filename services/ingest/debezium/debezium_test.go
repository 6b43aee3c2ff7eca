package debezium_test

import (
	"testing"

	"github.com/freshet-io/freshet/libs/fault"
	"github.com/freshet-io/freshet/libs/values"
	"github.com/freshet-io/freshet/services/ingest/change"
	"github.com/freshet-io/freshet/services/ingest/debezium"
)

var limits = change.Limits{Bytes: 1 << 16, Depth: 32, Fields: 4096}

func TestDecode_whatIsDebezium(t *testing.T) {
	for name, test := range map[string]struct {
		value, label string
		is           bool
	}{
		"an envelope":                      {`{"op":"c","after":{},"source":{}}`, "", true},
		"an envelope of a bare serialiser": {`{"op":"c","before":null,"after":{}}`, "", true},
		"a row with a column op":           {`{"op":"c","id":1}`, "", false},
		"a row with columns of all names":  {`{"op":"c","before":1,"after":2,"source":"x"}`, "", false},
		"a row with op and after":          {`{"op":"c","after":{}}`, "", false},
		"a number for op":                  {`{"op":1,"after":{},"before":{},"source":{}}`, "", false},
		"a watermark":                      {`{"op":"m","source":{}}`, change.LabelLogicalMessage, true},
		"a truncate":                       {`{"op":"t","source":{},"before":null,"after":null}`, change.LabelTruncate, true},
		"the start of a transaction":       {`{"status":"BEGIN","id":"1","event_count":null,"data_collections":null}`, change.LabelTransaction, true},
		"a row with a status":              {`{"status":"BEGIN","id":"1"}`, "", false},
		"a schema change":                  {`{"source":{},"databaseName":"d","ddl":"x","tableChanges":[]}`, change.LabelSchemaChange, true},
		"an old schema change":             {`{"source":{},"historyRecord":"{}"}`, change.LabelSchemaChange, true},
		"a row with a ddl":                 {`{"id":1,"ddl":"x"}`, "", false},
		"a heartbeat":                      {`{"ts_ms":1}`, change.LabelHeartbeat, true},
		"a row with a time":                {`{"ts_ms":1,"x":2}`, "", false},
		"nothing":                          {`{}`, "", false},
	} {
		t.Run(name, func(t *testing.T) {
			body, err := change.Open([]byte(test.value), limits)
			if err != nil {
				t.Fatal(err)
			}
			c, is, err := debezium.Decode(body, &values.Schemas{})
			if err != nil || is != test.is || c.Label != test.label || is && (c.Op == change.Skip) != (test.label != "") {
				t.Errorf("is %v, %+v, %v", is, c, err)
			}
		})
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"schema":{"fields":[{"field":"after","fields":[]}]},"payload":{"op":"u","before":{"aggregatetype":1,"aggregateid":2,"payload":3},"after":{},"source":{"ts_us":1,"lsn":2}}}`))
	f.Add([]byte(`{"op":"d","source":{"gtid":"g"},"before":{"aggregatetype":1}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		body, err := change.Open(b, limits)
		if err != nil || body.Null {
			return
		}
		c, is, err := debezium.Decode(body, &values.Schemas{})
		switch {
		case err != nil && (!is || fault.ClassOf(err) != fault.Permanent):
			t.Errorf("is %v, %v", is, err)
		case err == nil && is && c.Op == change.Upsert && !c.After.IsObject():
			t.Errorf("an upsert without a row: %+v", c)
		case is && err == nil && c.Op == change.Skip && c.Label == "":
			t.Error("a skip without a label")
		}
	})
}
