package ingester_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/freshet-io/freshet/libs/pipeline"
	"github.com/freshet-io/freshet/libs/stage"
	"github.com/freshet-io/freshet/services/ingest/ingester"
)

// message writes one of Canal's.
func message(kind, data, old string) string {
	return fmt.Sprintf(`{"data":%s,"database":"catalog","es":1700000000000,"id":8,"isDdl":false,"mysqlType":{"id":"bigint unsigned","name":"varchar(255)","price":"decimal(10,2)","stock":"int(8) unsigned zerofill","is_active":"tinyint(1)","updated_at":"timestamp(6)","description":"text"},"old":%s,"pkNames":["id"],"sql":"","sqlType":{},"table":"products","ts":1700000000001,"type":%q}`, data, old, kind)
}

const (
	statement = `{"data":null,"database":"catalog","es":1,"id":8,"isDdl":true,"mysqlType":null,"old":null,"pkNames":null,"sql":"x","table":"products","ts":1,"type":%q}`
	cup       = `{"id":"1","name":"Cup","price":"199.90","stock":"00000003","is_active":"1","updated_at":"2023-11-14 22:13:20.5"}`
	cupItem   = `upsert Product/1 "Cup" price=199.9 stock=3 active=true updated_at=2023-11-14T22:13:20.5Z`
)

func as(format string, more ...string) []string {
	return append([]string{"format: debezium", "format: " + format}, more...)
}

