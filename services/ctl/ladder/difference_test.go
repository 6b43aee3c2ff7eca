package ladder_test

import (
	"testing"

	"github.com/freshet-io/freshet/libs/record"
	"github.com/freshet-io/freshet/libs/weaviate"
	"github.com/freshet-io/freshet/services/ctl/catalogue"
)

// What the ladder takes for lost or stale must be found, or its table shows nothing.
func TestDifference_findsWhatIsLostOrStale(t *testing.T) {
	want := catalogue.Products()[0]
	number := func(n float64) *record.Value { return &record.Value{Kind: &record.Value_Number{Number: n}} }
	integer := func(n int64) *record.Value { return &record.Value{Kind: &record.Value_Integer{Integer: n}} }
	as := func(change func(*weaviate.Stored)) weaviate.Stored {
		s := weaviate.Stored{Main: true, State: record.State{
			Base: 2, Text: want.Text(), Held: []byte{1}, Wanted: []byte{1},
			Properties: []*record.Property{{Name: "price", Value: number(float64(want.Price) / 100)}, {Name: "stock", Value: integer(int64(want.Stock))}},
		}}
		change(&s)
		return s
	}
	same := as(func(*weaviate.Stored) {})
	if err := difference(want, true, same); err != nil {
		t.Errorf("the product as it was sent: %v", err)
	}
	if err := difference(want, false, as(func(s *weaviate.Stored) { s.State.Floor = 3 })); err != nil {
		t.Errorf("a product that is gone: %v", err)
	}
	if difference(want, false, same) == nil {
		t.Error("a product that was deleted and is still there is not found")
	}
	for name, change := range map[string]func(*weaviate.Stored){
		"lost":            func(s *weaviate.Stored) { s.Main = false },
		"deleted":         func(s *weaviate.Stored) { s.State.Floor = 3 },
		"an older text":   func(s *weaviate.Stored) { s.State.Text += "." },
		"an older price":  func(s *weaviate.Stored) { s.State.Properties[0].Value = number(1) },
		"an older stock":  func(s *weaviate.Stored) { s.State.Properties[1].Value = integer(-1) },
		"an older vector": func(s *weaviate.Stored) { s.State.Held = []byte{2} },
	} {
		if difference(want, true, as(change)) == nil {
			t.Errorf("%s: nothing is found", name)
		}
	}
}
