package ingester_test

import (
	"strings"
	"testing"
)

func TestHandle_severalPipelines(t *testing.T) {
	second := shop[strings.Index(shop, "- name"):]
	second = strings.NewReplacer("name: products", "name: names", "collection: Product", "collection: Name", "{name: stock, type: int}", "{name: sum, from: total, type: int}").Replace(second)
	run(t, shop+second, "shop.catalog.products", map[string]fact{
		"each has its document": {nil, "-", envelope("c", "null", `{"id":1,"name":"Cup"}`), "upsert Product/1 \"Cup\"\nupsert Name/1 \"Cup\""},
		"one refuses":           {nil, "-", envelope("c", "null", `{"id":1,"name":"Cup","stock":"x"}`), "upsert Name/1 \"Cup\"\nfailed Product/1 field-type\nletter field-type: property stock: field stock is no number, but a text"},
		"the other refuses":     {nil, "-", envelope("c", "null", `{"id":1,"name":"Cup","total":"x"}`), "upsert Product/1 \"Cup\"\nfailed Name/1 field-type\nletter field-type: property sum: field total is no number, but a text"},
		"each has the delete":   {nil, `{"id":1}`, "-", "delete Product/1\ndelete Name/1"},
		"each has the mark":     {nil, `{"id":1}`, "{", "failed Product/1 malformed\nfailed Name/1 malformed\nletter malformed: the value is not valid JSON"},
		"one asks for a table":  {[]string{id, "  match: {table: stock}\n" + id}, "-", envelope("c", "null", `{"id":1,"name":"Cup"}`), `upsert Name/1 "Cup"`},
	})
}

// Two pipelines share a table and a collection by a filter.
func TestHandle_anItemThatOnePipelineLeavesAndAnotherTakes(t *testing.T) {
	const shared = `apiVersion: freshet/v1
space: {provider: hash, dimensions: 8}
pipelines:
- name: books
  source: {topics: [t], format: debezium}
  collection: Product
  id: {from: [id]}
  text: {template: "book {{name}}"}
  when: [{field: kind, eq: book}]
- name: films
  source: {topics: [t], format: debezium}
  collection: Product
  id: {from: [id]}
  text: {template: "film {{name}}"}
  properties: [{name: stock, type: int}]
  when: [{field: kind, eq: film}]
`
	book, film := `{"id":7,"name":"Dune","kind":"book"}`, `{"id":7,"name":"Dune","kind":"film"}`
	unread := func(row string) string { return strings.Replace(row, `"Dune"`, `"__debezium_unavailable_value"`, 1) }
	run(t, shared, "t", map[string]fact{
		// PostgreSQL's rows are kept where when hides them, since a later one may lack columns.
		"the first takes it of PostgreSQL":          {nil, "-", postgres("u", "null", book), `upsert Product/7 "book Dune"`},
		"the second takes it of PostgreSQL":         {nil, "-", postgres("u", "null", film), `upsert Product/7 "film Dune"`},
		"neither takes it of PostgreSQL":            {nil, "-", postgres("u", "null", `{"id":7,"name":"Dune","kind":"toy"}`), "upsert Product/7 \"\" hidden {\"id\":7,\"kind\":\"toy\",\"name\":\"Dune\"}\nupsert Product/7 \"\" hidden {\"id\":7,\"kind\":\"toy\",\"name\":\"Dune\"}"},
		"the first takes what is partial":           {nil, "-", postgres("u", "null", unread(book)), `partial Product/7 {"id":7,"kind":"book"} without name`},
		"the one that takes it of PostgreSQL fails": {nil, "-", postgres("u", "null", `{"id":7,"name":"Dune","kind":"film","stock":"x"}`), "failed Product/7 field-type\nletter field-type: property stock: field stock is no number, but a text"},
		"one keeps what the other deletes":          {[]string{"{topics: [t], format: debezium}", "{topics: [t], format: debezium, partial: true}"}, "-", envelope("u", book, `{"id":7,"name":"Dune","kind":"toy"}`), `upsert Product/7 "" hidden {"id":7,"kind":"toy","name":"Dune"}`},

		"the first takes it":           {nil, "-", envelope("u", film, book), `upsert Product/7 "book Dune"`},
		"the second takes it":          {nil, "-", envelope("u", book, film), `upsert Product/7 "film Dune"`},
		"the one that takes it fails":  {nil, "-", envelope("u", book, `{"id":7,"name":"Dune","kind":"film","stock":"x"}`), "failed Product/7 field-type\nletter field-type: property stock: field stock is no number, but a text"},
		"neither takes it":             {nil, "-", envelope("u", book, `{"id":7,"name":"Dune","kind":"toy"}`), "delete Product/7\ndelete Product/7"},
		"the row is gone":              {nil, `{"id":7}`, envelope("d", book, "null"), "delete Product/7\ndelete Product/7"},
		"the other has a collection":   {[]string{"collection: Product", "collection: Book"}, "-", envelope("u", book, film), "delete Book/7\nupsert Product/7 \"film Dune\""},
		"the other has another id":     {[]string{"[id]", "[isbn]"}, "-", envelope("u", "null", `{"id":7,"isbn":9,"name":"Dune","kind":"film"}`), "delete Product/9\nupsert Product/7 \"film Dune\""},
		"an old id that another takes": {[]string{"[id]", "[isbn]"}, "-", envelope("u", `{"isbn":7,"id":7}`, `{"id":7,"isbn":9,"name":"Dune","kind":"film"}`), "delete Product/9\nupsert Product/7 \"film Dune\""},
	})
}

