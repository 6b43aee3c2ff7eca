package hazards_test

import (
	"context"
	"encoding/binary"
	"net"
	"sync"
	"testing"
	"time"

	pb "github.com/weaviate/weaviate/grpc/generated/protocol/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"
)

// naive makes a writer that leaves a rule out of the one that is connected to it.
type naive struct {
	pb.UnimplementedWeaviateServer
	grpc_health_v1.UnimplementedHealthServer

	// trusts the answer of a batch: what it does not name is taken for written, and what it names
	// is sent again.
	trusts bool
	// repeats the bits of a vector: no nonce.
	repeats bool
	// forgets the versions of what is stored.
	forgets bool
	// lazy leaves out the put of an object as it is, which has the vector index write its log.
	lazy bool

	mu   sync.Mutex
	last map[string]*pb.BatchObject // by id

	index  pb.WeaviateClient
	health grpc_health_v1.HealthClient
}

// start puts it before a gRPC port; it ends with the test.
func (n *naive) start(t *testing.T, upstream string) (address string) {
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
	n.index, n.health = pb.NewWeaviateClient(conn), grpc_health_v1.NewHealthClient(conn)
	server := grpc.NewServer(grpc.MaxRecvMsgSize(limit), grpc.MaxSendMsgSize(limit))
	pb.RegisterWeaviateServer(server, n)
	grpc_health_v1.RegisterHealthServer(server, n)
	go func() { _ = server.Serve(listener) }() // ends with Stop
	t.Cleanup(func() {
		server.Stop()
		_ = conn.Close()
	})
	return listener.Addr().String()
}

// Search implements pb.WeaviateServer.
func (n *naive) Search(ctx context.Context, request *pb.SearchRequest) (*pb.SearchReply, error) {
	reply, err := n.index.Search(onward(ctx), request)
	if n.forgets {
		for _, r := range reply.GetResults() {
			fields := r.GetProperties().GetNonRefProps().GetFields()
			for _, name := range []string{"freshet_base", "freshet_floor", "freshet_sources"} {
				delete(fields, name)
			}
		}
	}
	return reply, err
}

// BatchObjects implements pb.WeaviateServer.
func (n *naive) BatchObjects(ctx context.Context, request *pb.BatchObjectsRequest) (*pb.BatchObjectsReply, error) {
	if n.repeats {
		for _, o := range request.GetObjects() {
			withoutNonce(o.GetVectorBytes())
		}
	}
	if n.lazy && n.repeated(request.GetObjects()) {
		return &pb.BatchObjectsReply{}, nil
	}
	for {
		reply, err := n.index.BatchObjects(onward(ctx), request)
		if err != nil || !n.trusts || len(reply.GetErrors()) == 0 {
			return reply, err
		}
		var named []*pb.BatchObject
		for _, e := range reply.GetErrors() {
			named = append(named, request.GetObjects()[e.GetIndex()])
		}
		request = &pb.BatchObjectsRequest{Objects: named}
		wait(100 * time.Millisecond)
	}
}

// repeated reports whether the last put of each object was the same.
func (n *naive) repeated(objects []*pb.BatchObject) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.last == nil {
		n.last = map[string]*pb.BatchObject{}
	}
	same := true
	for _, o := range objects {
		same = same && proto.Equal(n.last[o.GetUuid()], o)
		n.last[o.GetUuid()] = o
	}
	return same
}

// withoutNonce sets the bits to zero that a nonce changes.
func withoutNonce(vector []byte) {
	for ; len(vector) >= 4; vector = vector[4:] {
		binary.LittleEndian.PutUint32(vector, binary.LittleEndian.Uint32(vector)&^(1<<10-1))
	}
}

// BatchDelete implements pb.WeaviateServer.
func (n *naive) BatchDelete(ctx context.Context, request *pb.BatchDeleteRequest) (*pb.BatchDeleteReply, error) {
	return n.index.BatchDelete(onward(ctx), request)
}

// Check implements grpc_health_v1.HealthServer.
func (n *naive) Check(ctx context.Context, request *grpc_health_v1.HealthCheckRequest) (*grpc_health_v1.HealthCheckResponse, error) {
	return n.health.Check(onward(ctx), request)
}

// onward has a call's key go on with it.
func onward(ctx context.Context) context.Context {
	incoming, _ := metadata.FromIncomingContext(ctx)
	outgoing := metadata.MD{}
	outgoing.Set("authorization", incoming.Get("authorization")...)
	return metadata.NewOutgoingContext(ctx, outgoing)
}
