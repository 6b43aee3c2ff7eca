package cluster_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/freshet-io/freshet/libs/record"
)

// got is what somebody reads of an item.
type got struct {
	there bool
	name  string
	price int64
}

// verdict is what somebody found of all items: those that are not as they must be.
type verdict struct {
	lost, stale []string // a line each
	wrong       []int    // the items of both
	unfound     []int
}

// mustHold fails the test where something is lost or stale.
func (v verdict) mustHold(t *testing.T) {
	t.Helper()
	if bad := slices.Concat(v.lost, v.stale); len(bad) > 0 {
		t.Errorf("%d items are not as they must be: %v", len(bad), bad[:min(len(bad), 5)])
	}
}

// mustShowLosses fails the test where nothing is: the case would prove nothing.
func (v verdict) mustShowLosses(t *testing.T) {
	t.Helper()
	if len(v.lost) == 0 || len(v.stale) == 0 {
		t.Errorf("%d lost, %d stale: the copies do not differ", len(v.lost), len(v.stale))
	}
}

// report adds a row to the table.
func (b *bed) report(name string, v verdict) {
	b.table = append(b.table, fmt.Sprintf("%-75s %5d %5d %5d %5d", name, items, len(v.lost), len(v.stale), len(v.unfound)))
}

// judge compares what was read of each item with what it must be.
func (v *verdict) judge(wants []want, read []got) {
	for id, w := range wants {
		g := read[id]
		switch {
		case w.deleted && g.there:
			v.stale = append(v.stale, fmt.Sprintf("%d is deleted and there", id))
		case w.deleted:
			continue
		case !g.there:
			v.lost = append(v.lost, fmt.Sprintf("%d is not there", id))
		case g.name != w.name || g.price != w.price:
			v.stale = append(v.stale, fmt.Sprintf("%d is %q for %d and must be %q for %d", id, g.name, g.price, w.name, w.price))
		default:
			continue
		}
		v.wrong = append(v.wrong, id)
	}
}

// plainly reads and searches through one node, as the bare client does.
func (b *bed) plainly(name string, node int) verdict {
	b.t.Helper()
	var v verdict
	read, err := b.bare[node].byID(b.t.Context())
	if err != nil {
		b.t.Fatal(err)
	}
	v.judge(b.wants, read)
	v.unfound = b.unfound(node)
	b.report(name, v)
	return v
}

// carefully reads through one node as write does, and then searches. What was under way when a node died is done again
// by write a while after all is committed, so it is read until it is as it must be, or time is over.
func (b *bed) carefully(name string, node int) verdict {
	b.t.Helper()
	var v verdict
	for deadline := time.Now().Add(bound); ; {
		v = verdict{}
		v.judge(b.wants, b.byMajority(node))
		if len(v.wrong) == 0 || time.Now().After(deadline) {
			break
		}
		for _, id := range v.wrong[:min(len(v.wrong), 5)] {
			b.t.Logf("%s, %s: item %d: %v", name, time.Now().Format(time.TimeOnly), id, b.copies(id))
		}
		time.Sleep(time.Second)
	}
	v.unfound = b.unfound(node)
	b.report(name, v)
	return v
}

// byMajority reads all items through one node, as write does.
func (b *bed) byMajority(node int) []got {
	b.t.Helper()
	all, read := make([]record.Item, items), make([]got, items)
	for id := range all {
		all[id] = itemOf(id)
	}
	b.await("a majority of the copies agrees", func(ctx context.Context) error {
		stored, err := b.index[node].Load(ctx, collection, all, true)
		for id, s := range stored {
			read[id] = got{there: s.Main}
			for _, p := range s.State.Properties {
				switch p.GetName() {
				case "name":
					read[id].name = p.GetValue().GetText()
				case "price":
					read[id].price = p.GetValue().GetInteger()
				}
			}
		}
		return err
	})
	return read
}

// copies returns what each node has of an item, and when Weaviate says that it was written.
func (b *bed) copies(id int) (each []string) {
	b.t.Helper()
	for n := range b.nodes {
		path := fmt.Sprintf("objects/%s/%s?node_name=node%d", class, itemOf(id).UUID(), n+1)
		var o struct {
			LastUpdateTimeUnix int64
			Properties         struct {
				Name  string
				Price int64
			}
		}
		status, answer := b.ask(http.MethodGet, path, nil)
		if status == http.StatusOK {
			if err := json.Unmarshal(answer, &o); err != nil {
				b.t.Fatal(err)
			}
		}
		each = append(each, fmt.Sprintf("node %d: %d %+v", n+1, status, o))
	}
	return each
}

// unfound searches for each item by its own vector, through one node, and returns those that are not among the nearest.
func (b *bed) unfound(node int) []int {
	b.t.Helper()
	found := make([]bool, items)
	group, ctx := errgroup.WithContext(b.t.Context())
	group.SetLimit(4)
	for id, w := range b.wants {
		group.Go(func() (err error) {
			found[id], err = b.bare[node].finds(ctx, id, vectorOf(w.name))
			return err
		})
	}
	if err := group.Wait(); err != nil {
		b.t.Fatal(err)
	}
	var ids []int
	for id, w := range b.wants {
		if !w.deleted && !found[id] {
			ids = append(ids, id)
		}
	}
	return ids
}
