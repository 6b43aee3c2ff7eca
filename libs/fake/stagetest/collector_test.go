package stagetest

import (
	"context"
	"encoding/hex"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"

	otlp "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// collector is an OpenTelemetry collector: it takes spans over gRPC, and keeps or refuses them. It is safe for concurrent use.
type collector struct {
	otlp.UnimplementedTraceServiceServer

	mu    sync.Mutex
	spans []collected
	away  bool
}

// collected is a span and the service that it is of.
type collected struct {
	*tracepb.Span

	Service string
}

// startCollector returns a collector to which OTEL_EXPORTER_OTLP_ENDPOINT points until the test ends.
func startCollector(tb testing.TB) *collector {
	tb.Helper()
	l, err := (&net.ListenConfig{}).Listen(tb.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	server, c := grpc.NewServer(), &collector{}
	otlp.RegisterTraceServiceServer(server, c)
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	tb.Cleanup(func() {
		server.Stop()
		if err := <-served; err != nil {
			tb.Error(err)
		}
	})
	tb.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://"+l.Addr().String())
	return c
}

// Export implements the service.
func (c *collector) Export(_ context.Context, r *otlp.ExportTraceServiceRequest) (*otlp.ExportTraceServiceResponse, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.away {
		return nil, status.Error(codes.InvalidArgument, "refused: the test says so") // not tried again
	}
	for _, resource := range r.GetResourceSpans() {
		service := attribute(resource.GetResource().GetAttributes(), "service.name")
		for _, scope := range resource.GetScopeSpans() {
			for _, span := range scope.GetSpans() {
				c.spans = append(c.spans, collected{span, service})
			}
		}
	}
	return &otlp.ExportTraceServiceResponse{}, nil
}

// Refuse has the collector take nothing any more.
func (c *collector) Refuse() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.away = true
}

// Spans returns what has come so far, by trace id in hex, each trace in the order of its spans' beginnings, parents
// before their children.
func (c *collector) Spans() map[string][]collected {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := map[string][]collected{}
	for _, s := range c.spans {
		id := hex.EncodeToString(s.GetTraceId())
		all[id] = append(all[id], s)
	}
	for _, trace := range all {
		slices.SortStableFunc(trace, func(a, b collected) int { return int(a.GetStartTimeUnixNano()) - int(b.GetStartTimeUnixNano()) }) //nolint:gosec // it fits
	}
	return all
}

// attribute returns the text of an attribute, "" where there is none.
func attribute[A interface {
	GetKey() string
	GetValue() V
}, V interface{ GetStringValue() string }](attributes []A, name string) string {
	for _, a := range attributes {
		if a.GetKey() == name {
			return a.GetValue().GetStringValue()
		}
	}
	return ""
}

// story returns a trace as one line a span, for comparison: its service without freshet-, and its name.
func story(trace []collected) string {
	lines := make([]string, len(trace))
	for i, s := range trace {
		lines[i] = strings.TrimPrefix(s.Service, "freshet-") + ": " + s.GetName()
	}
	return strings.Join(lines, "\n")
}
