package maxwell_test

import (
	"strings"
	"testing"

	"github.com/freshet-io/freshet/services/ingest/change"
	"github.com/freshet-io/freshet/services/ingest/maxwell"
)

var limits = change.Limits{Bytes: 1 << 16, Depth: 32, Fields: 4096}

func TestDecode_timesAndPlaces(t *testing.T) {
	for members, position := range map[string]string{
		`"position":"master.000006:800911"`:                  "master.000006:800911",
		`"position":"master.000006:800911","gtid":"a-b:1-7"`: "a-b:1-7",
		`"gtid":null`: "",
		`"gtid":"` + strings.Repeat("g", 300) + `"`: "300 bytes of position",
	} {
		body, err := change.Open([]byte(`{"database":"d","table":"t","type":"insert","ts":1700000000,"data":{"id":1},`+members+`}`), limits)
		if err != nil {
			t.Fatal(err)
		}
		c, is := maxwell.Decode(body)
		if !is || c.Position != position || c.CommittedAt != 1700000000000000 || c.Table != (change.Table{DB: "d", Name: "t"}) {
			t.Errorf("%s: %v, %+v", members, is, c)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"database":"d","table":"t","type":"update","ts":1,"data":{"id":1},"old":{"id":2}}`))
	f.Add([]byte(`{"database":"d","table":"t","type":"bootstrap-start","data":{}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		body, err := change.Open(b, limits)
		if err != nil || body.Null {
			return
		}
		c, is := maxwell.Decode(body)
		switch {
		case !is:
		case c.Op == change.Upsert && !c.After.IsObject(), c.Op == change.Delete && !c.Before.IsObject(), c.Op == change.Skip && c.Label == "":
			t.Errorf("%+v", c)
		}
	})
}
