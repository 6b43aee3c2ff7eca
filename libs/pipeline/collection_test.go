package pipeline_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/freshet-io/freshet/libs/pipeline"
)

// section puts a section on the collection before the pipelines of the minimal file.
func section(keys string) [2]string {
	return [2]string{"pipelines:", "collections: [{name: Product, " + keys + "}]\npipelines:"}
}

func TestParse_impossibleCollectionsAreFoundWithTheirLine(t *testing.T) {
	for name, test := range map[string]struct {
		change [2]string
		want   string
	}{
		"of no pipeline":             {[2]string{"pipelines:", "collections: [{name: Nobody}]\npipelines:"}, `line 3: collections[0].name: no pipeline writes collection "Nobody"`},
		"twice":                      {[2]string{"pipelines:", "collections: [{name: Product}, {name: Product}]\npipelines:"}, "line 3: collections[1].name: Product has two sections"},
		"an unknown key":             {section("index: {efConstructoin: 9}"), "collections[0].index.efConstructoin: unknown key, did you mean efConstruction?"},
		"an unknown distance":        {section("distance: hamming"), `line 3: collections[0].distance: "hamming" is not one of`},
		"a vector's bad name":        {section("vector: my-vector"), `collections[0].vector: "my-vector" does not start`},
		"copies below zero":          {section("replication: -1"), "collections[0].replication: -1 is not between"},
		"tenants without any":        {section("multiTenancy: true"), "collections[0].multiTenancy: pipeline products has no tenant"},
		"an unknown index":           {section("index: {type: hfresh}"), `collections[0].index.type: "hfresh" is not one of hnsw, flat, dynamic`},
		"ef as text":                 {section("index: {ef: many}"), "line 3: collections[0].index.ef: is a text where a whole number is expected"},
		"ef of nothing":              {section("index: {ef: 0}"), "collections[0].index.ef: 0 finds nothing"},
		"ef below its bound":         {section("index: {ef: -2}"), "index.ef: -2 is not between -1"},
		"efConstruction too low":     {section("index: {efConstruction: 3}"), "efConstruction: 3 is not between 4"},
		"too many connections":       {section("index: {maxConnections: 2048}"), "maxConnections: 2048 is not between 4 and 2047"},
		"bounds that cross":          {section("index: {dynamicEfMin: 9, dynamicEfMax: 8}"), "dynamicEfMin: 9 is above dynamicEfMax, 8"},
		"an unknown strategy":        {section("index: {filterStrategy: guess}"), `filterStrategy: "guess" is not one of sweeping, acorn`},
		"a graph of a flat index":    {section("index: {type: flat, ef: 9}"), "index.ef: is for hnsw and dynamic only, the type is flat"},
		"a strategy of a flat index": {section("index: {type: flat, filterStrategy: acorn}"), "filterStrategy: is for hnsw and dynamic only"},
		"a threshold of hnsw":        {section("index: {threshold: 9}"), "index.threshold: is for dynamic only, the type is hnsw"},
		"an unknown quantization":    {section("index: {quantization: {type: zip}}"), `quantization.type: "zip" is not one of none, pq, bq, sq, rq`},
		"pq of a flat index":         {section("index: {type: flat, quantization: {type: pq}}"), "quantization.type: a flat index has bq and rq only"},
		"bits of nothing":            {section("index: {quantization: {bits: 8}}"), "quantization.bits: is for rq only, the type is none"},
		"three bits":                 {section("index: {quantization: {type: rq, bits: 3}}"), "quantization.bits: 3 is not 1 or 8"},
		"rescoring bq in hnsw":       {section("index: {quantization: {type: bq, rescoreLimit: 9}}"), "rescoreLimit: is for sq and rq only, the type is bq"},
		"training rq":                {section("index: {quantization: {type: rq, trainingLimit: 9}}"), "trainingLimit: is for pq and sq only"},
		"segments that do not fit":   {section("index: {quantization: {type: pq, segments: 7}}"), "segments: 7 does not divide the 64 dimensions"},
		"more centroids than a byte": {section("index: {quantization: {type: pq, centroids: 257}}"), "centroids: 257 is not between 1 and 256"},
		"a cache in hnsw":            {section("index: {quantization: {type: rq, cache: true}}"), "cache: is for bq and rq of a flat or dynamic index only"},
		"words of a number":          {property("{name: a, type: int, tokenization: word}"), "line 7: pipelines[0].properties[0].tokenization: is for text only"},
		"unknown words":              {property("{name: a, type: text, tokenization: letters}"), `tokenization: "letters" is not one of word, lowercase`},
		"keywords in a number":       {property("{name: a, type: int, searchable: true}"), "properties[0].searchable: is for text only"},
		"ranges of text":             {property("{name: a, type: text, rangeFilters: true}"), "properties[0].rangeFilters: is for number, int and date only"},
		"ranges of lists":            {property(`{name: a, type: "int[]", rangeFilters: true}`), "rangeFilters: is for number, int and date only"},
	} {
		t.Run(name, func(t *testing.T) {
			text := strings.Replace(minimal, test.change[0], test.change[1], 1)
			_, err := pipeline.Parse([]byte(text))
			if err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "\n") {
				t.Fatalf("got  %v\nwant one line with %s", err, test.want)
			}
		})
	}
}

