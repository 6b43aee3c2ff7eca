package ingester_test

import (
	"strings"
	"testing"

	"github.com/freshet-io/freshet/libs/record"
	"github.com/freshet-io/freshet/libs/stage"
	"github.com/freshet-io/freshet/services/ingest/ingester"
)

const overtake = "letter missing-id: the key is not that of the item, by columns of id and tenant and no others, and the topic has several partitions, so that changes of it may overtake each other: " +
	"key the topic by the columns of id, or give pipeline products a source.order (a column that rises with each change), or source.ordered"

func TestHandle_keysThatDoNotNameTheItem(t *testing.T) {
	const row, item, refused = `{"id":1,"name":"Cup","shop":5}`, `upsert Product/1 "Cup"`, "failed Product/1 missing-id\n" + overtake
	composite := []string{id, "  id: {from: [shop, id]}"}
	for name, test := range map[string]struct {
		change    []string
		key, want string
	}{
		"the id":                         {nil, `{"id":1}`, item},
		"the id and more":                {nil, `{"id":1,"region":"x"}`, refused},
		"the id and the tenant":          {[]string{id, tenant}, `{"id":1,"shop":5}`, `upsert Product/5/1 "Cup"`},
		"one value":                      {nil, `1`, item},
		"one value, written otherwise":   {nil, `1.0`, item},
		"one value, as a text of JSON":   {nil, `"1"`, item},
		"one value of something else":    {nil, `eu`, refused},
		"one value that is its tenant":   {[]string{id, tenant}, `5`, "failed Product/5/1 missing-id\n" + overtake},
		"none":                           {nil, "-", refused},
		"another column":                 {nil, `{"uid":1}`, refused},
		"an empty one":                   {nil, `{}`, refused},
		"a part of the id":               {composite, `{"shop":5}`, `upsert Product/5+1 "Cup"`},
		"one value for two columns":      {composite, `5`, "failed Product/5+1 missing-id\n" + overtake},
		"the tenant":                     {[]string{id, tenant}, `{"shop":5}`, `upsert Product/5/1 "Cup"`},
		"one that cannot be read":        {nil, `[1]`, item},
		"none, where the topic is fine":  {[]string{"format: rows", "format: rows, ordered: true"}, "-", item},
		"none, where a column is better": {[]string{"format: rows", "format: rows, order: shop"}, "-", item},
	} {
		t.Run(name, func(t *testing.T) {
			text := strings.Replace(shop, "format: debezium", "format: rows", 1)
			for i := 0; i < len(test.change); i += 2 {
				text = strings.Replace(text, test.change[i], test.change[i+1], 1)
			}
			r := stage.Record{Topic: "shop.catalog.products", Key: bytesOf(test.key), Value: []byte(row)}
			if got := describe(handle(t, newIngester(t, parse(t, text)), r)); strings.Contains(got, "letter") {
				t.Errorf("one partition: got\n%s", got)
			}
			several, err := ingester.New(parse(t, text), ingester.Options{Config: ingester.DefaultConfig(), Partitioned: func(topic string) bool { return topic == r.Topic }})
			if err != nil {
				t.Fatal(err)
			}
			if got := describe(handle(t, several, r)); got != test.want {
				t.Errorf("several partitions: got\n%s\nwant\n%s", got, test.want)
			}
			r.Partition = 1
			if got := describe(handle(t, newIngester(t, parse(t, text)), r)); got != test.want {
				t.Errorf("the second partition: got\n%s\nwant\n%s", got, test.want)
			}
		})
	}
}

