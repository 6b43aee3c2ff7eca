package weaviate

import (
	"cmp"
	"context"
	"encoding/base64"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/google/uuid"
	pb "github.com/weaviate/weaviate/grpc/generated/protocol/v1"

	"github.com/freshet-io/freshet/libs/fault"
	"github.com/freshet-io/freshet/libs/pipeline"
	"github.com/freshet-io/freshet/libs/record"
)

// Hit is one found item.
type Hit struct {
	Item       record.Item
	UUID       uuid.UUID
	Distance   float64 // as the collection's distance has it; cosine: 0 to 2
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
// nearest first. A collection that is divided by tenants wants one of them; others have no regard
// for it. A condition or a tenant that does not fit is a permanent fault.
func (c *Client) Search(ctx context.Context, name, tenant string, vector []float32, limit int, where []Filter) ([]Hit, error) {
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
	if !b.tenants {
		tenant = ""
	}
	if err := b.checkTenant(tenant); err != nil {
		return nil, err
	}
	results, err := c.near(ctx, b, query{class: name, tenant: tenant, vector: record.AppendVector(nil, vector), limit: limit, properties: &pb.PropertiesRequest{ReturnAllNonrefProperties: true}, filters: filters})
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

type query struct {
	class, tenant string
	vector        []byte
	limit         int
	properties    *pb.PropertiesRequest
	filters       *pb.Filters // may be nil
}

func (c *Client) near(ctx context.Context, b *collection, q query) ([]*pb.SearchResult, error) {
	ctx, cancel := context.WithTimeout(ctx, callLimit)
	defer cancel()
	near := &pb.NearVector{VectorBytes: q.vector}
	if b.vector != "" {
		near.Targets = &pb.Targets{TargetVectors: []string{b.vector}}
	}
	reply, err := c.grpc.Search(ctx, &pb.SearchRequest{
		Collection: q.class, Tenant: q.tenant, Limit: uint32(max(q.limit, 1)), Uses_127Api: true, //nolint:gosec // small and positive
		NearVector: near, Filters: q.filters,
		Properties: q.properties,
		Metadata:   &pb.MetadataRequest{Uuid: true, Distance: true},
	})
	if noTenant(err) {
		return nil, nil
	}
	if err != nil {
		return nil, classify("searching in "+q.class, err)
	}
	return reply.GetResults(), nil
}

func (c *collection) hit(r *pb.SearchResult) (Hit, error) {
	fields := r.GetProperties().GetNonRefProps().GetFields()
	id, err := uuid.Parse(r.GetMetadata().GetId())
	if err != nil {
		return Hit{}, fmt.Errorf("reading a found id: %w", err)
	}
	item, err := itemOf(r)
	if err != nil {
		return Hit{}, err
	}
	return Hit{Item: item, UUID: id, Distance: float64(r.GetMetadata().GetDistance()), Properties: c.properties(fields)}, nil
}

func itemOf(r *pb.SearchResult) (record.Item, error) {
	key, err := base64.StdEncoding.DecodeString(r.GetProperties().GetNonRefProps().GetFields()[propKey].GetTextValue())
	if err != nil {
		return record.Item{}, fmt.Errorf("reading the key of %s: %w", r.GetMetadata().GetId(), err)
	}
	item, err := record.ParseKey(key)
	if err != nil {
		return record.Item{}, fmt.Errorf("reading the key of %s: %w", r.GetMetadata().GetId(), err)
	}
	return item, nil
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
	property, known := c.types[w.Property]
	t := property.Type
	op, ok := operators[w.Op]
	if !known {
		return nil, fault.Reject(fault.FieldType, "condition %s%s%s: collection %s has no property %s; it has %s", w.Property, w.Op, w.Value, c.spec.Name, w.Property,
			cmp.Or(strings.Join(slices.Sorted(maps.Keys(c.types)), ", "), "none"))
	}
	if !ok {
		return nil, fault.Reject(fault.FieldType, "condition %s%s%s: %s is none of = != < <= > >=", w.Property, w.Op, w.Value, w.Op)
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