func TestHandle_canal(t *testing.T) {
	run(t, shop, "shop.catalog.products", map[string]fact{
		"an insert":                    {as("canal"), "-", message("INSERT", "["+cup+"]", "null"), cupItem},
		"a row of Huawei's snapshot":   {as("canal"), "-", message("INIT", "["+cup+"]", "null"), cupItem},
		"several rows":                 {as("canal"), "-", message("INSERT", `[{"id":"1","name":"A"},{"id":"2","name":"B"}]`, "null"), "upsert Product/1 \"A\"\nupsert Product/2 \"B\""},
		"no rows":                      {as("canal"), "-", message("INSERT", `[]`, "null"), "skip no-rows"},
		"an update":                    {as("canal"), "-", message("UPDATE", "["+cup+"]", `[{"stock":"00000002"}]`), cupItem},
		"an update that shows the row": {as("canal"), "-", message("UPDATE", "["+cup+"]", `[`+cup+`]`), cupItem},
		"another id":                   {as("canal"), "-", message("UPDATE", `[{"id":"2","name":"A"}]`, `[{"id":"1"}]`), "delete Product/1\nupsert Product/2 \"A\""},
		"an id that another has left":  {as("canal"), "-", message("UPDATE", `[{"id":"3","name":"B"},{"id":"2","name":"A"}]`, `[{"id":"2"},{"id":"1"}]`), "delete Product/2\nupsert Product/3 \"B\"\ndelete Product/1\nupsert Product/2 \"A\""},
		"an id that goes on":           {as("canal"), "-", message("UPDATE", `[{"id":"2","name":"A"},{"id":"3","name":"A"}]`, `[{"id":"1"},{"id":"2"}]`), "delete Product/1\nupsert Product/2 \"A\"\ndelete Product/2\nupsert Product/3 \"A\""},
		"another tenant":               {as("canal", id, tenant), "-", message("UPDATE", `[{"id":"1","shop":"6","name":"A"}]`, `[{"shop":"5"}]`), "delete Product/5/1\nupsert Product/6/1 \"A\""},
		"a delete":                     {as("canal"), "-", message("DELETE", "["+cup+"]", "null"), `delete Product/1`},
		"a delete of Huawei's":         {as("canal"), "-", message("DELETE", "null", "["+cup+"]"), `delete Product/1`},
		"a delete of two":              {as("canal"), "-", message("DELETE", `[{"id":"1"},{"id":"2"}]`, "null"), "delete Product/1\ndelete Product/2"},
		"a minimal image":              {as("canal"), "-", message("UPDATE", `[{"id":"1","price":"7.00"}]`, `[{}]`), `partial Product/1 {"id":1,"price":7.00} without description, is_active, name, stock, updated_at`},
		"rows that are said to be so":  {as("canal, partial: true"), "-", message("UPDATE", `[{"id":"1","price":"7.00","name":"Cup"}]`, `[{"price":"6.00","description":"x"}]`), `partial Product/1 {"id":1,"description":null,"name":"Cup","price":7.00} without is_active, stock, updated_at`},
		"a column that is new":         {as("canal"), "-", message("UPDATE", `[{"id":"1","name":"Cup"}]`, `[{"name":"Mug"}]`), `upsert Product/1 "Cup"`},
		"a zone of Tencent's":          {as("canal"), "-", message("INSERT", `[{"id":"1","name":"A","updated_at":"2021-05-17 07:22:42 +00:00"}]`, "null"), `upsert Product/1 "A" updated_at=2021-05-17T07:22:42Z`},
		"an id above 2^53":             {as("canal"), "-", message("INSERT", `[{"id":"18446744073709551615","name":"A"}]`, "null"), `upsert Product/18446744073709551615 "A"`},
		"plain values of Flink's":      {as("canal"), "-", `{"old":null,"data":[{"id":1,"name":"Cup","price":7.5}],"type":"INSERT","database":"d","table":"t","pkNames":["id"]}`, `upsert Product/1 "Cup" price=7.5`},
		"one bad row of two":           {as("canal"), "-", message("INSERT", `[{"id":"1","name":"A","stock":"x"},{"id":"2","name":"B"}]`, "null"), "upsert Product/2 \"B\"\nfailed Product/1 field-type\nletter field-type: property stock: field stock is no number, but a text"},
		"an update of two, one of which shows nothing": {as("canal", "  - {name: price, type: number, decimal: {scale: 2}}\n  - {name: stock, type: int}\n  - {name: active, from: is_active, type: boolean}\n  - {name: updated_at, type: date, unit: us}\n", "  - {name: stock, type: int}\n"), "-", message("UPDATE", `[{"id":"1","stock":"5","name":"A"},{"id":"2","stock":"6","name":"B"}]`, `[null,{"name":"x"}]`), "partial Product/1 {\"id\":1,\"name\":\"A\",\"stock\":5} without description\nupsert Product/2 \"B\" stock=6"},
		"fewer images than rows":                       {as("canal"), "-", message("UPDATE", `[{"id":"1","name":"A"},{"id":"2","name":"B"}]`, `[{"name":"X"}]`), "letter malformed: an update of Canal's has 2 rows, and 1 as they were before"},
		"what TiCDC found too large":                   {as("canal"), "-", strings.TrimSuffix(message("INSERT", `[{"id":"1"}]`, "null"), "}") + `,"_tidb":{"commitTs":1,"onlyHandleKey":true}}`, "failed Product/1 unavailable-value\nletter unavailable-value: TiCDC left all columns but the key out of a message that was too large"},
		"a minimal image that is hidden":               {as("canal", id, "  id: {from: [id]}\n  when: [{field: is_active, eq: 1}]"), "-", message("UPDATE", `[{"id":"1","is_active":"0"}]`, `[{}]`), `partial Product/1 {"id":1,"is_active":0} without description, name, price, stock, updated_at`},
		"a count of time as a text":                    {as("canal", "  - {name: updated_at, type: date, unit: us}\n", "  - {name: updated_at, from: description, type: date, unit: s}\n"), "-", strings.Replace(message("INSERT", `[{"id":"1","name":"A","description":"1700000000"}]`, "null"), `"description":"text"`, `"description":"bigint"`, 1), `upsert Product/1 "A 2023-11-14T22:13:20Z" updated_at=2023-11-14T22:13:20Z`},
		"a date of zeros is none":                      {as("canal"), "-", message("INSERT", `[{"id":"1","name":"A","updated_at":"0000-00-00 00:00:00.000000"}]`, "null"), `upsert Product/1 "A"`},
		"a date of some zeros":                         {as("canal"), "-", message("INSERT", `[{"id":"1","name":"A","updated_at":"2021-00-00"}]`, "null"), "failed Product/1 field-type\nletter field-type: property updated_at: field updated_at is no date: 2006-01-02, with a time such as 15:04:05 and a zone or without; map what else there is as text"},
		"a time without a zone is UTC":                 {as("canal"), "-", message("INSERT", `[{"id":"1","name":"A","updated_at":"2021-05-17 07:22:42"}]`, "null"), `upsert Product/1 "A" updated_at=2021-05-17T07:22:42Z`},
		"rows that are no list":                        {as("canal"), "-", message("INSERT", `{"id":"1"}`, `[{}]`), "letter format-mismatch: the value is a row where a message of Canal's is expected"},
		"a row that is empty":                          {as("canal"), "-", message("INSERT", `[{"id":"1","name":"A"},{ }]`, "null"), "letter malformed: row 2 of a message of Canal's has no columns"},
		"a row that is none":                           {as("canal"), "-", message("INSERT", `[7]`, "null"), "letter malformed: row 1 of a message of Canal's has no columns"},
		"a statement":                                  {as("canal"), "-", fmt.Sprintf(statement, "ALTER"), "skip schema-change"},
		"a statement of Huawei's":                      {as("canal"), "-", fmt.Sprintf(statement, "INIT_DDL"), "skip schema-change"},
		"a truncate":                                   {as("canal"), "-", fmt.Sprintf(statement, "TRUNCATE"), "skip truncate"},
		"a watermark of TiCDC's":                       {as("canal"), "-", fmt.Sprintf(statement, "TIDB_WATERMARK"), "skip heartbeat"},
		"its table":                                    {as("canal", id, matching), "-", message("INSERT", "["+cup+"]", "null"), cupItem},
		"another table":                                {as("canal", id, "  match: {table: stock}\n"+id), "-", message("INSERT", "["+cup+"]", "null"), "skip unmatched"},
		"a null value repeats":                         {as("canal"), `{"uid":1}`, "-", "skip tombstone"},
		"by auto":                                      {as("auto"), "-", message("INSERT", "["+cup+"]", "null"), cupItem},
		"where envelopes are expected":                 {nil, "-", message("INSERT", "["+cup+"]", "null"), "letter format-mismatch: the value is a message of Canal's where an envelope of Debezium's is expected"},
		"where Maxwell is expected":                    {as("maxwell"), "-", message("INSERT", "["+cup+"]", "null"), "letter format-mismatch: the value is a message of Canal's where a message of Maxwell's is expected"},
		"an envelope":                                  {as("canal"), "-", envelope("c", "null", product), "letter format-mismatch: the value is an envelope of Debezium's where a message of Canal's is expected"},
		"a transaction of Debezium's":                  {as("canal"), "-", `{"status":"END","id":"t","event_count":1,"data_collections":[]}`, "letter format-mismatch: the value is an envelope of Debezium's where a message of Canal's is expected"},
		"a row":                                        {as("canal"), "-", `{"id":1}`, "letter format-mismatch: the value is a row where a message of Canal's is expected"},
		"a row that looks a little so":                 {rows(), "-", `{"id":1,"name":"Cup","type":"INSERT","database":"d","table":"t","data":"its own"}`, `upsert Product/1 "Cup"`},
		"a row with an upper-case type":                {rows(), "-", `{"id":1,"name":"Cup","type":"CHAIR","data":[1]}`, `upsert Product/1 "Cup"`},
		"a text that says type database":               {rows(), "-", `{"id":1,"name":"\"type\" \"database\"","table":"round"}`, `upsert Product/1 "\"type\" \"database\""`},
	})
}

