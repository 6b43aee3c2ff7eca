package telemetry_test

import (
	"context"
	"net"
	"sync"
	"testing"

	collector "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	"google.golang.org/grpc"

	"github.com/freshet-io/freshet/libs/telemetry"
)

// meterSink takes metrics as a collector does.
type meterSink struct {
	collector.UnimplementedMetricsServiceServer

	mu    sync.Mutex
	names map[string]bool
}

func (s *meterSink) Export(_ context.Context, r *collector.ExportMetricsServiceRequest) (*collector.ExportMetricsServiceResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, resource := range r.GetResourceMetrics() {
		for _, of := range resource.GetScopeMetrics() {
			for _, m := range of.GetMetrics() {
				s.names[m.GetName()] = true
			}
		}
	}
	return &collector.ExportMetricsServiceResponse{}, nil
}

func TestMetrics_goToACollectorWhereThatIsSet(t *testing.T) {
	for exporter, want := range map[string]bool{"otlp": true, "none": false} {
		l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		server, got := grpc.NewServer(), &meterSink{names: map[string]bool{}}
		collector.RegisterMetricsServiceServer(server, got)
		go func() { _ = server.Serve(l) }()
		t.Cleanup(server.Stop)
		t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://"+l.Addr().String())
		tel, err := telemetry.New(t.Context(), telemetry.Config{Exporter: "none", Metrics: exporter}, "test", "test")
		if err != nil {
			t.Fatal(err)
		}
		tel.Metrics.Items(t.Context(), "write", "written", 3)
		if err := tel.Close(t.Context()); err != nil { // it exports what there is
			t.Fatal(err)
		}
		got.mu.Lock()
		if got.names["freshet.items"] != want {
			t.Errorf("with %s the collector has %v", exporter, got.names)
		}
		got.mu.Unlock()
	}
}
