package bench

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"

	pb "github.com/weaviate/weaviate/grpc/generated/protocol/v1"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"

	"github.com/freshet-io/freshet/libs/record"
	"github.com/freshet-io/freshet/libs/weaviate"
)

const (
	bareCollection = "Bare"
	messageLimit   = 64 << 20
	writeAtOnce    = 2 // as the write service by default
)

// bare is a client of Weaviate that sends batches that were made before, and looks at
// nothing but their answers. Its collection is equal to the pipeline's.
type bare struct {
	key   string
	class string
	conn  *grpc.ClientConn
	grpc  pb.WeaviateClient
}

// bareClient makes the collection of a bare client, which ends with the bed.
func (b *bed) bareClient(ctx context.Context) (*bare, error) {
	spec, err := b.index.Describe(ctx, collection)
	if err != nil {
		return nil, err
	}
	spec.Name = bareCollection
	if err := b.index.Create(ctx, spec); err != nil {
		return nil, err
	}
	conn, err := grpc.NewClient(b.weaviate.GRPC, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return nil, fmt.Errorf("connecting to Weaviate's gRPC port: %w", err)
	}
	b.onClose(func(context.Context) error { return conn.Close() })
	return &bare{b.weaviate.APIKey.Value(), spec.Class(), conn, pb.NewWeaviateClient(conn)}, nil
}

// put sends one batch.
func (c *bare) put(ctx context.Context, batch *pb.BatchObjectsRequest) error {
	reply, err := c.grpc.BatchObjects(metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+c.key), batch)
	if err != nil {
		return fmt.Errorf("writing %d objects: %w", len(batch.GetObjects()), err)
	}
	for _, e := range reply.GetErrors() {
		return fmt.Errorf("writing object %d: %s", e.GetIndex(), e.GetError())
	}
	return nil
}

// putAll sends batches, as many at a time as the write service does, and returns its pace.
func (c *bare) putAll(ctx context.Context, batches []*pb.BatchObjectsRequest) (*pace, error) {
	p := newPace()
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(writeAtOnce)
	for _, batch := range batches {
		group.Go(func() error {
			err := c.put(ctx, batch)
			p.add(len(batch.GetObjects()))
			return err
		})
	}
	return p, group.Wait()
}

// batches returns the requests with which the product's client puts new items into the
// index, addressed to the bare client's collection: recorded from that client, so that
// they are the same however it encodes an item.
func (b *bed) batches(ctx context.Context, c *bare, vectors []*record.Vector) ([]*pb.BatchObjectsRequest, error) {
	tape := &recorder{}
	address, stop, err := tape.start(ctx)
	if err != nil {
		return nil, err
	}
	defer stop()
	to := b.weaviate
	to.GRPC = address
	client, err := weaviate.Open(ctx, to)
	if err != nil {
		return nil, err
	}
	defer func() { _ = client.Close() }()
	if _, err := client.CheckAll(ctx, b.file, b.identity); err != nil {
		return nil, err
	}
	objects := make([]weaviate.Object, len(vectors))
	for i, v := range vectors {
		objects[i] = weaviate.Object{Item: v.GetDocument().Item(), State: record.State{Sources: record.Orders{}}}
		objects[i].State.Take(v)
	}
	rejected, err := client.Put(ctx, collection, objects)
	for _, why := range rejected {
		err = errors.Join(err, why)
	}
	for _, request := range tape.requests {
		for _, o := range request.GetObjects() {
			o.Collection = c.class
		}
	}
	return tape.requests, err
}

// recorder is an index that takes everything and keeps the requests.
type recorder struct {
	pb.UnimplementedWeaviateServer

	mu       sync.Mutex
	requests []*pb.BatchObjectsRequest
}

// BatchObjects implements pb.WeaviateServer.
func (r *recorder) BatchObjects(_ context.Context, request *pb.BatchObjectsRequest) (*pb.BatchObjectsReply, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.requests = append(r.requests, request)
	return &pb.BatchObjectsReply{}, nil
}

func (r *recorder) start(ctx context.Context) (address string, stop func(), err error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, fmt.Errorf("opening a port: %w", err)
	}
	server := grpc.NewServer(grpc.MaxRecvMsgSize(messageLimit))
	pb.RegisterWeaviateServer(server, r)
	grpc_health_v1.RegisterHealthServer(server, health.NewServer())
	go func() { _ = server.Serve(listener) }() // ends with stop
	return listener.Addr().String(), server.Stop, nil
}
