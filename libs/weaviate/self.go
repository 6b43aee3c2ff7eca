package weaviate

import (
	"context"
	"encoding/hex"
	"fmt"
	"net/http"
	"time"

	"github.com/google/uuid"
	"github.com/weaviate/weaviate/entities/models"
	pb "github.com/weaviate/weaviate/grpc/generated/protocol/v1"
	"golang.org/x/sync/errgroup"

	"github.com/freshet-io/freshet/libs/record"
)

// FetchVector returns the stored vector of an item, by the alias of its collection. It is an
// error where there is none.
func (c *Client) FetchVector(ctx context.Context, item record.Item) ([]float32, error) {
	b, err := c.described(ctx, item.Collection)
	if err != nil {
		return nil, err
	}
	if err := b.checkTenant(b.tenant(item)); err != nil {
		return nil, err
	}
	results, err := c.byID(ctx, b, item.Collection, part{b.tenant(item), []record.Item{item}}, reading{vectors: true})
	if err != nil {
		return nil, err
	}
	if len(results) == 0 || len(b.vectorOf(results[0])) == 0 {
		return nil, fmt.Errorf("item %s: not found in the index", item)
	}
	return record.ParseVector(b.vectorOf(results[0]))
}

const (
	// selfNear is among how many nearest an item must find itself; selfFar where so many others
	// have the very same vector.
	selfNear, selfFar = 10, 1000
	// sameVector is a distance below which two vectors count as the same one.
	sameVector = 1e-6
	// selfCalls bounds the searches at a time.
	selfCalls = 4
)

// SelfFound searches for each item by its own stored vector and returns those that are not found,
// in their order: absent ones, and ones that are stored but not in the vector index or cut off in
// it. A count looks healthy while such items are lost. It asks the generation that was checked
// under this name, else the one behind the alias. Where Weaviate indexes asynchronously, it waits
// for 5 s at most until what is queued is indexed. Where more than a thousand items have the very
// same vector, it may miss one that is there; with the distance dot, also where a thousand longer
// vectors are nearer to it than itself.
//
// states, if not nil, says of which version and vector (Base, Held) each item must be read and found:
// after an interrupted put a search may find what the put was to replace.
func (c *Client) SelfFound(ctx context.Context, name string, items []record.Item, states []record.State) (missing []record.Item, err error) {
	b, err := c.described(ctx, name)
	if err != nil {
		return nil, err
	}
	missing, err = c.missing(ctx, b, items, states)
	if (err != nil || len(missing) > 0) && c.awaitIndexed(ctx, b) {
		return c.missing(ctx, b, items, states)
	}
	return missing, err
}

// self is what tells an object from its former selves.
type self struct {
	base int64
	held string // hexadecimal
}

func selfOf(r *pb.SearchResult) self {
	f := r.GetProperties().GetNonRefProps().GetFields()
	return self{f[propBase].GetIntValue(), f[propHeld].GetTextValue()}
}

func (c *Client) missing(ctx context.Context, b *collection, items []record.Item, states []record.State) (missing []record.Item, err error) {
	found := map[uuid.UUID]self{}
	for _, some := range b.parts(items) {
		if err := c.findThemselves(ctx, b, some, found); err != nil {
			return nil, err
		}
	}
	for i, item := range items {
		got, ok := found[item.UUID()]
		if !ok || states != nil && got != (self{states[i].Base, hex.EncodeToString(states[i].Held)}) {
			missing = append(missing, item)
		}
	}
	return missing, nil
}

// findThemselves notes which items are found by their own vectors, and as what. Where an id has several
// objects, one that is not found is the item's former or its newer self, and it is not.
func (c *Client) findThemselves(ctx context.Context, b *collection, some part, found map[uuid.UUID]self) error {
	results, err := c.byID(ctx, b, b.spec.Class(), some, reading{vectors: true})
	if err != nil {
		return err
	}
	finds := make([]bool, len(results))
	group, calls := errgroup.WithContext(ctx)
	group.SetLimit(selfCalls)
	for i, r := range results {
		group.Go(func() (err error) {
			finds[i], err = c.findsItself(calls, b, some.tenant, r)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	seen := map[uuid.UUID]bool{}
	for i, r := range results {
		id, err := uuid.Parse(r.GetMetadata().GetId())
		if err != nil {
			return fmt.Errorf("reading an id of %s: %w", b.spec.Class(), err)
		}
		if delete(found, id); finds[i] && !seen[id] {
			found[id] = selfOf(r)
		}
		seen[id] = true
	}
	return nil
}

func (c *Client) findsItself(ctx context.Context, b *collection, tenant string, r *pb.SearchResult) (bool, error) {
	vector, id := b.vectorOf(r), r.GetMetadata().GetId()
	if len(vector) == 0 {
		return false, nil
	}
	for _, limit := range []int{selfNear, selfFar} {
		results, err := c.near(ctx, b, query{class: b.spec.Class(), tenant: tenant, vector: vector, limit: limit, properties: &pb.PropertiesRequest{NonRefProperties: []string{propBase, propHeld}}})
		if err != nil {
			return false, err
		}
		for _, hit := range results {
			if hit.GetMetadata().GetId() == id && selfOf(hit) == selfOf(r) {
				return true, nil
			}
		}
		// Where even the last one is as near as the item itself, it may be behind its doubles; with
		// the dot product behind longer ones, all of which are below zero as it is itself.
		if n := len(results); n < limit || float64(results[n-1].GetMetadata().GetDistance()) > sameVector {
			return false, nil
		}
	}
	return false, nil
}

// Blind reports whether a search finds nothing at all, by the vector of an item that is stored. A Weaviate that was killed
// while it replaced all vectors of a small collection or tenant comes back so: its vector index begins each search at a
// vector that is gone.
func (c *Client) Blind(ctx context.Context, name string, item record.Item) (bool, error) {
	b, err := c.described(ctx, name)
	if err != nil {
		return false, err
	}
	stored, err := c.byID(ctx, b, b.spec.Class(), part{b.tenant(item), []record.Item{item}}, reading{vectors: true})
	if err != nil || len(stored) == 0 {
		return false, err
	}
	hits, err := c.near(ctx, b, query{class: b.spec.Class(), tenant: b.tenant(item), vector: b.vectorOf(stored[0]), limit: 1, properties: &pb.PropertiesRequest{}})
	return len(hits) == 0, err
}

const (
	// queueLimit bounds the wait for vectors that are queued, queueEvery is between two looks.
	queueLimit = 5 * time.Second
	queueEvery = 100 * time.Millisecond
)

// awaitIndexed waits until Weaviate has put the vectors that it acknowledged into its vector index,
// for 5 s at most: with ASYNC_INDEXING they queue. It reports whether there were any; not where
// Weaviate does not say, to a key without the right to read nodes for one.
func (c *Client) awaitIndexed(ctx context.Context, b *collection) (waited bool) {
	ctx, cancel := context.WithTimeout(ctx, queueLimit)
	defer cancel()
	for c.queued(ctx, b) > 0 {
		waited = true
		select {
		case <-time.After(queueEvery):
		case <-ctx.Done():
		}
	}
	return waited
}

// queued returns how many vectors of a collection wait to be indexed, 0 where that is not known.
func (c *Client) queued(ctx context.Context, b *collection) (n int64) {
	var nodes models.NodesStatusResponse
	if err := c.call(ctx, http.MethodGet, "nodes/"+b.spec.Class()+"?output=verbose", nil, &nodes); err != nil {
		return 0
	}
	for _, node := range nodes.Nodes {
		for _, shard := range node.Shards {
			n += shard.VectorQueueLength
		}
	}
	return n
}
