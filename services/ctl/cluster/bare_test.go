package cluster_test

import (
	"context"
	"testing"
	"time"

	pb "github.com/weaviate/weaviate/grpc/generated/protocol/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/freshet-io/freshet/libs/fake/local"
)

// bare is a client that asks one node, and believes what that one's copies say.
type bare struct {
	key  string
	grpc pb.WeaviateClient
}

func newBare(t *testing.T, n *local.Weaviate) *bare {
	t.Helper()
	conn, err := grpc.NewClient(n.GRPC, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return &bare{n.APIKey, pb.NewWeaviateClient(conn)}
}

func (c *bare) search(ctx context.Context, request *pb.SearchRequest) ([]*pb.SearchResult, error) {
	request.Collection, request.Uses_127Api = class, true
	request.Metadata = &pb.MetadataRequest{Uuid: true}
	request.ConsistencyLevel = pb.ConsistencyLevel_CONSISTENCY_LEVEL_ONE.Enum()
	ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+c.key)
	for tries := 1; ; tries++ { // a node that comes back may leave a call without an answer
		reply, err := c.searchOnce(ctx, request)
		if tries == 3 || status.Code(err) != codes.DeadlineExceeded || ctx.Err() != nil {
			return reply.GetResults(), err
		}
	}
}

func (c *bare) searchOnce(ctx context.Context, request *pb.SearchRequest) (*pb.SearchReply, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	return c.grpc.Search(ctx, request)
}

// byID reads all items by their ids.
func (c *bare) byID(ctx context.Context) ([]got, error) {
	ids := make([]string, items)
	for id := range ids {
		ids[id] = itemOf(id).UUID().String()
	}
	results, err := c.search(ctx, &pb.SearchRequest{
		Limit: items, Properties: &pb.PropertiesRequest{ReturnAllNonrefProperties: true},
		Filters: &pb.Filters{
			Operator: pb.Filters_OPERATOR_CONTAINS_ANY, Target: &pb.FilterTarget{Target: &pb.FilterTarget_Property{Property: "_id"}},
			TestValue: &pb.Filters_ValueTextArray{ValueTextArray: &pb.TextArray{Values: ids}},
		},
	})
	found := map[string]got{}
	for _, r := range results {
		fields := r.GetProperties().GetNonRefProps().GetFields()
		found[r.GetMetadata().GetId()] = got{there: true, name: fields["name"].GetTextValue(), price: fields["price"].GetIntValue()}
	}
	all := make([]got, items)
	for id := range all {
		all[id] = found[ids[id]]
	}
	return all, err
}

// finds reports whether an item is among the nearest to its own vector.
func (c *bare) finds(ctx context.Context, id int, vector []byte) (bool, error) {
	results, err := c.search(ctx, &pb.SearchRequest{Limit: 5, NearVector: &pb.NearVector{VectorBytes: vector}})
	for _, r := range results {
		if r.GetMetadata().GetId() == itemOf(id).UUID().String() {
			return true, err
		}
	}
	return false, err
}
