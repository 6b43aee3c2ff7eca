package ingester_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/freshet-io/freshet/libs/fault"
	"github.com/freshet-io/freshet/libs/record"
	"github.com/freshet-io/freshet/libs/stage"
	"github.com/freshet-io/freshet/services/ingest/ingester"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	tenant     = "  id: {from: [id]}\n  tenant: {from: shop}"
	id         = "  id: {from: [id]}"
	when       = "  id: {from: [id]}\n  when: [{field: is_active, eq: 1}, {field: deleted_at, exists: false}]"
	matching   = "  match: {db: catalog, table: products}\n  id: {from: [id]}"
	product    = `{"id":1,"name":"Cup","price":"ThY=","stock":3,"is_active":1}`
	unmapped   = "neither the row nor the key has all of the columns "
	letterText = "letter missing-text: "
)

func TestHandle_operations(t *testing.T) {
	run(t, shop, "shop.catalog.products", map[string]fact{
		"a create":                   {nil, `{"id":1}`, envelope("c", "null", product), `upsert Product/1 "Cup" price=199.9 stock=3 active=true`},
		"a row of a snapshot":        {nil, `{"id":1}`, envelope("r", "null", product), `upsert Product/1 "Cup" price=199.9 stock=3 active=true`},
		"an update":                  {nil, `{"id":1}`, envelope("u", product, `{"id":1,"name":"Mug"}`), `upsert Product/1 "Mug"`},
		"the payload alone":          {nil, `{"payload":{"id":1}}`, `{"payload":` + envelope("c", "null", product) + "}", `upsert Product/1 "Cup" price=199.9 stock=3 active=true`},
		"a delete":                   {nil, `{"id":1}`, envelope("d", product, "null"), `delete Product/1`},
		"a delete without before":    {nil, `{"id":1}`, envelope("d", "null", "null"), `delete Product/1`},
		"a delete without key":       {nil, "-", envelope("d", product, "null"), `delete Product/1`},
		"a delete of no known item":  {nil, "-", envelope("d", "null", "null"), `letter missing-id: ` + unmapped + `["id"]`},
		"the tombstone behind it":    {nil, `{"id":1}`, "-", `delete Product/1`},
		"a null with a schema":       {nil, `{"id":1}`, `{"schema":null,"payload":null}`, `delete Product/1`},
		"a null in letters":          {nil, `{"id":1}`, `null`, `delete Product/1`},
		"null key and value":         {nil, "-", "-", `skip null-key-and-value`},
		"a truncate":                 {nil, "-", envelope("t", "null", "null"), `skip truncate`},
		"a logical message":          {nil, `{"prefix":"x"}`, `{"op":"m","ts_ms":1,` + mysqlSource + `,"message":{"prefix":"x","content":"eA=="}}`, `skip logical-message`},
		"a transaction":              {nil, `{"id":"t"}`, `{"status":"END","id":"t","event_count":1,"data_collections":[]}`, `skip transaction`},
		"a schema change":            {nil, `{"databaseName":"x"}`, `{` + mysqlSource + `,"databaseName":"x","ddl":"ALTER"}`, `skip schema-change`},
		"a heartbeat":                {nil, `{"serverName":"x"}`, `{"ts_ms":1,"ts_us":1,"ts_ns":1}`, `skip heartbeat`},
		"an id of before and after":  {nil, `{"id":2}`, envelope("u", product, `{"id":2,"name":"Cup"}`), "delete Product/1\nupsert Product/2 \"Cup\""},
		"an id that before hides":    {nil, `{"id":2}`, envelope("u", `{"name":"Cup"}`, `{"id":2,"name":"Cup"}`), `upsert Product/2 "Cup"`},
		"a new id that is refused":   {nil, `{"id":2}`, envelope("u", product, `{"id":2,"name":"Cup","stock":"x"}`), "delete Product/1\nfailed Product/2 field-type\nletter field-type: property stock: field stock is no number, but a text"},
		"an id in the key alone":     {nil, `{"id":9}`, envelope("c", "null", `{"name":"Cup"}`), `upsert Product/9 "Cup"`},
		"no id anywhere":             {nil, "-", envelope("c", "null", `{"name":"Cup"}`), `letter missing-id: ` + unmapped + `["id"]; the row has ["name"]`},
		"an id above 2^53":           {nil, `{"id":1720349049869471748}`, envelope("c", "null", `{"id":1720349049869471748,"name":"Cup"}`), `upsert Product/1720349049869471748 "Cup"`},
		"an id with a zero behind":   {nil, `{"id":"1"}`, envelope("u", `{"id":1.0}`, `{"id":1,"name":"Cup"}`), `upsert Product/1 "Cup"`},
		"many columns and no id":     {nil, "-", envelope("c", "null", `{"id":null,"a":1,"b":1,"c":1,"d":1,"e":1,"f":1,"g":1,"h":1,"i":1,"`+strings.Repeat("é", 40)+`":1,"k":1,"l":1}`), `letter missing-id: ` + unmapped + `["id"]; the row has ["a" "b" "c" "d" "e" "f" "g" "h" "i" "` + strings.Repeat("é", 32) + `" "…"]`},
		"an id that is a list":       {nil, "-", envelope("c", "null", `{"id":[1],"name":"Cup"}`), `letter missing-id: ` + unmapped + `["id"]; the row has ["id" "name"]`},
		"an id of half a pair":       {nil, `{"id":"a\ud800"}`, envelope("c", "null", `{"id":"a\ud800","name":"Cup"}`), `letter missing-id: ` + unmapped + `["id"]; the row has ["id" "name"]; the key has ["id"]`},
		"a key of half a pair":       {nil, `"a\ud801"`, envelope("d", "null", "null"), `letter malformed: the key has half of a surrogate pair, which is no text`},
		"an id of a whole one":       {nil, `{"id":"\ud83d\ude00"}`, "-", `delete Product/😀`},
		"an empty id":                {nil, `{"id":""}`, "-", `skip tombstone`},
		"the first of two columns":   {nil, "-", envelope("c", "null", `{"id":1,"name":"A","name":"B"}`), `upsert Product/1 "A"`},
		"a key that is a number":     {nil, `4711`, "-", `delete Product/4711`},
		"a key that is JSON's text":  {nil, `"A-1"`, "-", `delete Product/A-1`},
		"a key that is plain text":   {nil, `A-1`, "-", `delete Product/A-1`},
		"a key of other columns":     {nil, `{"uid":5}`, "-", `skip tombstone`},
		"a key in Avro":              {nil, "\x00\x00\x00\x00\x07\x02", "-", `letter format-mismatch: a key or value is in Confluent's wire format, and no schema registry is set (FRESHET_SCHEMA_REGISTRY_URL)`},
		"a key of bytes":             {nil, "\x00\x01", "-", `letter malformed: the key is neither JSON nor text`},
		"a key cut short":            {nil, `{"id":`, "-", `letter malformed: the key is neither JSON nor text`},
		"a key that is a list":       {nil, `[1]`, "-", `letter malformed: the key is a list`},
		"a bad key of a good row":    {nil, `[1]`, envelope("c", "null", `{"id":1,"name":"Cup"}`), `upsert Product/1 "Cup"`},
		"a composite id":             {[]string{"[id]", "[shop, id]"}, `{"shop":7,"id":"A"}`, envelope("d", "null", "null"), `delete Product/7+A`},
		"half of a composite id":     {[]string{"[id]", "[shop, id]"}, `{"id":"A"}`, envelope("d", "null", "null"), `letter missing-id: ` + unmapped + `["shop" "id"]; the key has ["id"]`},
		"one text for two columns":   {[]string{"[id]", "[shop, id]"}, `A`, envelope("d", "null", "null"), `letter missing-id: ` + unmapped + `["shop" "id"]`},
		"an envelope without source": {nil, `{"id":1}`, `{"before":null,"after":{"id":1,"name":"Cup"},"op":"c"}`, `upsert Product/1 "Cup"`},
	})
}

