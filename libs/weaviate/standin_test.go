package weaviate

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"
	pb "github.com/weaviate/weaviate/grpc/generated/protocol/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/freshet-io/freshet/libs/record"
)

// standIn answers both ports as a Weaviate of several copies does, for what one node cannot show.
type standIn struct {
	pb.UnimplementedWeaviateServer

	url, grpc string

	mu         sync.Mutex
	there      map[string]bool // objects that a search finds, by id
	elsewhere  map[string]bool // objects that only other copies have
	unindexed  map[string]bool // objects that are there, and that no filter finds
	twice      map[string]bool // objects that a search finds twice: as they are, and as they were
	stubborn   bool            // asking for an object does not repair it
	diverging  bool            // copies of found objects differ
	shards     string          // what it says of each class's; empty: it refuses to
	most       int             // objects that an answer has room for; 0: any number, -1: not one
	authorized []string        // each distinct key that was sent, after the port's name
	requests   []proto.Message
	rest       []string
}

// serve starts the stand-in; both ports speak TLS where there is a configuration of it.
func (s *standIn) serve(t *testing.T, secure *tls.Config) {
	t.Helper()
	s.there, s.elsewhere, s.unindexed = map[string]bool{}, map[string]bool{}, map[string]bool{}
	web := httptest.NewUnstartedServer(s)
	var options []grpc.ServerOption
	if secure == nil {
		web.Start()
	} else {
		web.TLS = secure.Clone()
		web.StartTLS()
		options = append(options, grpc.Creds(credentials.NewTLS(secure)))
	}
	t.Cleanup(web.Close)
	options = append(options, grpc.UnaryInterceptor(func(ctx context.Context, in any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
		md, _ := metadata.FromIncomingContext(ctx)
		for _, key := range md.Get("authorization") {
			s.saw("grpc " + key)
		}
		return handler(ctx, in)
	}))
	server := grpc.NewServer(options...)
	pb.RegisterWeaviateServer(server, s)
	grpc_health_v1.RegisterHealthServer(server, health.NewServer())
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = server.Serve(l) }()
	t.Cleanup(server.Stop)
	s.url, s.grpc = web.URL, l.Addr().String()
}

func (s *standIn) saw(key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !slices.Contains(s.authorized, key) {
		s.authorized = append(s.authorized, key)
	}
}

func (s *standIn) has(key string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Contains(s.authorized, key)
}

// ServeHTTP is the HTTP API: meta, shards, and objects by their ids.
func (s *standIn) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.saw("rest " + r.Header.Get("Authorization"))
	if r.URL.Path == "/v1/meta" {
		meta(w, r)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rest = append(s.rest, r.Method+" "+r.URL.RequestURI())
	if strings.HasSuffix(r.URL.Path, "/shards") {
		if s.shards == "" {
			w.WriteHeader(http.StatusForbidden)
		}
		_, _ = io.WriteString(w, s.shards)
		return
	}
	id := r.URL.Path[len(r.URL.Path)-36:]
	switch {
	case r.Method == http.MethodHead && !s.elsewhere[id] && !s.unindexed[id], r.Method == http.MethodDelete && !s.there[id]:
		w.WriteHeader(http.StatusNotFound)
		return
	case r.Method == http.MethodHead && !s.stubborn && !s.unindexed[id]:
		s.there[id] = true
	case r.Method == http.MethodDelete:
		delete(s.there, id)
	}
	w.WriteHeader(http.StatusNoContent)
}

// Search implements pb.WeaviateServer.
func (s *standIn) Search(_ context.Context, r *pb.SearchRequest) (*pb.SearchReply, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests = append(s.requests, r)
	reply, ids := &pb.SearchReply{}, r.GetFilters().GetValueTextArray().GetValues()
	if s.most != 0 && len(ids) > s.most {
		return nil, status.Error(codes.ResourceExhausted, "grpc: trying to send message larger than max (9 vs. 8)")
	}
	if r.GetAfter() != "" { // a walk: from there to the next id
		for id := range s.unindexed {
			if before(uuid.MustParse(id)).String() == r.GetAfter() {
				ids = append(ids, id)
			}
		}
	}
	for _, id := range ids {
		if s.there[id] || s.unindexed[id] && r.GetAfter() != "" {
			consistent := !s.diverging
			m := &pb.MetadataResult{Id: id, IsConsistent: &consistent, IsConsistentPresent: true}
			reply.Results = append(reply.Results, &pb.SearchResult{Metadata: m})
			if s.twice[id] {
				reply.Results = append(reply.Results, &pb.SearchResult{Metadata: m})
			}
		}
	}
	reply.Results = reply.Results[:min(len(reply.Results), int(r.GetLimit()))]
	return reply, nil
}

// BatchObjects implements pb.WeaviateServer.
func (s *standIn) BatchObjects(_ context.Context, r *pb.BatchObjectsRequest) (*pb.BatchObjectsReply, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests = append(s.requests, r)
	return &pb.BatchObjectsReply{}, nil
}

// open returns a client for which Product is bound.
func (s *standIn) open(t *testing.T, cfg Config, of traits) *Client {
	t.Helper()
	cfg.URL, cfg.GRPC = s.url, s.grpc
	c, err := Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	c.bind(CollectionSpec{Name: "Product", Generation: 1, Dimensions: 1, Partitions: 1}, of)
	return c
}

func anItem(tenant, id string) record.Item {
	return record.Item{Collection: "Product", Tenant: tenant, ID: []string{id}}
}

var oneVector = record.AppendVector(nil, []float32{1})

var replicated = traits{replicated: true, tenants: true}
