package weaviate

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"slices"
	"strconv"

	"github.com/google/uuid"
	pb "github.com/weaviate/weaviate/grpc/generated/protocol/v1"
	"golang.org/x/sync/errgroup"

	"github.com/freshet-io/freshet/libs/fault"
	"github.com/freshet-io/freshet/libs/pipeline"
	"github.com/freshet-io/freshet/libs/record"
)

// Hit is one found item.
type Hit struct {
	Item       record.Item
	UUID       uuid.UUID
	Distance   float64 // cosine distance, 0 to 2
	Properties []*record.Property
}

// Filter is a condition on a property of the pipeline: Op is one of = != < <= > >=, Value is in
// the property's type.
type Filter struct{ Property, Op, Value string }

var operators = map[string]pb.Filters_Operator{
	"=": pb.Filters_OPERATOR_EQUAL, "!=": pb.Filters_OPERATOR_NOT_EQUAL,
	"<": pb.Filters_OPERATOR_LESS_THAN, "<=": pb.Filters_OPERATOR_LESS_THAN_EQUAL,
	">": pb.Filters_OPERATOR_GREATER_THAN, ">=": pb.Filters_OPERATOR_GREATER_THAN_EQUAL,
}

// Search returns up to limit items of the collection behind an alias that meet all conditions,
// nearest first. A condition that does not fit is a permanent fault.
func (c *Client) Search(ctx context.Context, name string, vector []float32, limit int, where []Filter) ([]Hit, error) {
	b, err := c.described(ctx, name)
	if err != nil {
		return nil, err
	}
	if len(vector) != b.spec.Dimensions {
		return nil, fault.Reject(fault.DimensionMismatch, "a vector of %d numbers, collection %s has %d dimensions", len(vector), name, b.spec.Dimensions)
	}
	filters, err := b.filters(where)
	if err != nil {
		return nil, err
	}
	results, err := c.near(ctx, name, record.AppendVector(nil, vector), limit, true, filters)
	if err != nil {
		return nil, err
	}
	hits := make([]Hit, len(results))
	for i, r := range results {
		if hits[i], err = b.hit(r); err != nil {
			return nil, err
		}
	}
	return hits, nil
}

// described returns a collection for reading: as it was checked, or as it describes itself.
func (c *Client) described(ctx context.Context, name string) (*collection, error) {
	if b, err := c.named(name); err == nil {
		return b, nil
	}
	if _, err := c.Describe(ctx, name); err != nil {
		return nil, err
	}
	return c.named(name)
}

func (c *Client) near(ctx context.Context, class string, vector []byte, limit int, properties bool, filters *pb.Filters) ([]*pb.SearchResult, error) {
	ctx, cancel := context.WithTimeout(ctx, callLimit)
	defer cancel()
	reply, err := c.grpc.Search(ctx, &pb.SearchRequest{
		Collection: class, Limit: uint32(max(limit, 1)), Uses_127Api: true, //nolint:gosec // small and positive
		NearVector: &pb.NearVector{VectorBytes: vector}, Filters: filters,
		Properties: &pb.PropertiesRequest{ReturnAllNonrefProperties: properties},
		Metadata:   &pb.MetadataRequest{Uuid: true, Distance: true},
	})
	if err != nil {
		return nil, classify("searching in "+class, err)
	}
	return reply.GetResults(), nil
}

func (c *collection) hit(r *pb.SearchResult) (Hit, error) {
	fields := r.GetProperties().GetNonRefProps().GetFields()
	id, err := uuid.Parse(r.GetMetadata().GetId())
	if err != nil {
		return Hit{}, fmt.Errorf("reading a found id: %w", err)
	}
	key, err := base64.StdEncoding.DecodeString(fields[propKey].GetTextValue())
	if err != nil {
		return Hit{}, fmt.Errorf("reading the key of %s: %w", id, err)
	}
	item, err := record.ParseKey(key)
	if err != nil {
		return Hit{}, fmt.Errorf("reading the key of %s: %w", id, err)
	}
	return Hit{Item: item, UUID: id, Distance: float64(r.GetMetadata().GetDistance()), Properties: c.properties(fields)}, nil
}

// filters returns the conjunction of conditions, nil where there are none.
func (c *collection) filters(where []Filter) (*pb.Filters, error) {
	var all []*pb.Filters
	for _, w := range where {
		f, err := c.filter(w)
		if err != nil {
			return nil, err
		}
		all = append(all, f)
	}
	switch len(all) {
	case 0:
		return nil, nil //nolint:nilnil // no condition is no filter
	case 1:
		return all[0], nil
	}
	return &pb.Filters{Operator: pb.Filters_OPERATOR_AND, Filters: all}, nil
}