func TestHandle_tenantsAndFilters(t *testing.T) {
	run(t, shop, "shop.catalog.products", map[string]fact{
		"a tenant":                     {[]string{id, tenant}, `{"id":1}`, envelope("c", "null", `{"id":1,"shop":5,"name":"Cup"}`), `upsert Product/5/1 "Cup"`},
		"a row without its tenant":     {[]string{id, tenant}, `{"id":1}`, envelope("c", "null", `{"id":1,"name":"Cup"}`), `letter missing-id: ` + unmapped + `["id" "shop"]; the row has ["id" "name"]; the key has ["id"]`},
		"another tenant":               {[]string{id, tenant}, `{"id":1}`, envelope("u", `{"id":1,"shop":5}`, `{"id":1,"shop":6,"name":"Cup"}`), "delete Product/5/1\nupsert Product/6/1 \"Cup\""},
		"a delete with tenant":         {[]string{id, tenant}, `{"id":1}`, envelope("d", `{"id":1,"shop":5}`, "null"), `delete Product/5/1`},
		"an update under a text key":   {[]string{id, tenant}, `1`, envelope("u", "null", `{"id":1,"shop":5,"name":"Cup"}`), "failed Product/5/1 missing-id\nletter missing-id: the key does not have all of the columns [\"id\" \"shop\"], and the update does not show what they were: it may leave another item behind. Key the topic by them, or have the source send whole rows before (PostgreSQL: REPLICA IDENTITY FULL)"},
		"a delete that shows defaults": {[]string{id, tenant}, `{"id":1}`, postgres("d", `{"id":1,"shop":0}`, "null"), `letter missing-id: ` + unmapped + `["id" "shop"]; the row has ["id" "shop"]; the key has ["id"]`},
		"tenant zero of MySQL":         {[]string{id, tenant}, `{"id":1}`, envelope("d", `{"id":1,"shop":0}`, "null"), `delete Product/0/1`},
		"the tombstone cannot tell":    {[]string{id, tenant}, `{"id":1}`, "-", `skip tombstone`},

		"within the filter":                  {[]string{id, when}, `{"id":1}`, envelope("c", "null", `{"id":1,"name":"Cup","is_active":true,"deleted_at":null}`), `upsert Product/1 "Cup" active=true`},
		"out of the filter":                  {[]string{id, when}, `{"id":1}`, envelope("u", "null", `{"id":1,"name":"Cup","is_active":0,"deleted_at":null}`), `delete Product/1`},
		"softly deleted":                     {[]string{id, when}, `{"id":1}`, envelope("u", "null", `{"id":1,"name":"Cup","is_active":1,"deleted_at":17}`), `delete Product/1`},
		"out of the filter and ill":          {[]string{id, when}, `{"id":1}`, envelope("u", "null", `{"id":1,"name":"__debezium_unavailable_value","is_active":0,"updated_at":1e99,"stock":"x"}`), `partial Product/1 {"id":1,"is_active":0,"stock":"x"} without name, updated_at`},
		"out of the filter of PostgreSQL":    {[]string{id, when}, `{"id":1}`, postgres("u", "null", `{"id":1,"name":"Cup","is_active":0,"deleted_at":null}`), `upsert Product/1 "" hidden {"id":1,"deleted_at":null,"is_active":0,"name":"Cup"}`},
		"out of the filter and partial":      {[]string{id, when}, `{"id":1}`, postgres("u", "null", `{"id":1,"name":"__debezium_unavailable_value","is_active":0,"deleted_at":null}`), `partial Product/1 {"id":1,"deleted_at":null,"is_active":0} without name`},
		"out of the filter of partial rows":  {append(rows(id, when), "format: rows", "format: rows, partial: true"), `{"id":1}`, `{"id":1,"name":"Cup","is_active":0}`, `upsert Product/1 "" hidden {"id":1,"deleted_at":null,"is_active":0,"name":"Cup"}`},
		"a minimal image":                    {[]string{id, when}, `{"id":1}`, envelope("u", "null", `{"id":1,"stock":2}`), "failed Product/1 unavailable-value\nletter unavailable-value: field is_active, which when reads, is not in the row"},
		"a filter that does not fit":         {[]string{id, when}, `{"id":1}`, envelope("u", "null", `{"id":1,"name":"Cup","is_active":"yes"}`), "failed Product/1 field-type\nletter field-type: field is_active does not compare with the value that when gives"},
		"another id and out of the filter":   {[]string{id, when}, `{"id":2}`, envelope("u", product, `{"id":2,"name":"Cup","is_active":0}`), "delete Product/1\ndelete Product/2"},
		"a row that never says it is gone":   {rows(id, when), `{"id":1}`, `{"id":1,"name":"Cup","is_active":1}`, `upsert Product/1 "Cup" active=true`},
		"a row that does not say it is on":   {rows(id, when), `{"id":1}`, `{"id":1,"name":"Cup"}`, "failed Product/1 unavailable-value\nletter unavailable-value: field is_active, which when reads, is not in the row"},
		"a required text is there":           {[]string{`}}"}`, `}}", require: [name]}`}, "-", envelope("c", "null", `{"id":1,"name":"Cup"}`), `upsert Product/1 "Cup"`},
		"a required text is blank":           {[]string{`}}"}`, `}}", require: [name]}`}, "-", envelope("c", "null", `{"id":1,"name":" ","description":"x"}`), "failed Product/1 missing-text\n" + letterText + "required field name is empty"},
		"no text at all":                     {nil, "-", envelope("c", "null", `{"id":1,"name":null,"description":""}`), "failed Product/1 missing-text\n" + letterText + "the template gives no text"},
		"a table of the match":               {[]string{id, matching}, "-", envelope("c", "null", `{"id":1,"name":"Cup"}`), `upsert Product/1 "Cup"`},
		"another table":                      {[]string{id, "  match: {table: stock}\n" + id}, "-", envelope("c", "null", `{"id":1,"name":"Cup"}`), `skip unmatched`},
		"another database":                   {[]string{id, "  match: {db: test}\n" + id}, "-", envelope("c", "null", `{"id":1,"name":"Cup"}`), `skip unmatched`},
		"a tombstone by its topic":           {[]string{id, matching}, `{"id":1}`, "-", `delete Product/1`},
		"a tombstone of another table":       {[]string{id, "  match: {table: stock}\n" + id}, `{"id":1}`, "-", `skip tombstone`},
		"a tombstone by its key's schema":    {[]string{id, "  match: {table: stock}\n" + id}, `{"schema":{"type":"struct","name":"x.y.stock.Key","fields":[{"type":"int32","field":"id"}]},"payload":{"id":1}}`, "-", `delete Product/1`},
		"a row by what unwrapping added":     {rows(id, "  match: {table: stock}\n"+id), "-", `{"id":1,"name":"Cup","__table":"stock"}`, `upsert Product/1 "Cup"`},
		"a row by its topic":                 {rows(id, matching), "-", `{"id":1,"name":"Cup"}`, `upsert Product/1 "Cup"`},
		"a raw row of an outbox":             {nil, "-", envelope("c", "null", `{"id":"e","aggregatetype":"product","aggregateid":"1","type":"x","payload":"{}"}`), `skip outbox`},
		"an outbox that somebody asks for":   {[]string{id, matching}, "-", envelope("c", "null", `{"id":"e","aggregatetype":"a","aggregateid":"1","payload":"{}","name":"Cup"}`), `upsert Product/e "Cup"`},
		"a topic that nobody asks for":       {[]string{"shop.catalog.products", "other"}, "-", envelope("c", "null", product), `skip unmatched`},
		"a tombstone without a table's name": {[]string{id, matching, "shop.catalog.products", "x"}, `{"id":1}`, "-", `skip unmatched`},
	})
	run(t, strings.Replace(shop, "shop.catalog.products", "merged", 1), "merged", map[string]fact{
		"a merged topic's tombstone repeats":    {[]string{id, matching}, `{"id":1}`, "-", `skip tombstone`},
		"a merged topic's null is no answer":    {rows(id, matching), `{"id":1}`, "-", `letter format-mismatch: the change does not say what table it is of, and pipeline products matches by it`},
		"a merged topic's row is no answer":     {rows(id, matching), `{"id":1}`, `{"id":1,"name":"Cup"}`, `letter format-mismatch: the change does not say what table it is of, and pipeline products matches by it`},
		"the connector's prefix is no database": {rows(id, "  match: {db: shop, table: products}\n"+id), "-", `{"id":1,"name":"Cup"}`, `letter format-mismatch: the change does not say what table it is of, and pipeline products matches by it`},
		"a merged topic's envelope names all":   {[]string{id, matching}, `{"id":1}`, envelope("c", "null", `{"id":1,"name":"Cup"}`), `upsert Product/1 "Cup"`},
	})
}