func TestHandle_maxwell(t *testing.T) {
	of := func(kind, data, rest string) string {
		return fmt.Sprintf(`{"database":"catalog","table":"products","type":%q,"ts":1700000000,"xid":1,"data":%s%s}`, kind, data, rest)
	}
	const row, item = `{"id":1,"name":"Cup","price":7.50}`, `upsert Product/1 "Cup" price=7.5`
	run(t, shop, "shop.catalog.products", map[string]fact{
		"an insert":                  {as("maxwell"), "-", of("insert", row, ""), item},
		"a row of a bootstrap":       {as("maxwell"), "-", of("bootstrap-insert", row, ""), item},
		"the start of a bootstrap":   {as("maxwell"), "-", of("bootstrap-start", "{}", ""), "skip bootstrap"},
		"the end of a bootstrap":     {as("maxwell"), "-", of("bootstrap-complete", "{}", ""), "skip bootstrap"},
		"an update":                  {as("maxwell"), "-", of("update", row, `,"old":{"price":7.00}`), item},
		"another id":                 {as("maxwell"), "-", of("update", row, `,"old":{"id":3}`), "delete Product/3\n" + item},
		"a delete":                   {as("maxwell"), "-", of("delete", row, ""), "delete Product/1"},
		"a minimal image":            {as("maxwell"), "-", of("update", `{"id":1,"price":7.50}`, ""), `partial Product/1 {"id":1,"price":7.50} without description, is_active, name, stock, updated_at`},
		"and one with an empty old":  {as("maxwell"), "-", of("update", `{"id":1,"price":7.50}`, `,"old":{}`), `partial Product/1 {"id":1,"price":7.50} without description, is_active, name, stock, updated_at`},
		"a null that is left out":    {as("maxwell", id, "  id: {from: [id]}\n  when: [{field: deleted_at, exists: false}]"), "-", of("update", row, `,"old":{"deleted_at":"2023-11-14 22:13:20"}`), item},
		"a table's definition":       {as("maxwell"), "-", `{"type":"table-alter","database":"catalog","table":"products","old":{},"def":{},"ts":1,"sql":"x"}`, "skip schema-change"},
		"a database's":               {as("maxwell"), "-", `{"type":"database-create","database":"catalog","charset":"utf8mb4","ts":1,"sql":"x"}`, "skip schema-change"},
		"another table":              {as("maxwell", id, "  match: {table: stock}\n"+id), "-", of("insert", row, ""), "skip unmatched"},
		"a null value behind a":      {as("maxwell"), `{"database":"catalog","table":"products","pk.id":1}`, "-", "skip tombstone"},
		"by auto":                    {as("auto"), "-", of("insert", row, ""), item},
		"a type nobody knows":        {as("maxwell"), "-", of("merge", row, ""), "letter format-mismatch: the value is a row where a message of Maxwell's is expected"},
		"where rows are expected":    {rows(), "-", of("insert", row, ""), "letter format-mismatch: the value is a message of Maxwell's where a row is expected"},
		"a row that looks a bit so":  {rows(), "-", `{"id":1,"name":"Cup","type":"insert","database":"d","table":"t","data":"its own"}`, `upsert Product/1 "Cup"`},
		"a row with a type of chair": {rows(), "-", `{"id":1,"name":"Cup","type":"chair","database":"d","table":"t"}`, `upsert Product/1 "Cup"`},
	})
}

func TestHandle_autoTellsOnceOfEachFormat(t *testing.T) {
	for format, want := range map[string][]string{"auto": {"rows", "canal", "debezium"}, "rows": nil} {
		var told []string
		in, err := ingester.New(parse(t, strings.Replace(shop, "format: debezium", "format: "+format, 1)), ingester.Options{
			Config:     ingester.DefaultConfig(),
			Recognised: func(_ string, f pipeline.Format) { told = append(told, string(f)) },
		})
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			for _, value := range []string{`{"id":1,"name":"Cup"}`, message("INSERT", "["+cup+"]", "null"), `{"ts_ms":1}`, `x`} {
				handle(t, in, stage.Record{Topic: "shop.catalog.products", Value: []byte(value)})
			}
		}
		if !slices.Equal(told, want) {
			t.Errorf("%s: told of %v, want %v", format, told, want)
		}
	}
}
