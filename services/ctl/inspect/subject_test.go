package inspect

import (
	"strings"
	"testing"

	"github.com/freshet-io/freshet/libs/pipeline"
	"github.com/freshet-io/freshet/libs/record"
	"github.com/freshet-io/freshet/libs/weaviate"
)

func TestParse_whatLooksLikeAPlaceOfNoTopicIsSaidToBeTakenForAnID(t *testing.T) {
	i := &Inspector{file: &pipeline.File{Pipelines: []pipeline.Pipeline{
		{Name: "a", Collection: "A", ID: pipeline.ID{From: []string{"id"}}},
		{Name: "b", Collection: "B", ID: pipeline.ID{From: []string{"id"}}},
	}}}
	if _, err := i.Parse("nope/0/1", "", ""); err == nil || !strings.Contains(err.Error(), "no topic of the pipeline is called nope") {
		t.Errorf("without a collection it says %v", err)
	}
	if _, err := i.Parse("4711", "", ""); err == nil || strings.Contains(err.Error(), "topic of the pipeline") {
		t.Errorf("of an id it says %v", err)
	}
	if s, err := i.Parse("nope/0/1", "A", ""); err != nil || s.Item == nil || s.Item.ID[0] != "nope/0/1" {
		t.Errorf("the subject is %+v, %v", s, err)
	}
}

func TestNotInSource_ofAnItemThatIsUpToDateIsNoFault(t *testing.T) {
	of := func(id string, stored weaviate.Stored) Cause {
		q := &inquiry{Inspector: &Inspector{}, now: &look{}, item: &record.Item{Collection: "A", ID: []string{id}}, indexed: &weaviate.Inspected{Stored: stored}}
		return q.notInSource()
	}
	if c := of("4711", weaviate.Stored{Main: true, State: record.State{Floor: 7}}); !strings.HasPrefix(c.Summary, "it is up to date") || !strings.HasPrefix(c.Do, "if its source has a newer one, ") {
		t.Errorf("of an item that is up to date: %+v", c)
	}
	for id, taken := range map[string]bool{"4711": false, "nope/0/1": true} {
		c := of(id, weaviate.Stored{})
		if strings.HasPrefix(c.Detail, id+" was taken for an id") != taken || strings.HasPrefix(c.Detail, "looked for") == taken || strings.Contains(c.Summary, "up to date") {
			t.Errorf("of %s, which never came: %+v", id, c)
		}
	}
}
