package weaviate

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/uuid"
	pb "github.com/weaviate/weaviate/grpc/generated/protocol/v1"

	"github.com/freshet-io/freshet/libs/fault"
	"github.com/freshet-io/freshet/libs/record"
)

const quorum = pb.ConsistencyLevel_CONSISTENCY_LEVEL_QUORUM

func TestReplicated_aReadAsksAMajorityForWhatOneCopyLacks(t *testing.T) {
	var s standIn
	s.serve(t, nil)
	c := s.open(t, Config{}, replicated)
	items := []record.Item{anItem("a", "here"), anItem("a", "elsewhere"), anItem("a", "nowhere"), anItem("b", "nowhere")}
	s.there[items[0].UUID().String()] = true
	s.elsewhere[items[1].UUID().String()] = true
	stored, err := c.Load(t.Context(), "Product", items, false)
	if err != nil || !stored[0].Main || !stored[1].Main || stored[2].Main || stored[3].Main {
		t.Fatalf("%+v, %v: want the first two", stored, err)
	}
	for _, r := range s.requests {
		if search, ok := r.(*pb.SearchRequest); !ok || search.GetConsistencyLevel() != quorum || !search.GetMetadata().GetIsConsistent() {
			t.Errorf("asked by %v", r)
		}
	}
	for _, r := range s.rest {
		divided := !strings.HasPrefix(r, "HEAD /v1/objects/Product_g1_side/")
		if !strings.HasPrefix(r, "HEAD /v1/objects/Product_g1") || !strings.Contains(r, "consistency_level=QUORUM") || strings.Contains(r, "&tenant=") != divided {
			t.Errorf("asked by %s", r)
		}
	}
}

func TestReplicated_whatNoFilterFindsIsRead(t *testing.T) {
	var s standIn
	s.serve(t, nil)
	c := s.open(t, Config{}, replicated)
	items := []record.Item{anItem("a", "unindexed"), anItem("a", "nowhere"), anItem("a", "here"), anItem("b", "unindexed")}
	s.unindexed[items[0].UUID().String()], s.there[items[2].UUID().String()], s.unindexed[items[3].UUID().String()] = true, true, true
	stored, err := c.Load(t.Context(), "Product", items, false)
	if err != nil || !stored[0].Main || stored[1].Main || !stored[2].Main || !stored[3].Main {
		t.Errorf("%+v, %v: want all but the second", stored, err)
	}
	s.diverging = true
	if stored, err := c.Load(t.Context(), "Product", items[:1], false); err == nil || fault.ClassOf(err) != fault.Transient {
		t.Errorf("where its copies differ: %+v, %v, want a transient error", stored, err)
	}
}

func TestLoad_anIDWithTwoObjectsTakesNoOthersPlace(t *testing.T) {
	var s standIn
	s.serve(t, nil)
	c := s.open(t, Config{}, traits{})
	items := []record.Item{anItem("", "1"), anItem("", "2"), anItem("", "3")}
	s.twice = map[string]bool{}
	for _, it := range items {
		s.there[it.UUID().String()], s.twice[it.UUID().String()] = true, true
	}
	stored, err := c.Load(t.Context(), "Product", items, false)
	if err != nil || !stored[0].Main || !stored[1].Main || !stored[2].Main {
		t.Errorf("%+v, %v: want all of them", stored, err)
	}
}

func TestLoadHidden_readsWhatNoFilterFindsAlsoOfASingleCopy(t *testing.T) {
	var s standIn
	s.serve(t, nil)
	c := s.open(t, Config{}, traits{})
	items := []record.Item{anItem("", "hidden"), anItem("", "nowhere"), anItem("", "here")}
	s.unindexed[items[0].UUID().String()], s.there[items[2].UUID().String()] = true, true
	stored, err := c.LoadHidden(t.Context(), "Product", items, false)
	if err != nil || !stored[0].Main || stored[1].Main || !stored[2].Main {
		t.Errorf("%+v, %v: want the first and the last", stored, err)
	}
	if stored, err := c.Load(t.Context(), "Product", items, false); err != nil || stored[0].Main {
		t.Errorf("Load gives %+v, %v: it asks for nothing by the id", stored, err)
	}
}

func TestBefore(t *testing.T) {
	for id, want := range map[string]string{
		"00000000-0000-0000-0000-000000000001": "00000000-0000-0000-0000-000000000000",
		"12340000-0000-0000-0000-000000000000": "1233ffff-ffff-ffff-ffff-ffffffffffff",
	} {
		if got := before(uuid.MustParse(id)).String(); got != want {
			t.Errorf("%s is before %s, want %s", got, id, want)
		}
	}
}

func TestReplicated_whatNoMajorityAgreesOnIsTriedAgain(t *testing.T) {
	for name, set := range map[string]func(*standIn, string){
		"found, and others have another state": func(s *standIn, id string) { s.there[id], s.diverging = true, true },
		"found elsewhere, and never here":      func(s *standIn, id string) { s.elsewhere[id], s.stubborn = true, true },
	} {
		var s standIn
		s.serve(t, nil)
		c := s.open(t, Config{}, replicated)
		item := anItem("a", "1")
		set(&s, item.UUID().String())
		if stored, err := c.Load(t.Context(), "Product", []record.Item{item}, false); err == nil || fault.ClassOf(err) != fault.Transient {
			t.Errorf("%s: %+v, %v, want a transient error", name, stored, err)
		}
	}
}

func TestReplicated_writesAndDeletesWantAMajority(t *testing.T) {
	var s standIn
	s.serve(t, nil)
	c := s.open(t, Config{}, replicated)
	item := anItem("a", "1")
	object := []Object{{Item: item, State: record.State{Base: 1, Vector: oneVector}}}
	if rejected, err := c.Put(t.Context(), "Product", object); len(rejected) > 0 || err != nil {
		t.Fatal(rejected, err)
	}
	if rejected, err := c.PutSide(t.Context(), "Product", object); len(rejected) > 0 || err != nil {
		t.Fatal(rejected, err)
	}
	for _, r := range s.requests {
		put, ok := r.(*pb.BatchObjectsRequest)
		if !ok || put.GetConsistencyLevel() != quorum || (put.GetObjects()[0].GetTenant() == "a") == (put.GetObjects()[0].GetCollection() == "Product_g1_side") {
			t.Errorf("written by %v", r)
		}
	}
	if len(s.requests) != 3 { // the second one flushes the vector index
		t.Errorf("%d requests, want 3", len(s.requests))
	}
	s.there[item.UUID().String()] = true
	for range 2 { // an absent one is no error
		if err := c.DeleteMain(t.Context(), "Product", []record.Item{item}, false); err != nil {
			t.Fatal(err)
		}
	}
	want := fmt.Sprintf("%s /v1/objects/Product_g1/%s?consistency_level=QUORUM&tenant=a", http.MethodDelete, item.UUID())
	if len(s.rest) != 2 || s.rest[0] != want {
		t.Errorf("deleted by %v, want %s", s.rest, want)
	}
}
