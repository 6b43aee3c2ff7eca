package weaviate

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"

	"github.com/google/uuid"
	pb "github.com/weaviate/weaviate/grpc/generated/protocol/v1"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/freshet-io/freshet/libs/fault"
	"github.com/freshet-io/freshet/libs/record"
)

const (
	// getItems bounds one read by ids.
	getItems = 500
	// getCalls bounds the reads at a time: there is one for each tenant of a batch.
	getCalls = 4
)

// part is items of one tenant, as many as one call takes.
type part struct {
	tenant string // "" where the collection is not divided by tenants
	items  []record.Item
}

// parts divides items for calls that name a tenant. Those of a tenant that cannot be are left out:
// the index has nothing of them, and refuses their writes.
func (c *collection) parts(items []record.Item) []part {
	byTenant, order := map[string][]record.Item{}, []string{}
	for _, item := range items {
		tenant := c.tenant(item)
		if c.checkTenant(tenant) != nil {
			continue
		}
		if _, known := byTenant[tenant]; !known {
			order = append(order, tenant)
		}
		byTenant[tenant] = append(byTenant[tenant], item)
	}
	var parts []part
	for _, tenant := range order {
		for some := range slices.Chunk(byTenant[tenant], getItems) {
			parts = append(parts, part{tenant, some})
		}
	}
	return parts
}

// path returns the path of an object in the HTTP API, of which a majority of copies is to answer.
func (p part) path(class string, id uuid.UUID) string {
	query := url.Values{"consistency_level": {"QUORUM"}}
	if p.tenant != "" {
		query.Set("tenant", p.tenant)
	}
	return "objects/" + class + "/" + id.String() + "?" + query.Encode()
}

// reading says what to read of objects beside what decides about records, and whether also of those that no filter finds,
// and when they were stored.
type reading struct{ properties, vectors, hidden, times bool }

func (r reading) request() *pb.PropertiesRequest {
	if r.properties {
		return &pb.PropertiesRequest{ReturnAllNonrefProperties: true}
	}
	return &pb.PropertiesRequest{NonRefProperties: deciding}
}

