package plan_test

import (
	"strings"
	"testing"

	"github.com/freshet-io/freshet/libs/pipeline"
	"github.com/freshet-io/freshet/libs/stage"
	"github.com/freshet-io/freshet/services/ctl/events"
	"github.com/freshet-io/freshet/services/ctl/plan"
	"github.com/freshet-io/freshet/services/ingest/ingester"
)

func TestUnseen_tellsOfColumnsThatNoRowHas(t *testing.T) {
	const misspelt = `apiVersion: freshet/v1
space: {provider: hash, dimensions: 8}
pipelines:
- name: products
  source: {topics: [a], format: auto}
  collection: Product
  id: {from: [sku]}
  text: {template: "{{naem}} {{title}} {{BRAND}} {{note}}"}
  properties: [{name: prize, type: number}, {name: naem, type: text}]
- name: nothing
  source: {topics: [b], format: rows}
  collection: Product
  id: {from: [id]}
  text: {template: "{{naem}}"}
`
	const row = `{"id":1,"name":"Cup","price":7,"brand":"x"}`
	for name, tt := range map[string]struct {
		values []string
		want   string
	}{
		"rows":            {[]string{row, `{"id":2,"note":"n"}`}, "pipeline products: in none of 2 rows: naem, title, BRAND (template), prize (property): did you mean name, brand, price?\n"},
		"nothing to name": {[]string{`{"other":2}`}, "pipeline products: in none of 1 row: naem, title, BRAND, note (template), prize (property)\n"},
		"as it was":       {[]string{`{"type":"UPDATE","data":[{"sku":1}],"old":[` + strings.Replace(row, "name", "naem", 1) + `]}`}, "pipeline products: in none of 1 row: title, BRAND, note (template), prize (property): did you mean brand, price?\n"},
		"unreadable":      {[]string{`{`}, ""},
		"no row":          {[]string{`{"ts_ms":1}`}, ""},
		"control signs":   {[]string{`{"naem\u001b":1}`}, "pipeline products: in none of 1 row: naem, title, BRAND, note (template), prize (property)\n"},
		"all there is":    {[]string{`{"naem":1,"title":2,"BRAND":null,"prize":1,"note":1}`}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			file, err := pipeline.Parse([]byte(misspelt))
			if err != nil {
				t.Fatal(err)
			}
			p, err := plan.New(file, ingester.DefaultConfig(), "a", nil)
			if err != nil {
				t.Fatal(err)
			}
			for _, value := range tt.values {
				if _, err := p.Lines(t.Context(), events.Event{Record: stage.Record{Value: []byte(value)}}); err != nil {
					t.Fatal(err)
				}
			}
			if got := p.Unseen(); got != tt.want {
				t.Errorf("got\n%s\nwant\n%s", got, tt.want)
			}
		})
	}
}