func (c *collection) filter(w Filter) (*pb.Filters, error) {
	t, known := c.types[w.Property]
	op, ok := operators[w.Op]
	if !known || !ok {
		return nil, fault.Reject(fault.FieldType, "condition %s%s%s: no such property or operator", w.Property, w.Op, w.Value)
	}
	f := &pb.Filters{Operator: op, Target: &pb.FilterTarget{Target: &pb.FilterTarget_Property{Property: w.Property}}}
	var err error
	switch t {
	case pipeline.TypeNumber, pipeline.TypeNumbers:
		var n float64
		n, err = strconv.ParseFloat(w.Value, 64)
		f.TestValue = &pb.Filters_ValueNumber{ValueNumber: n}
	case pipeline.TypeInt, pipeline.TypeInts:
		var n int64
		n, err = strconv.ParseInt(w.Value, 10, 64)
		f.TestValue = &pb.Filters_ValueInt{ValueInt: n}
	case pipeline.TypeBool, pipeline.TypeBooleans:
		var v bool
		v, err = strconv.ParseBool(w.Value)
		f.TestValue = &pb.Filters_ValueBoolean{ValueBoolean: v}
	case pipeline.TypeText, pipeline.TypeTexts, pipeline.TypeDate, pipeline.TypeDates, pipeline.TypeUUID:
		f.TestValue = &pb.Filters_ValueText{ValueText: w.Value}
	}
	if err != nil {
		return nil, fault.Reject(fault.FieldType, "condition %s%s%s: the value is no %s", w.Property, w.Op, w.Value, t)
	}
	return f, nil
}

// Count returns the number of objects in the collection behind an alias. It says nothing about
// whether they can be found: SelfFound does.
func (c *Client) Count(ctx context.Context, name string) (int64, error) {
	class, err := c.resolve(ctx, name)
	if err != nil {
		return 0, err
	}
	if class == "" {
		return 0, fault.Halt("alias %s is missing in Weaviate at %s", name, c.url)
	}
	query := map[string]string{"query": "{Aggregate{" + class + "{meta{count}}}}"}
	var answer struct {
		Data struct {
			Aggregate map[string][]struct{ Meta struct{ Count int64 } }
		}
		Errors []struct{ Message string }
	}
	if err := c.call(ctx, http.MethodPost, "graphql", query, &answer); err != nil {
		return 0, fmt.Errorf("counting %s: %w", class, err)
	}
	if len(answer.Errors) > 0 {
		return 0, fmt.Errorf("counting %s: %s", class, answer.Errors[0].Message)
	}
	counts := answer.Data.Aggregate[class]
	if len(counts) != 1 {
		return 0, fmt.Errorf("counting %s: no count in the answer", class)
	}
	return counts[0].Meta.Count, nil
}

// FetchVector returns the stored vector of an item, by the alias of its collection. Its error is
// ErrNotFound where there is none.
func (c *Client) FetchVector(ctx context.Context, item record.Item) ([]float32, error) {
	results, err := c.byID(ctx, item.Collection, []record.Item{item}, reading{vectors: true})
	if err != nil {
		return nil, err
	}
	if len(results) == 0 || len(results[0].GetMetadata().GetVectorBytes()) == 0 {
		return nil, fmt.Errorf("item %s: %w", item, ErrNotFound)
	}
	return record.ParseVector(results[0].GetMetadata().GetVectorBytes())
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
// under this name, else the one behind the alias. Where more than a thousand items have the very
// same vector, it may miss one that is there.
func (c *Client) SelfFound(ctx context.Context, name string, items []record.Item) (missing []record.Item, err error) {
	if b, err := c.named(name); err == nil {
		name = b.spec.Class()
	}
	for some := range slices.Chunk(items, getItems) {
		lost, err := c.lost(ctx, name, some)
		if err != nil {
			return nil, err
		}
		missing = append(missing, lost...)
	}
	return missing, nil
}

// lost is SelfFound for as many items as one read takes.
func (c *Client) lost(ctx context.Context, name string, items []record.Item) ([]record.Item, error) {
	results, err := c.byID(ctx, name, items, reading{vectors: true})
	if err != nil {
		return nil, err
	}
	vectors := make(map[string][]byte, len(results))
	for _, r := range results {
		vectors[r.GetMetadata().GetId()] = r.GetMetadata().GetVectorBytes()
	}
	found := make([]bool, len(items))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(selfCalls)
	for i, item := range items {
		id := item.UUID().String()
		group.Go(func() (err error) {
			found[i], err = c.findsItself(ctx, name, id, vectors[id])
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	var lost []record.Item
	for i, item := range items {
		if !found[i] {
			lost = append(lost, item)
		}
	}
	return lost, nil
}

func (c *Client) findsItself(ctx context.Context, name, id string, vector []byte) (bool, error) {
	if len(vector) == 0 {
		return false, nil
	}
	for _, limit := range []int{selfNear, selfFar} {
		results, err := c.near(ctx, name, vector, limit, false, nil)
		if err != nil {
			return false, err
		}
		for _, r := range results {
			if r.GetMetadata().GetId() == id {
				return true, nil
			}
		}
		// Where even the last one is as near as the item itself, it may be behind its doubles.
		if n := len(results); n < limit || float64(results[n-1].GetMetadata().GetDistance()) > sameVector {
			return false, nil
		}
	}
	return false, nil
}
