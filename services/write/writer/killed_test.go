package writer_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/freshet-io/freshet/libs/record"
	"github.com/freshet-io/freshet/libs/weaviate"
)

// TestKilledWeaviate_hidesItemsFromFiltersAndNotFromLoadHidden kills the server in mid-batch, at later and later moments,
// and compares reads with what the server has by the id. Mostly some items of the batch are found by no filter then, be it
// that their new state is stored or that of before: such a kill loses nothing, unless they are taken for unknown ones.
func TestKilledWeaviate_hidesItemsFromFiltersAndNotFromLoadHidden(t *testing.T) {
	s := startWeaviate(t)
	killed := spec("Killed")
	killed.Dimensions = 128
	s.create(t, killed)
	items := make([]record.Item, 100)
	for i := range items {
		items[i] = record.Item{Collection: killed.Name, ID: []string{strconv.Itoa(i)}}
	}
	states := func(base int64) (objs []weaviate.Object) {
		for _, it := range items {
			state := record.State{Base: base, Sources: record.Orders{}, Text: strings.Repeat("word ", 100), Held: []byte{1}, Vector: anyVector(killed.Dimensions)}
			objs = append(objs, weaviate.Object{Item: it, State: state})
		}
		return objs
	}
	life := s.life(t)
	for round := range 4 {
		before := int64(2*round + 1)
		if _, err := s.client.Put(t.Context(), killed.Name, states(before)); err != nil {
			t.Fatal(err)
		}
		dead := make(chan error)
		time.AfterFunc(time.Duration(5+5*round)*time.Millisecond, func() { dead <- s.Kill() })
		_, err := s.client.Put(t.Context(), killed.Name, states(before+1))
		if killErr := <-dead; killErr != nil {
			t.Fatal(killErr)
		}
		if restartErr := s.Restart(t.Context()); restartErr != nil {
			t.Fatal(restartErr)
		}
		s.client = open(t, s.Weaviate)
		s.create(t, killed)
		if was := life; s.life(t) == was {
			t.Errorf("after its start the server is still in life %q", was)
		}
		life = s.life(t)
		plain, hidden := bases(t, items, s.client.Load), bases(t, items, s.client.LoadHidden)
		unseen := 0
		for i, it := range items {
			if plain[i] == 0 {
				unseen++
			}
			// By an entry in another file its former self may be found, which is as good: the put comes again.
			if got := s.baseByID(t, killed.Class(), it); hidden[i] < before || hidden[i] > got || err == nil && got == before {
				t.Errorf("item %s: %d by its id, %d by LoadHidden, %d by Load; %d was put completely", it, got, hidden[i], plain[i], before)
			}
		}
		t.Logf("kill %d: %v; %d of %d items are found by no filter", round, err, unseen, len(items))
	}
}

func anyVector(dimensions int) []byte {
	v := make([]float32, dimensions)
	for i := range v {
		v[i] = rand.Float32() - 0.5 //nolint:gosec // a test's chance
	}
	return record.AppendVector(nil, v)
}

// life waits until the server tells it.
func (s *server) life(t *testing.T) string {
	t.Helper()
	for range 60 {
		if life := s.client.Life(t.Context()); life != "" {
			return life
		}
		time.Sleep(time.Second)
	}
	t.Fatal("the server does not tell its life")
	return ""
}

func (s *server) baseByID(t *testing.T, class string, it record.Item) (base int64) {
	t.Helper()
	answer := s.rest(t, http.MethodGet, "objects/"+class+"/"+it.UUID().String(), "")
	at := strings.Index(answer, `"freshet_base":`)
	if _, err := fmt.Sscanf(answer[at:], `"freshet_base":%d`, &base); err != nil {
		t.Fatal(err)
	}
	return base
}

// bases returns the versions of items in the main collection, 0 where there is none.
func bases(t *testing.T, items []record.Item, load loadCall) []int64 {
	t.Helper()
	stored, err := load(t.Context(), items[0].Collection, items, false)
	if err != nil {
		t.Fatal(err)
	}
	all := make([]int64, len(items))
	for i := range stored {
		all[i] = stored[i].State.Base
	}
	return all
}

type loadCall func(ctx context.Context, collection string, items []record.Item, whole bool) ([]weaviate.Stored, error)