// What a change does not show cannot tell of which of the two its item is.
func TestHandle_anItemOfWhichNoPipelineKnowsWhoseItIs(t *testing.T) {
	const shared = `apiVersion: freshet/v1
space: {provider: hash, dimensions: 8}
pipelines:
- name: books
  source: {topics: [t], format: maxwell}
  collection: Product
  id: {from: [id]}
  text: {template: "book {{name}}"}
  when: [{field: kind, eq: book}]
- name: others
  source: {topics: [t], format: maxwell}
  collection: Product
  id: {from: [id]}
  text: {template: "other {{name}}"}
  when: [{field: kind, ne: book}]
`
	minimal := func(row string) string {
		return `{"database":"d","table":"t","type":"update","ts":1,"data":` + row + `}`
	}
	const dispute = "letter unavailable-value: the change does not show the fields by which several pipelines share the table (when), so that the item may be of any of them: " +
		"have the source send whole rows (MySQL: binlog_row_image=FULL, PostgreSQL: REPLICA IDENTITY FULL)"
	run(t, shared, "t", map[string]fact{
		"both might":       {nil, "-", minimal(`{"id":7,"name":"Dune"}`), "failed Product/7 unavailable-value\nfailed Product/7 unavailable-value\n" + dispute},
		"one does":         {nil, "-", minimal(`{"id":7,"kind":"book"}`), `partial Product/7 {"id":7,"kind":"book"} without name`},
		"the other does":   {nil, "-", minimal(`{"id":7,"kind":"film"}`), `partial Product/7 {"id":7,"kind":"film"} without name`},
		"there is but one": {[]string{"  collection: Product\n  id: {from: [id]}\n  text: {template: \"other", "  collection: Other\n  id: {from: [id]}\n  text: {template: \"other"}, "-", minimal(`{"id":7,"name":"Dune"}`), "partial Product/7 {\"id\":7,\"name\":\"Dune\"} without kind\npartial Other/7 {\"id\":7,\"name\":\"Dune\"} without kind"},
		"one takes all":    {[]string{"  when: [{field: kind, ne: book}]\n", ""}, "-", minimal(`{"id":7,"name":"Dune"}`), `upsert Product/7 "other Dune"`},
	})
}
