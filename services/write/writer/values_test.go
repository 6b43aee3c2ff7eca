package writer_test

import (
	"fmt"
	"math"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/freshet-io/freshet/libs/record"
	"github.com/freshet-io/freshet/libs/weaviate"
)

func text(s string) *record.Value { return &record.Value{Kind: &record.Value_Text{Text: s}} }

func (s *server) testValues(t *testing.T) {
	s.create(t, spec("Valued"))
	item := record.Item{Collection: "Valued", Tenant: "shop 1", ID: []string{"4711", "红"}}
	full := record.State{
		Base: 31<<48 + 5, Floor: 4, Sources: record.Orders{"topic/3": {1, 2, math.MaxUint64}, "http": {7}},
		Wanted: []byte{0xab, 1}, Held: []byte{0xab, 2}, Space: space,
		Inputs: []byte(`{"name":"红灯","price":"1.10"}`), Recipe: []byte{9, 8}, Text: "红灯 lamp\n\"quoted\"",
		Origin:    &record.Origin{Topic: "shop.products", Partition: 3, Offset: 12, CommittedAt: 1764000000000001, Position: "0/16B3748"},
		Failed:    &record.Failure{Version: 31<<48 + 6, Reason: "oversize"},
		Truncated: true, OriginalTokens: 9000, Vector: vectorOf("lamp"),
		Properties: []*record.Property{
			{Name: "name", Value: text("红灯 lamp")},
			{Name: "price", Value: &record.Value{Kind: &record.Value_Integer{Integer: 1<<53 - 1}}},
			{Name: "weight", Value: &record.Value{Kind: &record.Value_Number{Number: -0.1}}},
			{Name: "stocked", Value: &record.Value{Kind: &record.Value_Boolean{Boolean: false}}},
			{Name: "listed", Value: &record.Value{Kind: &record.Value_Date{Date: "2026-11-22T15:00:00.123456Z"}}},
			{Name: "ref", Value: &record.Value{Kind: &record.Value_Uuid{Uuid: "7b0c9fb2-6f0e-5c2b-9f5d-3d8b6f5a3c11"}}},
			{Name: "tags", Value: &record.Value{Kind: &record.Value_Texts{Texts: &record.TextList{Values: []string{"a", "红"}}}}},
			{Name: "sizes", Value: &record.Value{Kind: &record.Value_Numbers{Numbers: &record.NumberList{Values: []float64{1.5, -2e300}}}}},
			{Name: "counts", Value: &record.Value{Kind: &record.Value_Integers{Integers: &record.IntegerList{Values: []int64{-1, 1<<53 - 1}}}}},
			{Name: "flags", Value: &record.Value{Kind: &record.Value_Booleans{Booleans: &record.BooleanList{Values: []bool{true, false}}}}},
			{Name: "sales", Value: &record.Value{Kind: &record.Value_Dates{Dates: &record.TextList{Values: []string{"2026-11-22T15:00:00Z"}}}}},
		},
	}
	bare := record.State{Base: 1, Sources: record.Orders{}, Wanted: []byte{1}, Held: []byte{1}, Space: space, Vector: vectorOf("bare")}
	other := record.Item{Collection: "Valued", ID: []string{"1"}}
	rejected, err := s.client.Put(t.Context(), "Valued", []weaviate.Object{{Item: item, State: full}, {Item: other, State: bare}})
	if err != nil || len(rejected) > 0 {
		t.Fatalf("rejected %v, error %v", rejected, err)
	}
	states, err := s.client.Lookup(t.Context(), "Valued", []record.Item{other, itemOf("absent"), item})
	if err != nil {
		t.Fatal(err)
	}
	checkEqual(t, states[0], bare)
	checkEqual(t, states[1], record.State{Sources: record.Orders{}})
	checkEqual(t, states[2], full)
	aside := full
	aside.Vector = nil
	rejected, err = s.client.PutSide(t.Context(), "Valued", []weaviate.Object{{Item: itemOf("aside"), State: aside}})
	if err != nil || len(rejected) > 0 {
		t.Fatalf("rejected %v, error %v", rejected, err)
	}
	for _, whole := range []bool{true, false} {
		stored, err := s.client.Load(t.Context(), "Valued", []record.Item{item, itemOf("aside")}, whole)
		if err != nil {
			t.Fatal(err)
		}
		if stored[0].Side || !stored[0].Main || stored[1].Main || !stored[1].Side {
			t.Errorf("copies are at %+v", stored)
		}
		if !whole { // only what decides
			for _, s := range []*record.State{&full, &aside} {
				s.Properties, s.Inputs, s.Recipe, s.Text, s.Origin, s.Vector = nil, nil, []byte{}, "", nil, nil
			}
		}
		checkEqual(t, stored[0].State, full)
		checkEqual(t, stored[1].State, aside)
	}
}

func checkEqual(t *testing.T, got, want record.State) {
	t.Helper()
	if g, w := fmt.Sprintf("%+v", flat(got)), fmt.Sprintf("%+v", flat(want)); g != w {
		t.Errorf("read\n%s, put\n%s", g, w)
	}
}

// flat is a state whose protobuf fields compare as text.
func flat(s record.State) []any {
	all := []any{s.Base, s.Floor, s.Sources, s.Wanted, s.Held, s.Space, string(s.Inputs), s.Recipe, s.Text, s.Truncated, s.OriginalTokens, s.Vector}
	bytesOf := func(m proto.Message) []byte {
		b, _ := proto.MarshalOptions{Deterministic: true}.Marshal(m)
		return b
	}
	all = append(all, bytesOf(s.Origin), bytesOf(s.Failed))
	for _, p := range s.Properties {
		all = append(all, p.GetName(), bytesOf(p))
	}
	return all
}