func TestHandle_rows(t *testing.T) {
	run(t, shop, "shop.catalog.products", map[string]fact{
		"a plain row":               {rows(), "-", `{"id":1,"name":"Cup","stock":"3","price":19.90}`, `upsert Product/1 "Cup" price=19.9 stock=3`},
		"a row with its schema":     {rows(), "-", `{"schema":{"type":"struct","fields":[{"type":"int64","field":"updated_at","name":"io.debezium.time.Timestamp"}]},"payload":{"id":1,"name":"Cup","updated_at":1700000000000}}`, `upsert Product/1 "Cup" updated_at=2023-11-14T22:13:20Z`},
		"unwrapped":                 {rows(), "-", `{"id":1,"name":"Cup","__op":"u","__deleted":"false"}`, `upsert Product/1 "Cup"`},
		"unwrapped and deleted":     {rows(), "-", `{"id":1,"name":"","__deleted":"true"}`, `delete Product/1`},
		"unwrapped, op d":           {rows(), `{"id":1}`, `{"id":0,"name":null,"__op":"d"}`, `delete Product/1`},
		"unwrapped, deleted or not": {rows(), "-", `{"id":1,"name":"Cup","__deleted":"yes"}`, "failed Product/1 format-mismatch\nletter format-mismatch: __deleted is neither true nor false: whether the row is deleted is not known"},
		"unwrapped, another op":     {rows(), `{"id":1}`, `{"name":"Cup","__op":"D"}`, "failed Product/1 format-mismatch\nletter format-mismatch: __op is none of c, u, r and d: whether the row is deleted is not known"},
		"a null is a delete":        {rows(), `{"id":1}`, "-", `delete Product/1`},
		"a null of an unknown id":   {rows(), `{"uid":1}`, "-", `letter missing-id: ` + unmapped + `["id"]; the key has ["uid"]`},
		"a flat update":             {rows("[id]", "[product_id]", "{{description}}", "{{desc}} {{category}}"), "-", `{"product_id":"p9","name":"杯子","desc":"白瓷","category":"厨房","timestamp":1700000000,"update_type":"price_change"}`, `upsert Product/p9 "杯子 白瓷 厨房"`},
		"a flat update, all anew":   {rows("[id]", "[product_id]"), "-", `{"product_id":"p9","name":"Cup","update_type":"full_rebuild"}`, `upsert Product/p9 "Cup" force`},
		"a column called op":        {rows(), "-", `{"id":1,"name":"Cup","op":"c","before":"x","after":"y"}`, `upsert Product/1 "Cup"`},
		"a column called status":    {rows(), "-", `{"id":1,"name":"Cup","status":"END"}`, `upsert Product/1 "Cup"`},
		"an envelope":               {rows(), `{"id":1}`, envelope("c", "null", product), "failed Product/1 format-mismatch\nletter format-mismatch: the value is an envelope of Debezium's where a row is expected"},
		"Canal":                     {rows(), "-", `{"data":[{"id":"1"}],"database":"x","table":"y","type":"UPDATE","old":null,"isDdl":false}`, "letter format-mismatch: the value is a message of Canal's where a row is expected"},
		"Maxwell":                   {rows(), "-", `{"database":"x","table":"y","type":"insert","ts":1,"data":{"id":1}}`, "letter format-mismatch: the value is a message of Maxwell's where a row is expected"},
		"a transaction":             {rows(), "-", `{"status":"BEGIN","id":"t","event_count":null,"data_collections":null}`, `skip transaction`},
		"auto takes an envelope":    {[]string{"format: debezium", "format: auto"}, `{"id":1}`, envelope("c", "null", `{"id":1,"name":"Cup"}`), `upsert Product/1 "Cup"`},
		"auto takes a row":          {[]string{"format: debezium", "format: auto"}, `{"id":1}`, `{"id":1,"name":"Cup"}`, `upsert Product/1 "Cup"`},
		"auto takes a schema's row": {[]string{"format: debezium", "format: auto"}, `{"id":1}`, `{"schema":{},"payload":{"id":1,"name":"Cup"}}`, `upsert Product/1 "Cup"`},
	})
}

