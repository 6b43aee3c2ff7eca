package pipeline_test

import (
	"encoding/hex"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/freshet-io/freshet/libs/pipeline"
)

const minimal = `apiVersion: freshet/v1
space: {provider: hash, dimensions: 64}
pipelines:
- name: products
  source: {topics: [t], format: rows}
  collection: Product
  id: {from: [id]}
  text: {template: "{{name}}"}
`

func TestLoad_theFileOfTheDocs(t *testing.T) {
	file, err := pipeline.Load(filepath.Join("testdata", "shop.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := file.Space.String(), "openai/text-embedding-3-large/3072"; got != want {
		t.Errorf("space %s, want %s", got, want)
	}
	products := &file.Pipelines[0]
	wantFields := []string{
		"id", "shop_id", "attributes", "brand", "category_path", "deleted_at", "description", "is_active", "name",
		"price", "stock", "tags", "updated_at", "类目",
	}
	if got := products.Fields(); !slices.Equal(got, wantFields) {
		t.Errorf("fields %v\nwant   %v", got, wantFields)
	}
	if got := file.Topics(); !slices.Equal(got, []string{"shop.catalog.products", "shop.products.rows"}) {
		t.Errorf("topics %v", got)
	}
	specs := file.Collections()
	if len(specs) != 1 || specs[0].Name != "Product" {
		t.Fatalf("collections %+v", specs)
	}
	var names []string
	for _, p := range specs[0].Properties {
		names = append(names, p.Name+":"+string(p.Type))
	}
	want := "name:text price:number stock:int category:text color:text tags:text[] updated_at:date rank:int"
	if got := strings.Join(names, " "); got != want {
		t.Errorf("properties %s\nwant       %s", got, want)
	}
}

func TestParse_eachFaultIsFoundWithItsLine(t *testing.T) {
	for name, test := range map[string]struct {
		change [2]string // old and new text within the minimal file
		want   string
	}{
		"a key with a typo":            {[2]string{"collection: P", "colection: P"}, "line 6: pipelines[0].colection: unknown key, did you mean collection?"},
		"a key nobody knows":           {[2]string{"  id:", "  banana: 1\n  id:"}, "line 7: pipelines[0].banana: unknown key\n"},
		"a key twice":                  {[2]string{"  id:", "  name: x\n  id:"}, "line 7: mapping key \"name\" already defined"},
		"a text where a number goes":   {[2]string{"64", "many"}, "line 2: space.dimensions: is a text where a whole number is expected\n"},
		"a text for a boolean":         {[2]string{"format: rows", "format: rows, partial: yes"}, "line 5: pipelines[0].source.partial: is a text, write true\n"},
		"a number for a boolean":       {[2]string{"format: rows", "format: rows, partial: 1"}, "source.partial: is a number where true or false is expected\n"},
		"an id alone":                  {[2]string{"{from: [id]}", "id"}, "line 7: pipelines[0].id: is a text, write {from: [id]}\n"},
		"ids alone":                    {[2]string{"{from: [id]}", "[id, shop]"}, "line 7: pipelines[0].id: is a list, write {from: [id, shop]}\n"},
		"ids below each other":         {[2]string{"{from: [id]}", "\n  - a\n  - b"}, "line 7: pipelines[0].id: is a list where {from} is expected\n"},
		"an id's column alone":         {[2]string{"[id]", "id"}, "line 7: pipelines[0].id.from: is a text, write [id]\n"},
		"a topic alone":                {[2]string{"[t]", "t"}, "line 5: pipelines[0].source.topics: is a text, write [t]\n"},
		"a stream alone":               {[2]string{"format: rows", "format: rows, redis: s"}, "line 5: pipelines[0].source.redis: is a text, write {stream: s}\n"},
		"a template alone":             {[2]string{`{template: "{{name}}"}`, "a {{name}}"}, `line 8: pipelines[0].text: is a text, write {template: "a {{name}}"}` + "\n"},
		"a table alone":                {[2]string{"  id:", "  match: t\n  id:"}, "line 7: pipelines[0].match: is a text where {db, schema, table} is expected\n"},
		"a scale alone":                {property("{name: a, type: number, decimal: 2}"), "line 7: pipelines[0].properties[0].decimal: is a number, write {scale: 2}\n"},
		"a condition as a text":        {[2]string{"  id:", "  when: a = 1\n  id:"}, "line 7: pipelines[0].when: is a text where a list of {field, …} is expected\n"},
		"a condition without its list": {[2]string{"  id:", "  when: {field: a, eq: 1}\n  id:"}, "line 7: pipelines[0].when: is a mapping, write [{field: a, eq: 1}]\n"},
		"conditions as texts":          {[2]string{"  id:", "  when: [a = 1]\n  id:"}, "line 7: pipelines[0].when[0]: is a text where {field, …} is expected\n"},
		"a name with keys":             {[2]string{"name: products", "name: {a: b}"}, "line 4: pipelines[0].name: is a mapping where a text is expected\n"},
		"one pipeline without a list":  {[2]string{minimal[strings.Index(minimal, "pipelines"):], "pipelines: products"}, "line 3: pipelines: is a text where a list of {name, source, collection, id, text, …} is expected\n"},
		"a file that is a list":        {[2]string{minimal, "[a]"}, "the file: is a list where {apiVersion, space, pipelines, …} is expected\n"},
		"no UTF-8":                     {[2]string{"products", "products\xff"}, "the file is not UTF-8"},
		"an argument without UTF-8":    {[2]string{`"{{name}}"`, `'{{name | default "\xff"}}'`}, "default: \"\\xff\" is not UTF-8"},
		"no YAML at all":               {[2]string{"apiVersion: freshet/v1", "a: [}"}, "line 2: "},
		"two documents":                {[2]string{"space:", "---\nspace:"}, "2 YAML documents"},
		"an alias":                     {[2]string{"[id]", "*ids"}, "line 7: pipelines[0].id.from: anchors and aliases are not supported"},
		"another version of the file":  {[2]string{"freshet/v1", "freshet/v9"}, `line 1: apiVersion: "freshet/v9" is not freshet/v1`},
		"an unknown provider":          {[2]string{"provider: hash", "provider: magic"}, `line 2: space.provider: "magic" is not one of openai, builtin, hash`},
		"a provider without its model": {[2]string{"provider: hash", "provider: openai"}, "line 2: space.model: is missing"},
		"no dimensions":                {[2]string{", dimensions: 64", ""}, "line 2: space.dimensions: 0 is not between"},
		"no pipelines":                 {[2]string{minimal[strings.Index(minimal, "pipelines"):], "pipelines: []"}, "line 3: pipelines: there is none"},
		"a pipeline's bad name":        {[2]string{"name: products", "name: My Products"}, `line 4: pipelines[0].name: "My Products"`},
		"a small collection":           {[2]string{"Product", "product"}, `line 6: pipelines[0].collection: "product" does not start with a capital`},
		"a collection like a build":    {[2]string{"Product", "Product_g2"}, "ends like a generation"},
		"no topics":                    {[2]string{"[t]", "[]"}, "line 5: pipelines[0].source.topics: there is none"},
		"a topic twice":                {[2]string{"[t]", "[t, t]"}, "t is listed twice"},
		"a topic of other signs":       {[2]string{"[t]", `["t?"]`}, `pipelines[0].source.topics[0]: "t?" is no name of a topic`},
		"an order within a column":     {[2]string{"format: rows", "format: rows, order: a.b"}, "pipelines[0].source.order: a.b is not a column"},
		"two orders":                   {[2]string{"format: rows", "format: rows, order: a, ordered: true"}, "pipelines[0].source.ordered: says that the topic has the order"},
		"HTTP to a pattern":            {[2]string{"[t]", `["t*"], http: true`}, "pipelines[0].source.http: needs one topic by its name"},
		"a format by half":             {[2]string{"format: rows", "format: row"}, "did you mean rows?"},
		"a prefix of no rows":          {[2]string{"format: rows", "format: canal, prefix: x_"}, "pipelines[0].source.prefix: is for rows only, the format is canal"},
		"how it is written":            {[2]string{"format: rows", "format: Avro"}, "line 5: pipelines[0].source.format: Avro is no format: debezium or rows, with FRESHET_SCHEMA_REGISTRY_URL\n"},
		"no format":                    {[2]string{", format: rows", ""}, `pipelines[0].source.format: "" is not one of`},
		"no id":                        {[2]string{"[id]", "[]"}, "line 7: pipelines[0].id.from: names no column"},
		"an id twice":                  {[2]string{"[id]", "[id, id]"}, "id is listed twice"},
		"an id within a column":        {[2]string{"[id]", "[doc.id]"}, "doc.id is not a column"},
		"an empty tenant":              {[2]string{"  id:", "  tenant: {}\n  id:"}, "line 7: pipelines[0].tenant.from: a path is empty"},
		"an unknown oversize":          {[2]string{`"{{name}}"`, `"{{name}}", oversize: explode`}, `text.oversize: "explode"`},
		"a template without a field":   {[2]string{"{{name}}", "name"}, "line 8: pipelines[0].text.template: template reads no field"},
		"two faults in one template":   {[2]string{"{{name}}", "{{name | upper}} {{a..b}}"}, `function "upper" is not one of default, join, json, lower, strip_html, truncate`},
		"a path that is a program":     {[2]string{"{{name}}", "{{a.@this}}"}, "only names, numbers and # are allowed"},
		"a bad require":                {[2]string{`"{{name}}"`, `"{{name}}", require: [""]`}, "text.require[0]: a path is empty"},
		"two conditions in one":        {[2]string{"  id:", "  when: [{field: a, eq: 1, ne: 2}]\n  id:"}, `line 7: pipelines[0].when: field "a": needs exactly one of`},
		"a condition on null":          {[2]string{"  id:", "  when: [{field: a, eq: null}]\n  id:"}, "for null say exists: false"},
		"a condition on a list":        {[2]string{"  id:", "  when: [{field: a, eq: [1]}]\n  id:"}, "is no text, number, true or false"},
		"a choice of nothing":          {[2]string{"  id:", "  when: [{field: a, in: []}]\n  id:"}, "no row would pass"},
		"a reserved property":          {property("{name: freshet_base, type: int}"), "properties[0].name: freshet_base is reserved"},
		"a property named vector":      {property("{name: vector, type: text}"), "vector is reserved"},
		"a property with a capital":    {property("{name: Price, type: int}"), `"Price" does not start with a small letter`},
		"a property twice":             {property("{name: a, type: int}, {name: a, type: int}"), "properties[1].name: a is listed twice"},
		"an unknown type":              {property("{name: a, type: float}"), `properties[0].type: "float" is not one of text, number, int`},
		"a type by another name":       {property("{name: a, type: integer}"), "date[], did you mean int?\n"},
		"a decimal as a type":          {property("{name: a, type: decimal}"), "date[], did you mean number?\n"},
		"a scale in one key":           {property("{name: a, type: number, decimal.scale: 2}"), "unknown key, write decimal: {scale: …}\n"},
		"an operator by another name":  {[2]string{"  id:", "  when: [{field: a, equals: 1}]\n  id:"}, "pipelines[0].when[0].equals: unknown key, did you mean eq?\n"},
		"conditions by another name":   {[2]string{"  id:", "  filter: [{field: a, eq: 1}]\n  id:"}, "line 7: pipelines[0].filter: unknown key, did you mean when?\n"},
		"an open expression":           {[2]string{`"{{name}}"`, `"{{name\n{{brand}}"`}, "template line 1: {{ is not closed by }}\n"},
		"an unknown parse":             {property("{name: a, type: text, parse: xml}"), `parse: "xml" is not json`},
		"an unknown unit":              {property("{name: a, type: date, unit: weeks}"), `unit: "weeks" is not one of`},
		"a unit of a text":             {property("{name: a, type: text, unit: ms}"), "unit: is for dates only"},
		"a scale below zero":           {property("{name: a, type: number, decimal: {scale: -1}}"), "decimal.scale: -1 is not between"},
		"a scale of a boolean":         {property("{name: a, type: boolean, decimal: {scale: 1}}"), "decimal: is for number, int and text only"},
		"a negative budget":            {[2]string{"  id:", "  budgetPerDay: -1\n  id:"}, "pipelines[0].budgetPerDay: -1 is negative"},
		"a budget that is no number":   {[2]string{"  id:", "  budgetPerDay: .nan\n  id:"}, "pipelines[0].budgetPerDay: NaN is negative"},
		"one column read in two ways":  {property("{name: a, from: x, type: date, unit: ms}, {name: b, from: x, type: date, unit: us}"), "column x is declared with another unit"},
	} {
		t.Run(name, func(t *testing.T) {
			text := strings.Replace(minimal, test.change[0], test.change[1], 1)
			if text == minimal {
				t.Fatal("the change changes nothing")
			}
			_, err := pipeline.Parse([]byte(text))
			if err == nil || !strings.Contains(err.Error()+"\n", test.want) {
				t.Fatalf("got  %v\nwant %s", err, test.want)
			}
		})
	}
}

func property(list string) [2]string {
	return [2]string{"  id:", "  properties: [" + list + "]\n  id:"}
}

func TestParse_allFaultsAtOnceInTheOrderOfLines(t *testing.T) {
	_, err := pipeline.Parse([]byte(`apiVersion: freshet/v2
space: {provider: hash, dimensions: 0, dimension: 64}
pipelines:
- name: a
  source: {topic: [t], topics: [t], format: rows}
  collection: Product
  id: {from: [id]}
  text: {template: "{{name | trim}}"}
  properties: [{name: p, type: int}]
- name: a
  source: {topics: [t], format: debezium}
  collection: Product
  tenant: {from: shop}
  id: {from: [id]}
  text: {template: "{{name}}"}
  properties: [{name: p, type: text}]
`))
	if err == nil {
		t.Fatal("no error")
	}
	var lines []string
	for line := range strings.Lines(err.Error()) {
		lines = append(lines, strings.SplitN(line, ":", 3)[0]+":"+strings.SplitN(line, ":", 3)[1])
	}
	want := []string{
		"line 1: apiVersion", "line 2: space.dimension", "line 2: space.dimensions", "line 5: pipelines[0].source.topic",
		"line 8: pipelines[0].text.template", "line 10: pipelines[1].name", "line 11: pipelines[1].source.format",
		"line 13: pipelines[1].tenant", "line 16: pipelines[1].properties[0].type",
	}
	if !slices.Equal(lines, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(lines, "\n"), strings.Join(want, "\n"))
	}
}

