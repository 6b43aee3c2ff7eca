package e2e_test

import (
	"context"
	"net"
	"sync"
	"testing"

	pb "github.com/weaviate/weaviate/grpc/generated/protocol/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
)

// tap stands between one instance of write and Weaviate, and tells when the instance has
// been answered what the index has, and has not yet put what follows from that, or when
// the put is under way.
type tap struct {
	pb.UnimplementedWeaviateServer
	grpc_health_v1.UnimplementedHealthServer

	address string
	index   pb.WeaviateClient
	health  grpc_health_v1.HealthClient

	mu       sync.Mutex
	onLoad   func()
	onPut    func()
	onLanded func(error)
}

// startTap starts a tap before Weaviate's gRPC port; it ends with the test.
func startTap(t *testing.T, upstream string) *tap {
	t.Helper()
	const limit = 64 << 20
	conn, err := grpc.NewClient(upstream, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(limit), grpc.MaxCallSendMsgSize(limit)))
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &tap{address: listener.Addr().String(), index: pb.NewWeaviateClient(conn), health: grpc_health_v1.NewHealthClient(conn)}
	ports.add(p.address)
	server := grpc.NewServer(grpc.MaxRecvMsgSize(limit), grpc.MaxSendMsgSize(limit))
	pb.RegisterWeaviateServer(server, p)
	grpc_health_v1.RegisterHealthServer(server, p)
	go func() { _ = server.Serve(listener) }() // ends with Stop
	t.Cleanup(func() {
		server.Stop()
		_ = conn.Close()
	})
	return p
}

// atNextLoad calls f once, between the next answer to a question for stored items and its delivery.
func (p *tap) atNextLoad(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.onLoad = f
}

// atNextPut calls begun once, before the next put of several rows reaches Weaviate, and then landed, when that has
// answered.
func (p *tap) atNextPut(begun func(), landed func(error)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.onPut, p.onLanded = begun, landed
}

// Search implements pb.WeaviateServer. A search with a vector is none for stored items.
func (p *tap) Search(ctx context.Context, request *pb.SearchRequest) (*pb.SearchReply, error) {
	reply, err := p.index.Search(onward(ctx), request)
	if err == nil && request.GetNearVector() == nil {
		p.mu.Lock()
		f := p.onLoad
		p.onLoad = nil
		p.mu.Unlock()
		if f != nil {
			f()
		}
	}
	return reply, err
}

// BatchObjects implements pb.WeaviateServer.
func (p *tap) BatchObjects(ctx context.Context, request *pb.BatchObjectsRequest) (*pb.BatchObjectsReply, error) {
	if objects := request.GetObjects(); len(objects) < 3 || len(objects[0].GetVectorBytes()) == 0 { // tombstones have no vector
		return p.index.BatchObjects(onward(ctx), request)
	}
	p.mu.Lock()
	begun, landed := p.onPut, p.onLanded
	p.onPut, p.onLanded = nil, nil
	p.mu.Unlock()
	if begun == nil {
		return p.index.BatchObjects(onward(ctx), request)
	}
	begun()
	reply, err := p.index.BatchObjects(onward(ctx), request)
	landed(err)
	return reply, err
}

// BatchDelete implements pb.WeaviateServer.
func (p *tap) BatchDelete(ctx context.Context, request *pb.BatchDeleteRequest) (*pb.BatchDeleteReply, error) {
	return p.index.BatchDelete(onward(ctx), request)
}

// Check implements grpc_health_v1.HealthServer.
func (p *tap) Check(ctx context.Context, request *grpc_health_v1.HealthCheckRequest) (*grpc_health_v1.HealthCheckResponse, error) {
	return p.health.Check(onward(ctx), request)
}

// onward has a call's key go on with it.
func onward(ctx context.Context) context.Context {
	md, _ := metadata.FromIncomingContext(ctx)
	return metadata.NewOutgoingContext(ctx, metadata.Pairs("authorization", first(md.Get("authorization"))))
}

func first(values []string) string {
	if len(values) == 0 {
		return ""
	}
	return values[0]
}