func TestHandle_whatIsNotUnderstood(t *testing.T) {
	deep := strings.Repeat(`{"a":`, 65) + "1" + strings.Repeat("}", 65)
	run(t, shop, "shop.catalog.products", map[string]fact{
		"no JSON":              {nil, `{"id":1}`, `{"op":"c"`, "failed Product/1 malformed\nletter malformed: the value is not valid JSON"},
		"no JSON and no key":   {nil, "-", `nonsense`, "letter malformed: the value is not valid JSON"},
		"an empty value":       {nil, "-", ``, "letter malformed: the value is not valid JSON"},
		"a key without UTF-8":  {nil, "{\"id\":\"caf\xe9\"}", "-", "letter malformed: the key is not UTF-8"},
		"its text without":     {nil, "\"caf\xe9\"", "-", "letter malformed: the key is not UTF-8"},
		"its row has the id":   {nil, "\"caf\xe9\"", envelope("c", "null", `{"id":1,"name":"Cup"}`), `upsert Product/1 "Cup"`},
		"no UTF-8 at all":      {nil, "{\"id\":\"\xff\"}", "{\"a\":\"\xff\"}", "letter malformed: the value is not UTF-8"},
		"no UTF-8":             {nil, "-", "{\"a\":\"\xff\"}", "letter malformed: the value is not UTF-8"},
		"a list":               {nil, "-", `[]`, "letter format-mismatch: the value is neither an object nor a record"},
		"a row":                {nil, `{"id":1}`, `{"id":1,"name":"Cup"}`, "failed Product/1 format-mismatch\nletter format-mismatch: the value is a row where an envelope of Debezium's is expected"},
		"Avro":                 {nil, "-", "\x00\x00\x00\x00\x07\x02\x04", "letter format-mismatch: a key or value is in Confluent's wire format, and no schema registry is set (FRESHET_SCHEMA_REGISTRY_URL)"},
		"an op nobody knows":   {nil, `{"id":1}`, envelope("x", "null", product), "failed Product/1 format-mismatch\nletter format-mismatch: an envelope has an op that Debezium does not document"},
		"a create without row": {nil, `{"id":1}`, envelope("c", "null", "null"), "failed Product/1 malformed\nletter malformed: an envelope of op c has no row in after"},
		"too deep":             {nil, "-", deep, "letter malformed: the value nests 65 deep, the limit is 64"},
		"a key too deep":       {nil, deep, "-", "letter malformed: the value nests 65 deep, the limit is 64"},
		"too many fields":      {nil, "-", `{"a":[` + strings.Repeat(`{"a":1},`, 1<<16) + `1]}`, "letter malformed: the value has 65537 fields, the limit is 65536"},
		"too long":             {nil, "-", strings.Repeat("x", 8<<20+1), "letter oversize: the value has 8388609 bytes, the limit is 8388608"},
		"braces within a text": {nil, "-", envelope("c", "null", `{"id":1,"name":"`+strings.Repeat(`\"{[:`, 100)+`"}`), `upsert Product/1 ` + fmt.Sprintf("%q", strings.Repeat(`"{[:`, 100))},
		"half of a pair":       {nil, "-", envelope("c", "null", `{"id":1,"name":"a\ud83cb"}`), `upsert Product/1 "a�b"`},
		"two unknown things":   {nil, "-", `{"source":{},"op":"c"}`, "letter format-mismatch: the value is a row where an envelope of Debezium's is expected"},
	})
}