func (c *Client) get(ctx context.Context, b *collection, class string, items []record.Item, read reading) (map[uuid.UUID]kept, error) {
	parts := b.parts(items)
	results := make([][]*pb.SearchResult, len(parts))
	group, calls := errgroup.WithContext(ctx)
	group.SetLimit(getCalls)
	for i, some := range parts {
		group.Go(func() (err error) {
			results[i], err = c.byID(calls, b, class, some, read)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	found := make(map[uuid.UUID]kept, len(items))
	for _, r := range slices.Concat(results...) {
		id, err := uuid.Parse(r.GetMetadata().GetId())
		if err != nil {
			return nil, fmt.Errorf("reading an id of %s: %w", class, err)
		}
		s, err := b.decode(r)
		if err != nil {
			return nil, fmt.Errorf("reading object %s of %s: %w", id, class, err)
		}
		// After an interrupted put an id may have two objects, of which one is the other's former self.
		if other, twice := found[id]; !twice || max(s.Base, s.Floor) > max(other.Base, other.Floor) {
			found[id] = kept{s, r.GetMetadata().GetLastUpdateTimeUnix()}
		}
	}
	return found, nil
}

// byID reads objects by their ids, as a majority of the copies has them where there are several.
func (c *Client) byID(ctx context.Context, b *collection, class string, some part, read reading) ([]*pb.SearchResult, error) {
	results, err := c.lookUp(ctx, b, class, some, read)
	if errors.Is(err, errNoTenant) {
		return nil, nil // so there is nothing of it
	}
	switch {
	case err != nil, !b.replicated && !read.hidden:
		return results, err
	case !b.replicated:
		walked, err := c.walk(ctx, b, class, some.without(results), read)
		return append(results, walked...), err
	}
	repaired, err := c.repair(ctx, class, some, results)
	if err != nil || len(repaired) == 0 {
		return results, err
	}
	if results, err = c.lookUp(ctx, b, class, some, read); err != nil {
		return nil, err
	}
	unindexed, err := c.repair(ctx, class, some, results)
	if err != nil {
		return nil, err
	}
	walked, err := c.walk(ctx, b, class, part{some.tenant, unindexed}, read)
	return append(results, walked...), err
}

// repair asks a majority of the copies for the objects that a read has not found, which has Weaviate
// repair the copies that lack one, and returns those that there are. The level of a search is not that
// of its finding: one copy says which objects there are, and only those are compared with others.
func (c *Client) repair(ctx context.Context, class string, some part, results []*pb.SearchResult) (repaired []record.Item, err error) {
	for _, r := range results {
		if !r.GetMetadata().GetIsConsistent() {
			return nil, noMajority(class, len(some.items))
		}
	}
	absent := some.without(results)
	var mu sync.Mutex
	err = absent.each(ctx, func(ctx context.Context, item record.Item) error {
		err := c.call(ctx, http.MethodHead, absent.path(class, item.UUID()), nil, nil)
		switch {
		case err == nil:
			mu.Lock()
			defer mu.Unlock()
			repaired = append(repaired, item)
		case fault.StatusOf(err) == http.StatusNotFound:
			return nil
		}
		return err
	})
	return repaired, err
}

func (p part) without(results []*pb.SearchResult) part {
	known := make(map[string]bool, len(results))
	for _, r := range results {
		known[r.GetMetadata().GetId()] = true
	}
	absent := part{tenant: p.tenant}
	for _, item := range p.items {
		if !known[item.UUID().String()] {
			absent.items = append(absent.items, item)
		}
	}
	return absent
}

func noMajority(class string, n int) error {
	return fmt.Errorf("reading %d items of %s: no majority of the copies agrees", n, class)
}

// walk reads objects that no filter finds: a node that was killed in a put may come back with an
// object that is in none of its indexes, and copies that are stored alike are not repaired. Going
// on from an id in the order of the ids asks no index. Where there are several copies, the objects are there.
func (c *Client) walk(ctx context.Context, b *collection, class string, some part, read reading) ([]*pb.SearchResult, error) {
	var mu sync.Mutex
	var all []*pb.SearchResult
	err := some.each(ctx, func(ctx context.Context, item record.Item) error {
		request := b.request(class, part{some.tenant, []record.Item{item}}, read)
		request.After = before(item.UUID()).String()
		calling, cancel := context.WithTimeout(ctx, callLimit)
		defer cancel()
		reply, err := c.grpc.Search(calling, request)
		if err != nil {
			return classify("reading an item of "+class, err)
		}
		for _, r := range reply.GetResults() {
			if r.GetMetadata().GetId() == item.UUID().String() && (r.GetMetadata().GetIsConsistent() || !b.replicated) {
				mu.Lock()
				defer mu.Unlock()
				all = append(all, r)
				return nil
			}
		}
		if b.replicated {
			return noMajority(class, 1)
		}
		return nil
	})
	return all, err
}

// before returns the id that comes right before another one.
func before(id uuid.UUID) uuid.UUID {
	for i := len(id) - 1; i >= 0; i-- {
		id[i]--
		if id[i] != 0xff {
			break
		}
	}
	return id
}

// lookUp makes one read by ids, or several smaller ones where its answer would be too large.
func (c *Client) lookUp(ctx context.Context, b *collection, class string, some part, read reading) ([]*pb.SearchResult, error) {
	calling, cancel := context.WithTimeout(ctx, callLimit)
	defer cancel()
	request := b.request(class, some, read)
	request.Filters = withIDs(some.items)
	reply, err := c.grpc.Search(calling, request)
	doing := fmt.Sprintf("reading %d items of %s", len(some.items), class)
	switch n := len(some.items); {
	case noTenant(err):
		return nil, errNoTenant
	case tooLarge(err) && n == 1:
		return nil, fault.Halt("%s: the answer is larger than a message may be: raise GRPC_MAX_MESSAGE_SIZE of Weaviate: %w", doing, err)
	case tooLarge(err):
		first, err := c.lookUp(ctx, b, class, part{some.tenant, some.items[:n/2]}, read)
		if err != nil {
			return nil, err
		}
		second, err := c.lookUp(ctx, b, class, part{some.tenant, some.items[n/2:]}, read)
		return append(first, second...), err
	case err != nil:
		return nil, classify(doing, err)
	}
	return reply.GetResults(), nil
}

// request returns what all reads by ids have in common.
func (c *collection) request(class string, some part, read reading) *pb.SearchRequest {
	return &pb.SearchRequest{
		// An id may have two objects (see get): with room for one each, another item would be cut off, and count as unknown.
		Collection: class, Tenant: some.tenant, Limit: uint32(2 * len(some.items)), Uses_127Api: true, //nolint:gosec // at most 2*getItems
		Properties:       read.request(),
		Metadata:         c.metadata(read),
		ConsistencyLevel: c.level(),
	}
}

// level is the consistency level of reads by id and of writes: none where there is one copy.
func (c *collection) level() *pb.ConsistencyLevel {
	if !c.replicated {
		return nil
	}
	return pb.ConsistencyLevel_CONSISTENCY_LEVEL_QUORUM.Enum()
}

// metadata is what a read by ids wants to know beside the properties.
func (c *collection) metadata(read reading) *pb.MetadataRequest {
	m := &pb.MetadataRequest{Uuid: true, IsConsistent: c.replicated, LastUpdateTimeUnix: read.times, Vector: read.vectors && c.vector == ""}
	if read.vectors && c.vector != "" {
		m.Vectors = []string{c.vector}
	}
	return m
}

func (c *collection) vectorOf(r *pb.SearchResult) []byte {
	if c.vector == "" {
		return r.GetMetadata().GetVectorBytes()
	}
	for _, v := range r.GetMetadata().GetVectors() {
		if v.GetName() == c.vector {
			return v.GetVectorBytes()
		}
	}
	return nil
}

func (c *collection) setVector(o *pb.BatchObject, vector []byte) {
	if c.vector == "" {
		o.VectorBytes = vector
		return
	}
	o.Vectors = []*pb.Vectors{{Name: c.vector, VectorBytes: vector}}
}

func withIDs(items []record.Item) *pb.Filters {
	ids := make([]string, len(items))
	for i, item := range items {
		ids[i] = item.UUID().String()
	}
	return &pb.Filters{
		Operator:  pb.Filters_OPERATOR_CONTAINS_ANY,
		Target:    &pb.FilterTarget{Target: &pb.FilterTarget_Property{Property: "_id"}},
		TestValue: &pb.Filters_ValueTextArray{ValueTextArray: &pb.TextArray{Values: ids}},
	}
}

// tooLarge reports whether a message was larger than the client or the server takes. It was not
// worked on then.
func tooLarge(err error) bool {
	return status.Code(err) == codes.ResourceExhausted && strings.Contains(err.Error(), "larger than max")
}

// errNoTenant says that a collection has no such tenant.
var errNoTenant = errors.New("no such tenant")

// noTenant reports whether a collection has no such tenant yet: the first write makes it.
func noTenant(err error) bool {
	return err != nil && strings.Contains(err.Error(), "tenant not found")
}