func TestParse_allValuesOfAWrongKindAreTold(t *testing.T) {
	_, err := pipeline.Parse([]byte(strings.NewReplacer("64", "many", "[t]", "t", "name: products", "nam: products").Replace(minimal)))
	const want = `line 2: space.dimensions: is a text where a whole number is expected
line 4: pipelines[0].nam: unknown key, did you mean name?
line 5: pipelines[0].source.topics: is a text, write [t]`
	if err == nil || err.Error() != want {
		t.Errorf("got\n%v\nwant\n%s", err, want)
	}
}

func TestParse_whatFollowsFromAnUnknownKeyIsNotTold(t *testing.T) {
	for name, test := range map[string]struct{ old, new, want string }{
		"text":         {"text:", "txt:", "line 8: pipelines[0].txt: unknown key, did you mean text?"},
		"template":     {"{template:", "{templte:", "line 8: pipelines[0].text.templte: unknown key, did you mean template?"},
		"model":        {"provider: hash", "provider: openai, mdel: x", "line 2: space.mdel: unknown key, did you mean model?"},
		"pipelines":    {"pipelines:", "pipeline:", "line 3: pipeline: unknown key, did you mean pipelines?"},
		"collection":   {"collection: P", "colection: P", "line 6: pipelines[0].colection: unknown key, did you mean collection?"},
		"operator":     {"  id:", "  when: [{field: a, equals: 1}]\n  id:", "line 7: pipelines[0].when[0].equals: unknown key, did you mean eq?"},
		"what is else": {"  id: {from: [id]}\n  text:", "  id: {from: []}\n  txt:", "line 7: pipelines[0].id.from: names no column\nline 8: pipelines[0].txt: unknown key, did you mean text?"},
	} {
		_, err := pipeline.Parse([]byte(strings.Replace(minimal, test.old, test.new, 1) + "collections: [{name: Product}]\n"))
		if err == nil || err.Error() != test.want {
			t.Errorf("%s: got\n%v\nwant\n%s", name, err, test.want)
		}
	}
}