func TestHandle_unavailableValues(t *testing.T) {
	const nameless = "partial Product/1 {\"id\":1} without name"
	const leftOut = "\nfailed Product/1 unavailable-value\nletter unavailable-value: the source left field name out of a new row: only the row of the old key had it, and the item waits until a row shows it. " +
		"Have the field written anew (PostgreSQL: SET name = name || ''), or send the row by a backfill"
	const placeholder = `"__debezium_unavailable_value"`
	facts := map[string]fact{
		"before has it":            {nil, "-", postgres("u", `{"id":1,"name":"Cup"}`, `{"id":1,"name":`+placeholder+`}`), `upsert Product/1 "Cup"`},
		"before has null":          {nil, "-", postgres("u", `{"id":1,"name":null}`, `{"id":1,"name":`+placeholder+`}`), nameless},
		"before has it neither":    {nil, "-", postgres("u", `{"id":1,"name":`+placeholder+`}`, `{"id":1,"name":`+placeholder+`}`), nameless},
		"nobody reads it":          {nil, "-", postgres("u", "null", `{"id":1,"name":"Cup","raw":`+placeholder+`}`), `upsert Product/1 "Cup"`},
		"of a row that may be new": {rows(), "-", `{"id":1,"name":` + placeholder + `}`, nameless},
		"of a new row":             {nil, "-", postgres("c", "null", `{"id":1,"name":`+placeholder+`}`), nameless + leftOut},
		"of a new unwrapped row":   {rows(), "-", `{"id":1,"name":` + placeholder + `,"__op":"c"}`, nameless + leftOut},
		"a part of a text":         {nil, "-", postgres("u", "null", `{"id":1,"name":"about __debezium_unavailable_value"}`), `upsert Product/1 "about __debezium_unavailable_value"`},
	}
	for form, value := range map[string]string{
		"bytes":             `"X19kZWJleml1bV91bmF2YWlsYWJsZV92YWx1ZQ=="`,
		"a list of texts":   `[` + placeholder + `]`,
		"a list of bytes":   `["X19kZWJleml1bV91bmF2YWlsYWJsZV92YWx1ZQ=="]`,
		"a list of numbers": `[95,95,100,101,98,101,122,105,117,109,95,117,110,97,118,97,105,108,97,98,108,101,95,118,97,108,117,101]`,
		"a list of UUIDs":   `["b68a35a7-17ad-35b3-af2a-ae46edb4545a"]`,
		"bytes in hex":      `"5f5f646562657a69756d5f756e617661696c61626c655f76616c7565"`,
		"an hstore as text": `"{\"__debezium_unavailable_value\":\"__debezium_unavailable_value\"}"`,
		"a map":             `{` + placeholder + `:` + placeholder + `}`,
		"with white space":  `[ ` + placeholder + ` ]`,
	} {
		facts["as "+form] = fact{nil, "-", postgres("u", "null", `{"id":1,"name":"Cup","description":`+value+`}`), `partial Product/1 {"id":1,"name":"Cup"} without description`}
	}
	run(t, shop, "shop.catalog.products", facts)
}

