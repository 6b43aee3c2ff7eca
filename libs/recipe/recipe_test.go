package recipe_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/freshet-io/freshet/libs/fault"
	"github.com/freshet-io/freshet/libs/pipeline"
	"github.com/freshet-io/freshet/libs/recipe"
)

const file = `apiVersion: freshet/v1
space: {provider: hash, dimensions: 8}
pipelines:
- name: products
  source: {topics: [products], format: rows}
  collection: Product
  id: {from: [id]}
  text: {template: "{{name}} {{notes}}", require: [name], oversize: deadletter}
  when: [{field: shop, in: [9007199254740993, "a"]}, {field: gone, exists: false}]
  properties:
  - {name: price, type: number, decimal: {scale: 2}}
  - {name: colour, from: attributes.colour, parse: json, type: text}
  - {name: at, type: date, unit: us}
`

// TestParse_makesTheSameItems: what write reads from the control topic makes what ingest made of the pipeline file.
func TestParse_makesTheSameItems(t *testing.T) {
	loaded, err := pipeline.Parse([]byte(file))
	if err != nil {
		t.Fatal(err)
	}
	p := &loaded.Pipelines[0]
	own, err := recipe.New(p)
	if err != nil {
		t.Fatal(err)
	}
	hash, body := p.ItemRecipe()
	published, err := recipe.Parse(body)
	if err != nil {
		t.Fatal(err)
	}
	again, err := pipeline.ParseItemRecipe(body)
	if err != nil {
		t.Fatal(err)
	}
	if h, b := again.ItemRecipe(); !slices.Equal(h, hash) || b != body {
		t.Errorf("read and written again:\n%s\nbefore\n%s", b, body)
	}
	if own.Oversize() != published.Oversize() {
		t.Error("another policy for long texts")
	}
	for row, want := range map[string]string{
		`{"shop":9007199254740993,"gone":null,"name":"Cup","notes":"red","price":1.50,"attributes":"{\"colour\":\"red\"}","at":"2026-01-02T03:04:05Z"}`: "Cup red [price colour at]",
		`{"shop":9007199254740992,"gone":null,"name":"Cup"}`:             "hidden",
		`{"shop":"a","gone":null,"name":"Cup","notes":null}`:             "Cup []",
		`{"shop":"a","gone":null,"name":" "}`:                            string(fault.MissingText),
		`{"shop":"a","name":"Cup"}`:                                      string(fault.UnavailableValue),
		`{"shop":{},"gone":null,"name":"Cup"}`:                           string(fault.FieldType),
		`{"shop":"a","gone":null,"name":"Cup","price":"cheap"}`:          string(fault.FieldType),
		`{"shop":"a","gone":null,"name":"Cup","attributes":"no object"}`: string(fault.FieldType),
	} {
		for which, r := range map[string]*recipe.Recipe{"own": own, "published": published} {
			if got := describe(r.Make(pipeline.ParseRow([]byte(row)))); got != want {
				t.Errorf("%s of %s: %q, want %q", which, row, got, want)
			}
		}
	}
	if _, err := recipe.Parse("{"); err == nil {
		t.Error("half a recipe is read")
	}
}

func describe(made recipe.Made, err error) string {
	switch {
	case err != nil:
		return string(fault.ReasonOf(err))
	case made.Hidden:
		return "hidden"
	}
	var names []string
	for _, p := range made.Properties {
		names = append(names, p.GetName())
	}
	return made.Text + " [" + strings.Join(names, " ") + "]"
}
