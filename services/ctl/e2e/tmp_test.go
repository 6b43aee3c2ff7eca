package e2e_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"github.com/freshet-io/freshet/libs/record"
	"github.com/freshet-io/freshet/libs/service"
	"github.com/freshet-io/freshet/libs/weaviate"
	"github.com/freshet-io/freshet/services/embed/hash"
)

func TestTmp(t *testing.T) {
	r := newRig(t, options{brokers: startKfake(t), pipeline: productPipeline, partitions: 6, sourcePartitions: 3})
	kill := os.Getenv("KILL") != ""
	var cfg struct{ Weaviate weaviate.Config }
	if err := service.Load(r.env, &cfg); err != nil {
		t.Fatal(err)
	}
	identity, err := r.topics.Check(t.Context(), r.client)
	if err != nil {
		t.Fatal(err)
	}
	version := int64(0)
	texts := map[int64]string{}
	obj := func(id int64, text string) weaviate.Object {
		version++
		v := record.AppendVector(nil, hash.Vector(text, 64))
		v[0] ^= byte(1 + rand.IntN(250))
		return weaviate.Object{Item: itemOf(id), State: record.State{Base: version, Sources: record.Orders{}, Text: text, Held: []byte("1234567890123456"), Wanted: []byte("1234567890123456"), Vector: v}}
	}
	check := func(what string) {
		var items []record.Item
		for id := range texts {
			items = append(items, itemOf(id))
		}
		missing, err := r.index.SelfFound(t.Context(), collection, items)
		t.Log(what, len(items), "missing", len(missing), err)
		for i, item := range missing {
			if i > 3 {
				break
			}
			v, _ := r.index.FetchVector(t.Context(), item)
			line := fmt.Sprint(item)
			for _, limit := range []int{10, 100, 1000} {
				hits, err := r.index.Search(t.Context(), collection, v, limit, nil)
				rank := -1
				for i, h := range hits {
					if h.Item.String() == item.String() {
						rank = i
					}
				}
				line += fmt.Sprintf(" limit %d hits %d rank %d %v", limit, len(hits), rank, err)
			}
			t.Log(line)
		}
	}
	start := time.Now()
	for n := 0; time.Since(start) < 150*time.Second; n++ {
		seen := map[int64]bool{}
		var objs []weaviate.Object
		var del []record.Item
		for len(objs) < 100 {
			id := int64(rand.IntN(5000))
			if rand.IntN(4) == 0 {
				id = int64(rand.IntN(40))
			}
			if seen[id] {
				continue
			}
			seen[id] = true
			if rand.IntN(8) == 0 && texts[id] != "" {
				del = append(del, itemOf(id))
				delete(texts, id)
				continue
			}
			if texts[id] == "" || rand.IntN(3) == 0 {
				texts[id] = fmt.Sprint(id, rand.Int())
			}
			objs = append(objs, obj(id, texts[id]))
		}
		if kill && n%5 == 0 {
			own, err := weaviate.Open(t.Context(), cfg.Weaviate)
			if err != nil {
				t.Fatal(err)
			}
			if err := own.CheckAll(t.Context(), r.file, weaviate.Log{TopicID: identity.TopicID, Partitions: identity.Partitions}); err != nil {
				t.Fatal(err)
			}
			time.AfterFunc(time.Duration(rand.IntN(60))*time.Millisecond, func() { _ = own.Close() })
			_, err = own.Put(t.Context(), collection, objs)
			for i, o := range objs {
				objs[i].State.Vector = append([]byte{}, o.State.Vector...)
				objs[i].State.Vector[4] ^= byte(1 + rand.IntN(250))
			}
		}
		if _, err := r.index.Put(t.Context(), collection, objs); err != nil {
			t.Fatal(err)
		}
		if len(del) > 0 {
			if err := r.index.DeleteMain(t.Context(), collection, del); err != nil {
				t.Fatal(err)
			}
		}
		if n%50 == 49 {
			check(fmt.Sprint(n))
		}
	}
	check("end")
}