func TestHandle_theItemOfADelete(t *testing.T) {
	const decimal = `"type":"bytes","name":"org.apache.kafka.connect.data.Decimal","parameters":{"scale":"0"}`
	const micros = `"type":"int64","name":"io.debezium.time.MicroTimestamp"`
	withSchema := func(column, value string) string {
		row := `"type":"struct","fields":[{"field":"id",` + column + `}]`
		return `{"schema":{"type":"struct","fields":[{"field":"before",` + row + `},{"field":"after",` + row + `}]},"payload":` + value + `}`
	}
	const seven = `{"id":"Bw==","name":"Cup"}`
	declared := []string{"  properties:\n", "  properties:\n  - {name: number, from: id, type: number, decimal: {scale: 0}}\n"}
	typed := `{"schema":{"type":"struct","fields":[{"field":"id",` + decimal + `}]},"payload":` + seven + `}`
	const other = "failed Product/7 missing-id\nletter missing-id: one of row and key has a schema, and column \"id\" is another value by it: a null value under this key would delete another item. " +
		"Have both carry their schemas (key.converter.schemas.enable), or map the column to a property with decimal or unit"
	differ := `letter missing-id: the key and the row before the delete differ in column `
	run(t, shop, "shop.catalog.products", map[string]fact{
		"a row whose schema types its id":      {nil, `{"id":"Bw=="}`, withSchema(decimal, envelope("c", "null", seven)), `upsert Product/7 "Cup"`},
		"its delete with a key of no schema":   {nil, `{"id":"Bw=="}`, withSchema(decimal, envelope("d", seven, "null")), `delete Product/7`},
		"and without before":                   {nil, `{"id":"Bw=="}`, withSchema(decimal, envelope("d", "null", "null")), `delete Product/7`},
		"and with a key of one value":          {nil, `"Bw=="`, withSchema(decimal, envelope("d", seven, "null")), `delete Product/7`},
		"and with a key in digits":             {nil, `7.0`, withSchema(decimal, envelope("d", seven, "null")), `delete Product/7`},
		"and with a key of a count":            {nil, `1700000000000000`, withSchema(micros, envelope("d", `{"id":1700000000000000}`, "null")), `delete Product/2023-11-14T22:13:20Z`},
		"a key's own schema comes first":       {nil, `{"schema":{"fields":[{"field":"id",` + strings.Replace(decimal, `"0"`, `"1"`, 1) + `}]},"payload":{"id":"Rg=="}}`, withSchema(decimal, envelope("d", seven, "null")), `delete Product/7`},
		"a tombstone typed by declaration":     {declared, `{"id":"Bw=="}`, "-", `delete Product/7`},
		"a key of one value typed by it":       {declared, `"Bw=="`, "-", `delete Product/7`},
		"a key and a before of two items":      {nil, `{"id":2}`, envelope("d", `{"id":1}`, "null"), differ + `"id"`},
		"a key of one value of another":        {nil, `mugs`, envelope("d", `{"id":1}`, "null"), differ + `"id"`},
		"a key and a before of two tenants":    {[]string{id, tenant}, `{"id":1,"shop":5}`, envelope("d", `{"id":1,"shop":6}`, "null"), differ + `"shop"`},
		"a before that shows a default":        {nil, `{"id":2}`, postgres("d", `{"id":0}`, "null"), `delete Product/2`},
		"a before that shows a decimal's":      {declared, `{"id":"Bw=="}`, postgres("d", `{"id":"AA=="}`, "null"), `delete Product/7`},
		"a key that its type does not fit":     {declared, `{"id":"!"}`, envelope("d", seven, "null"), `delete Product/7`},
		"an id of zero without a key":          {nil, "-", postgres("u", `{"id":0,"name":"Cup"}`, `{"id":1,"name":"Cup"}`), "delete Product/0\nupsert Product/1 \"Cup\""},
		"a tenant of zero without a key":       {[]string{id, tenant}, "-", postgres("u", `{"id":1,"shop":0,"name":"Cup"}`, `{"id":1,"shop":5,"name":"Cup"}`), "delete Product/0/1\nupsert Product/5/1 \"Cup\""},
		"an unwrapped one, which lost its key": {rows(), "-", `{"id":0,"name":"Cup","__deleted":"true"}`, `letter missing-id: ` + unmapped + `["id"]; the row has ["id" "name" "__deleted"]`},
		"a row of another id than its key's":   {rows(), `{"id":"Bw=="}`, typed, other},
		"and a key of one value":               {rows(), `"Bw=="`, typed, other},
		"and a row without its key's schema":   {rows(), `{"schema":{"fields":[{"field":"id",` + decimal + `}]},"payload":{"id":"Bw=="}}`, seven, strings.Replace(other, "/7", "/Bw==", 1)},
		"a key of something else, typed":       {rows(), `"eu"`, typed, `upsert Product/7 "Cup"`},
		"which both have":                      {rows(), `{"schema":{"fields":[{"field":"id",` + decimal + `}]},"payload":{"id":"Bw=="}}`, typed, `upsert Product/7 "Cup"`},
		"or is declared":                       {append(rows(), declared...), `{"id":"Bw=="}`, typed, `upsert Product/7 "Cup" number=7`},
		"a number and its text are one":        {nil, `{"id":"1"}`, envelope("d", `{"id":1.0}`, "null"), `delete Product/1`},
		"a key of other columns and a before":  {nil, `{"uid":5}`, envelope("d", `{"id":1}`, "null"), `delete Product/1`},
	})
}