func TestCollections_areAsTheFileSays(t *testing.T) {
	text := strings.Replace(minimal, "pipelines:", `collections:
- name: Product
  distance: dot
  vector: meaning
  replication: 3
  multiTenancy: true
  index:
    type: dynamic
    ef: -1
    efConstruction: 256
    threshold: 20000
    quantization: {type: rq, bits: 1, rescoreLimit: 100, cache: true}
pipelines:`, 1)
	text = strings.Replace(text, "  id:", `  tenant: {from: shop}
  properties:
  - {name: sku, type: text, tokenization: field, searchable: false}
  - {name: note, type: text, filterable: false}
  - {name: price, type: number, rangeFilters: true}
  id:`, 1)
	file, err := pipeline.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	c := file.Collections()[0]
	if c.Distance != pipeline.Dot || c.Vector != "meaning" || c.Replication != 3 || !c.MultiTenancy || c.Index.Kind() != pipeline.Dynamic ||
		*c.Index.EF != -1 || *c.Index.EFConstruction != 256 || *c.Index.Threshold != 20000 || *c.Index.Quantization.Bits != 1 || !*c.Index.Quantization.Cache {
		t.Errorf("got %+v", c.Collection)
	}
	sku, note, price := c.Properties[0], c.Properties[1], c.Properties[2]
	if sku.Tokens() != "field" || sku.SearchableBy() || !sku.FilterableBy() || note.FilterableBy() || !note.SearchableBy() || note.Tokens() != "word" ||
		!price.RangeFilters || price.Tokens() != "" || price.SearchableBy() {
		t.Errorf("got %+v", c.Properties)
	}
	plain, err := pipeline.Parse([]byte(minimal))
	if err != nil {
		t.Fatal(err)
	}
	if c := plain.Collections()[0]; c.Name != "Product" || c.Index.Kind() != pipeline.HNSW {
		t.Errorf("without a section it is %+v", c)
	}
}

// The section that the README shows, in a file that has tenants.
func TestParse_theSectionOfTheDocs(t *testing.T) {
	section, err := os.ReadFile(filepath.Join("..", "..", "docs", "examples", "collections.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	file, err := pipeline.Parse([]byte(strings.Replace(minimal, "  id:", "  tenant: {from: shop}\n  id:", 1) + string(section)))
	if err != nil {
		t.Fatal(err)
	}
	if c := file.Collections()[0]; !c.MultiTenancy || c.Index.Quantization.Type != "rq" {
		t.Errorf("got %+v", c)
	}
}

const second = `- name: more
  source: {topics: [u], format: rows}
  collection: Product
  id: {from: [id]}
  properties: [{name: a, type: text}]
  text: {template: "{{title}}"}
`

func TestParse_pipelinesOfACollectionIndexAPropertyAlike(t *testing.T) {
	for _, change := range []string{"tokenization: field", "filterable: false", "searchable: false"} {
		text := strings.Replace(minimal, "  id:", "  properties: [{name: a, type: text, "+change+"}]\n  id:", 1) + second
		if _, err := pipeline.Parse([]byte(text)); err == nil || !strings.Contains(err.Error(), "line 14: pipelines[1].properties[0]: another pipeline of Product has a indexed otherwise") {
			t.Errorf("%s: %v", change, err)
		}
	}
}

// The hash says with what a collection was filled: neither names nor the order of pipelines count.
func TestRecipes_areThoseOfAllPipelinesOfACollection(t *testing.T) {
	hash := func(text string) string {
		t.Helper()
		file, err := pipeline.Parse([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		return file.Collections()[0].Recipes
	}
	head, first, _ := strings.Cut(minimal, "pipelines:\n")
	both := hash(head + "pipelines:\n" + first + second)
	if len(both) != 32 || both != hash(head+"pipelines:\n"+second+first) || both != hash(strings.Replace(head+"pipelines:\n"+first+second, "name: more", "name: other", 1)) {
		t.Error("the order or the names of pipelines change the hash")
	}
	if both == hash(minimal) || both == hash(head+"pipelines:\n"+first+strings.Replace(second, "title", "titles", 1)) {
		t.Error("another template has the same hash")
	}
	if want := "7f5cba19e0b5799453a78423f57bb911"; hash(minimal) != want { // committed: collections carry it
		t.Errorf("hash %s, want %s", hash(minimal), want)
	}
}
