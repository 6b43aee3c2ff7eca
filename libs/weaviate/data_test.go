package weaviate

import (
	"context"
	"sync"
	"testing"
	"time"

	pb "github.com/weaviate/weaviate/grpc/generated/protocol/v1"
	"google.golang.org/grpc"

	"github.com/freshet-io/freshet/libs/record"
)

// moving is a server of which each read meets another one: the first of both collections before an
// item has come to it, or after it has gone.
type moving struct {
	pb.WeaviateClient

	mu    sync.Mutex
	reads map[string]int // by class
	both  chan struct{}
	item  record.Item
}

func (m *moving) Search(ctx context.Context, r *pb.SearchRequest, _ ...grpc.CallOption) (*pb.SearchReply, error) {
	m.mu.Lock()
	m.reads[r.GetCollection()]++
	again := m.reads[r.GetCollection()] > 1
	if len(m.reads) == 2 && !again {
		close(m.both)
	}
	m.mu.Unlock()
	select {
	case <-m.both:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if !again || r.GetCollection() != "Product_g1_side" {
		return &pb.SearchReply{}, nil
	}
	fields := map[string]*pb.Value{propBase: {Kind: &pb.Value_IntValue{IntValue: 5}}}
	return &pb.SearchReply{Results: []*pb.SearchResult{{
		Metadata:   &pb.MetadataResult{Id: m.item.UUID().String()},
		Properties: &pb.PropertiesResult{NonRefProps: &pb.Properties{Fields: fields}},
	}}}, nil
}

func TestLookupFindsAnItemThatIsBeingMoved(t *testing.T) {
	item := record.Item{Collection: "Product", ID: []string{"1"}}
	m := &moving{reads: map[string]int{}, both: make(chan struct{}), item: item}
	c := &Client{grpc: m, bound: map[string]*collection{}}
	c.bind(CollectionSpec{Name: "Product", Generation: 1, Dimensions: 8, Partitions: 1}, traits{})
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second) // both collections are read at once, else it ends here
	defer cancel()
	states, err := c.Lookup(ctx, "Product", []record.Item{item})
	if err != nil || states[0].Base != 5 {
		t.Errorf("states %+v, error %v: the item was seen in neither collection", states, err)
	}
}