func TestHandle_sourceAndOrigin(t *testing.T) {
	in, err := ingester.New(parse(t, shop), ingester.Options{
		Config: ingester.DefaultConfig(), Rewind: func(string) uint64 { return 3 },
	})
	if err != nil {
		t.Fatal(err)
	}
	r := stage.Record{
		Topic: "shop.catalog.products", TopicID: [16]byte{0xab, 15: 1}, Partition: 4, Offset: 77, LeaderEpoch: -1, Key: []byte(`{"id":1}`),
		Time: time.UnixMilli(123), Value: []byte(envelope("u", `{"id":1}`, `{"id":2,"name":"Cup"}`)),
	}
	o := handle(t, in, r)
	for i, d := range o.Out {
		so := d.GetSources()[0]
		if so.GetSource() != "ab000000000000000000000000000001/4" || record.FormatOrder(so.GetOrder()) != fmt.Sprintf("3.0.77.%d", i) {
			t.Errorf("document %d: source %s, order %v", i, so.GetSource(), so.GetOrder())
		}
		want := &record.Origin{Topic: r.Topic, Partition: 4, Offset: 77, CommittedAt: 1700000000000000, Position: "bin.7:12"}
		if got := d.GetOrigin(); got.String() != want.String() {
			t.Errorf("origin %v, want %v", got, want)
		}
	}
	if len(o.Out) != 2 || o.Label != "upsert" {
		t.Errorf("%d documents, label %s", len(o.Out), o.Label)
	}
	for name, test := range map[string]struct {
		source, position string
		at               int64
	}{
		"a snapshot without a time": {`{"ts_ms":0,"gtid":"0-7-15","file":"f","pos":1}`, "0-7-15", 123000},
		"microseconds":              {`{"ts_ms":1,"ts_us":1700,"lsn":26471704}`, "26471704", 1700},
		"SQL Server":                {`{"commit_lsn":"1:2","change_lsn":"1:3"}`, "1:2/1:3", 123000},
		"Oracle":                    {`{"scn":"99"}`, "99", 123000},
		"TiCDC":                     {`{"commit_ts":44,"file":"","gtid":null,"pos":0}`, "44", 123000},
		"an endless one":            {`{"gtid":"` + strings.Repeat("g", 300) + `"}`, "300 bytes of position", 123000},
	} {
		r.Value = []byte(strings.Replace(envelope("c", "null", `{"id":2,"name":"Cup"}`), mysqlSource, `"source":`+test.source, 1))
		origin := handle(t, in, r).Out[0].GetOrigin()
		if origin.GetPosition() != test.position || origin.GetCommittedAt() != test.at {
			t.Errorf("%s: %v", name, origin)
		}
	}
}