func TestParse_aPropertyTwiceIsOfOnePipeline(t *testing.T) {
	twice := property("{name: a, type: int}, {name: a, type: text}")
	_, err := pipeline.Parse([]byte(strings.Replace(minimal, twice[0], twice[1], 1)))
	if err == nil || err.Error() != "line 7: pipelines[0].properties[1].name: a is listed twice" {
		t.Error(err)
	}
}

func TestLoad_aMissingFileIsNamed(t *testing.T) {
	_, err := pipeline.Load(filepath.Join(t.TempDir(), "absent.yaml"))
	if err == nil || !strings.Contains(err.Error(), "absent.yaml") {
		t.Errorf("got %v", err)
	}
}

func TestSpace_aPrefixMakesAnotherSpace(t *testing.T) {
	plain := pipeline.Space{Provider: "builtin", Dimensions: 512}
	prefixed := plain
	prefixed.Prefix = "passage: "
	if plain.String() != "builtin/512" || prefixed.String() == plain.String() {
		t.Errorf("%s and %s", plain, prefixed)
	}
}

func TestRecipe_changesWithTheTextAndWithNothingElse(t *testing.T) {
	parse := func(text string) *pipeline.Pipeline {
		t.Helper()
		file, err := pipeline.Parse([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		return &file.Pipelines[0]
	}
	hash, body := parse(minimal).Recipe()
	if want := `{"oversize":"truncate","require":[],"template":"{{name}}","when":[]}`; body != want {
		t.Errorf("body %s\nwant %s", body, want)
	}
	// Committed: stored documents carry it, so it must never change for this body.
	if got, want := hex.EncodeToString(hash), goldenRecipe; got != want {
		t.Errorf("hash %s, want %s", got, want)
	}
	if again, _ := parse(strings.Replace(minimal, "  id:", "  budgetPerDay: 1\n  id:", 1)).Recipe(); !slices.Equal(hash, again) {
		t.Error("a budget changes the hash")
	}
	for _, same := range []string{"oversize: truncate, ", "require: [], "} {
		if again, _ := parse(strings.Replace(minimal, "text: {", "text: {"+same, 1)).Recipe(); !slices.Equal(hash, again) {
			t.Errorf("%s changes the hash", same)
		}
	}
	for _, other := range []string{
		strings.Replace(minimal, "{{name}}", "{{name}}.", 1),
		strings.Replace(minimal, "text: {", "text: {require: [name], ", 1),
		strings.Replace(minimal, "text: {", "text: {oversize: deadletter, ", 1),
		strings.Replace(minimal, "  id:", "  when: [{field: a, eq: 1}]\n  id:", 1),
	} {
		if again, _ := parse(other).Recipe(); slices.Equal(hash, again) {
			t.Errorf("the same hash for\n%s", other)
		}
	}
}

const goldenRecipe = "5b056d7e1cee68674c32e68ef5f9a427"

func FuzzParse(f *testing.F) {
	f.Add([]byte(minimal))
	shop, err := os.ReadFile(filepath.Join("testdata", "shop.yaml"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(shop)
	f.Add([]byte("a: &a [*a]"))
	f.Add([]byte("- - -"))
	f.Fuzz(func(t *testing.T, text []byte) {
		file, err := pipeline.Parse(text)
		if (file == nil) == (err == nil) {
			t.Fatalf("file %v and error %v", file, err)
		}
		if err == nil {
			for i := range file.Pipelines {
				if _, err := file.Pipelines[i].Rules(); err != nil {
					t.Fatalf("a file passed the check and does not compile: %v", err)
				}
			}
		}
	})
}
