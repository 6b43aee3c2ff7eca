package ingester_test

import (
	"strings"
	"testing"

	"github.com/freshet-io/freshet/libs/fault"
	"github.com/freshet-io/freshet/libs/stage"
)

// megabyte is how long hostile values are, about.
const megabyte = 1 << 20

func fill(unit string) string { return strings.Repeat(unit, megabyte/len(unit)) }

// What somebody sends to hurt has an outcome like everything else: the test's own bound is
// that of time, the memory that it takes the machine's.
func TestHandle_hostileValues(t *testing.T) {
	canal := func(rows, old string) string { return message("UPDATE", "["+rows+"]", "["+old+"]") }
	values := map[string]struct {
		value string
		want  fault.Reason // "" for documents
	}{
		"nested objects":             {fill(`{"a":`), fault.Malformed},
		"nested lists":               {fill(`[`), fault.Malformed},
		"nested in a row":            {`{"id":1,"name":` + fill(`[`), fault.Malformed},
		"many fields":                {`{"id":1` + fill(`,"a":1`) + `}`, fault.Malformed},
		"one name again and again":   {`{"id":1,"name":"A"` + strings.Repeat(`,"id":2`, 60_000) + `}`, ""},
		"a huge exponent":            {`{"id":1e999999999,"name":"A"}`, fault.MissingID},
		"a huge exponent in a text":  {canal(`{"id":"1e999999999","name":"A"}`, `{"name":"B"}`), fault.MissingID},
		"an endless number":          {`{"id":` + fill("1") + `,"name":"A"}`, ""},
		"an endless number of zeros": {canal(`{"id":"`+fill("0")+`","name":"A"}`, `{"name":"B"}`), ""},
		"a long text of quotes":      {`{"id":1,"name":"` + fill(`\"`) + `"}`, ""},
		"an open text":               {`{"id":1,"name":"` + fill("x"), fault.Malformed},
		"backslashes":                {`{"id":1,"name":"` + fill(`\`), fault.Malformed},
		"no UTF-8":                   {`{"id":1,"name":"` + fill("\xff\xfe") + `"}`, fault.Malformed},
		"NUL":                        {`{"id":1,"name":"` + fill("\x00") + `"}`, fault.Malformed},
		"NUL as JSON writes it":      {`{"id":1,"name":"` + fill(`\u0000`) + `"}`, ""},
		"halves of pairs":            {`{"id":1,"name":"` + fill(`\ud83d`) + `"}`, ""},
		"rows without columns":       {canal(strings.TrimSuffix(fill(`{},`), ","), ""), fault.Malformed},
		"many rows":                  {canal(strings.TrimSuffix(strings.Repeat(`{"id":1},`, 30_000), ","), strings.TrimSuffix(strings.Repeat(`{"id":2},`, 30_000), ",")), fault.MissingText},
		"many images and one row":    {canal(`{"id":1,"name":"A"}`, strings.TrimSuffix(fill(`{},`), ",")), fault.Malformed},
		"a row of Maxwell's":         {`{"database":"d","table":"t","type":"update","data":{"id":1,"name":"A"},"old":{` + strings.TrimSuffix(strings.Repeat(`"a":1,`, 60_000), ",") + `}}`, ""},
		"white space":                {fill(" ") + `{"id":1,"name":"A"}`, ""},
		"nothing but white space":    {fill("\n"), fault.Malformed},
	}
	for name, test := range values {
		t.Run(name, func(t *testing.T) {
			in := newIngester(t, parse(t, strings.Replace(shop, "format: debezium", "format: auto", 1)))
			o := handle(t, in, stage.Record{Topic: "shop.catalog.products", Value: []byte(test.value)})
			if fault.ReasonOf(o.Err) != test.want || o.Err == nil && len(o.Out) == 0 {
				t.Errorf("%d documents, label %s, %v", len(o.Out), o.Label, o.Err)
			}
			if o.Err != nil && len(o.Err.Error()) > 300 {
				t.Errorf("an error of %d bytes", len(o.Err.Error()))
			}
			handle(t, in, stage.Record{Topic: "shop.catalog.products", Key: []byte(test.value)}) // and as a key
		})
	}
}