func TestHandle_inputsAreTheNormalisedFields(t *testing.T) {
	value, err := os.ReadFile(filepath.Join("testdata", "with-schema.json"))
	if err != nil {
		t.Fatal(err)
	}
	o := handle(t, newIngester(t, parse(t, shop)), stage.Record{Topic: "shop.catalog.products", Value: value})
	if got, want := describe(o), `upsert Product/17 "Teapot 白瓷茶壶" price=42.5 stock=9 active=true updated_at=2026-11-22T10:11:12.123456Z`; got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	want := `{"id":17,"description":"白瓷茶壶","is_active":1,"name":"Teapot","price":42.50,"stock":9,"updated_at":"2026-11-22T10:11:12.123456Z"}`
	if got := string(o.Out[0].GetInputs()); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestHandle_neverRepeatsAValueInALetter(t *testing.T) {
	const secret = "s3cret"
	in := newIngester(t, parse(t, strings.Replace(shop, id, when, 1)))
	for _, row := range []string{
		`{"id":1,"name":"x","is_active":"s3cret"}`, `{"id":1,"name":"x","is_active":1,"deleted_at":null,"stock":"s3cret"}`,
		`{"id":1,"name":"x","is_active":1,"deleted_at":null,"price":"s3cret!"}`,
		`{"id":1,"name":"x","is_active":1,"deleted_at":null,"updated_at":"s3cret"}`,
	} {
		o := handle(t, in, stage.Record{Topic: "shop.catalog.products", Value: []byte(envelope("c", "null", row))})
		if o.Err == nil || fault.ReasonOf(o.Err) != fault.FieldType || strings.Contains(o.Err.Error(), secret) {
			t.Errorf("%s: %v", row, o.Err)
		}
	}
}

func FuzzHandle(f *testing.F) {
	value, err := os.ReadFile(filepath.Join("testdata", "with-schema.json"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte(`{"id":1}`), value)
	f.Add([]byte(nil), []byte(envelope("u", product, `{"id":2,"name":"__debezium_unavailable_value"}`)))
	f.Add([]byte(`{"payload":{"id":1}}`), []byte(`{"payload":null}`))
	f.Add([]byte("{\"id\":\"caf\xe9\"}"), []byte(nil))
	f.Add([]byte("A"), []byte(`{"id":1,"__op":"d","__deleted":"true"}`))
	f.Add([]byte("\x00\x00\x00\x00\x00\x00"), []byte(`{"database":"a","table":"b","type":"INSERT","data":[]}`))
	var ingesters []*ingester.Ingester
	for _, format := range []string{"debezium", "rows", "auto"} {
		text := strings.NewReplacer("format: debezium", "format: "+format, id, "  tenant: {from: shop}\n"+when).Replace(shop)
		ingesters = append(ingesters, newIngester(f, parse(f, text)), newIngester(f, parse(f, strings.Replace(shop, "debezium}", format+"}", 1))))
	}
	f.Fuzz(func(t *testing.T, key, value []byte) {
		for _, in := range ingesters {
			r := stage.Record{Topic: "shop.catalog.products", Key: key, Value: value}
			out := handle(t, in, r)
			if first, second := describe(out), describe(handle(t, in, r)); first != second {
				t.Errorf("two outcomes of one record:\n%s\n%s", first, second)
			}
			for _, d := range out.Out {
				if _, err := d.Encode(); err != nil {
					t.Errorf("a document that cannot be written: %v", err)
				}
			}
		}
	})
}

// TestHandle_anOrderToEmbedAgainInAHeader: a change in any format may have one, and a delete has nothing to embed.
func TestHandle_anOrderToEmbedAgainInAHeader(t *testing.T) {
	in := newIngesterOf(t, parse(t, shop), nil)
	for value, want := range map[string]string{
		envelope("u", "null", `{"id":1,"name":"Cup"}`): `upsert Product/1 "Cup" force`,
		envelope("d", `{"id":1,"name":"Cup"}`, "null"): `delete Product/1`,
	} {
		r := stage.Record{Topic: "shop.catalog.products", Key: []byte(`{"id":1}`), Value: []byte(value), Force: true}
		if got := describe(handle(t, in, r)); !strings.HasPrefix(got, want) {
			t.Errorf("got %s, not %s", got, want)
		}
	}
}