// What is deleted without a key that names it is marked, too.
func TestHandle_deletesOfKeysThatDoNotNameTheItem(t *testing.T) {
	in := newIngester(t, parse(t, shop))
	r := stage.Record{Topic: "shop.catalog.products", Partition: 2, Value: []byte(envelope("d", product, "null"))}
	if got, want := describe(handle(t, in, r)), "failed Product/1 missing-id\n"+overtake; got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestHandle_ordersByAColumn(t *testing.T) {
	in := newIngester(t, parse(t, strings.Replace(shop, "format: debezium", "format: debezium, order: updated_at", 1)))
	orders := record.Orders{}
	take := func(partition int32, offset int64, value string) (describes string, newer bool) {
		o := handle(t, in, stage.Record{Topic: "shop.catalog.products", Partition: partition, Offset: offset, Value: bytesOf(value)})
		for _, d := range o.Out {
			newer = orders.Compare(d.GetSources()[0]) > 0
			orders.Take(d.GetSources())
		}
		return describe(o), newer
	}
	row := func(at string) string { return `{"id":1,"name":"Cup","updated_at":` + at + `}` }
	for _, step := range []struct {
		what      string
		partition int32
		offset    int64
		value     string
		newer     bool
	}{
		{"a change", 0, 9, envelope("c", "null", row("1700000000000000")), true},
		{"an older one, later and elsewhere", 1, 3, envelope("u", "null", row("1600000000000000")), false},
		{"a newer one with a lower offset", 2, 1, envelope("u", "null", row("1700000001000000")), true},
		{"the same again", 2, 1, envelope("u", "null", row("1700000001000000")), false},
		{"another within the same microsecond", 2, 2, envelope("u", "null", row("1700000001000000")), true},
		{"a delete that shows the last value", 0, 0, envelope("d", row("1700000001000000"), "null"), true},
		{"what it was before that", 0, 8, envelope("u", "null", row("1700000001000000")), false},
		{"a new row", 1, 0, envelope("c", "null", row("1700000002000000")), true},
	} {
		if what, newer := take(step.partition, step.offset, step.value); newer != step.newer || strings.Contains(what, "letter") {
			t.Errorf("%s: newer %v\n%s", step.what, newer, what)
		}
	}
	for what, value := range map[string]string{
		"a row without the column":       envelope("c", "null", `{"id":1,"name":"Cup"}`),
		"a row with another kind of":     envelope("c", "null", row(`"soon"`)),
		"a time before 1970":             envelope("c", "null", row("-5")),
		"a delete that does not show it": envelope("d", `{"id":1}`, "null"),
	} {
		const want = "failed Product/1 missing-id\nletter missing-id: the change has no whole number and no time in column \"updated_at\", which source.order names"
		if got, _ := take(0, 20, value); got != want {
			t.Errorf("%s: got\n%s", what, got)
		}
	}
}

func TestHandle_anUpdateThatMayHaveChangedTheTenantUnseen(t *testing.T) {
	const refused = "failed Product/6/1 missing-id\n" +
		`letter missing-id: the key does not have all of the columns ["id" "shop"], and the update does not show what they were: it may leave another item behind. ` +
		"Key the topic by them, or have the source send whole rows before (PostgreSQL: REPLICA IDENTITY FULL)"
	const row, item = `{"id":1,"shop":6,"name":"Cup"}`, `upsert Product/6/1 "Cup"`
	run(t, shop, "shop.catalog.products", map[string]fact{
		"nothing is shown":        {[]string{id, tenant}, `{"id":1}`, postgres("u", "null", row), refused},
		"only the key is shown":   {[]string{id, tenant}, `{"id":1}`, postgres("u", `{"id":1,"shop":0}`, row), refused},
		"the row is shown":        {[]string{id, tenant}, `{"id":1}`, postgres("u", row, row), item},
		"the key has it":          {[]string{id, tenant}, `{"id":1,"shop":6}`, postgres("u", "null", row), item},
		"the row is new":          {[]string{id, tenant}, `{"id":1}`, postgres("c", "null", row), item},
		"a row of a snapshot":     {[]string{id, tenant}, `{"id":1}`, postgres("r", "null", row), item},
		"no key, one partition":   {[]string{id, tenant}, "-", postgres("u", "null", row), item},
		"an id beside the key":    {nil, `{"uid":9}`, postgres("u", "null", `{"id":1,"name":"Cup"}`), "failed Product/1 missing-id\n" + strings.Replace(strings.SplitN(refused, "\n", 2)[1], `["id" "shop"]`, `["id"]`, 1)},
		"an id that before shows": {nil, `{"uid":9}`, envelope("u", `{"id":1}`, `{"id":1,"name":"Cup"}`), `upsert Product/1 "Cup"`},
	})
}

func TestHandle_topicsByTheirPatterns(t *testing.T) {
	run(t, strings.Replace(shop, "[shop.catalog.products]", `["shop.*.products"]`, 1), "shop.eu.products", map[string]fact{
		"a topic of the pattern": {nil, "-", envelope("c", "null", `{"id":1,"name":"Cup"}`), `upsert Product/1 "Cup"`},
		"another one":            {[]string{"shop.*.products", "shop.*.stock"}, "-", envelope("c", "null", `{"id":1,"name":"Cup"}`), `skip unmatched`},
		"its table by its name":  {[]string{id, "  match: {db: eu, table: products}\n" + id, "format: debezium", "format: rows"}, "-", `{"id":1,"name":"Cup"}`, `upsert Product/1 "Cup"`},
	})
}
