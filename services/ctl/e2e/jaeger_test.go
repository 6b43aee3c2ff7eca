package e2e_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/freshet-io/freshet/libs/fake/local"
	"github.com/freshet-io/freshet/libs/fake/local/localtest"
)

// jaegerConfig has places for the ports of OTLP, of queries over HTTP and over gRPC.
const jaegerConfig = `service:
  extensions: [jaeger_storage, jaeger_query]
  pipelines:
    traces: {receivers: [otlp], processors: [], exporters: [jaeger_storage_exporter]}
  telemetry: {logs: {level: warn}, metrics: {level: none}}
extensions:
  jaeger_storage: {backends: {memory: {memory: {max_traces: 100000}}}}
  jaeger_query:
    storage: {traces: memory}
    http: {endpoint: %q}
    grpc: {endpoint: %q}
receivers:
  otlp: {protocols: {grpc: {endpoint: %q}}}
exporters: {jaeger_storage_exporter: {trace_storage: memory}}
`

// startJaeger starts a Jaeger 2 that ends with the test, on loopback only, which keeps its traces in memory. It takes traces at
// otlp, host:port, and answers at query over HTTP.
func startJaeger(t *testing.T) (otlp, query string) {
	t.Helper()
	path, missing := local.JaegerPackage.Path("jaeger")
	s := localtest.Server(t, missing, local.Description{
		Name: "jaeger", Ports: 3,
		Command: func(_ context.Context, s *local.Server) (*exec.Cmd, error) {
			config := filepath.Join(s.Data, "jaeger.yaml")
			text := fmt.Sprintf(jaegerConfig, s.Address(1), s.Address(2), s.Address(0))
			return &exec.Cmd{Path: path, Args: []string{path, "--config", config}}, os.WriteFile(config, []byte(text), 0o600)
		},
		Ready: func(ctx context.Context, s *local.Server) error {
			return local.Ask(ctx, "jaeger", "http://"+s.Address(1)+"/api/services", "", nil)
		},
	})
	// It has nothing to keep, and takes its time where a client is still connected.
	t.Cleanup(func() { _ = s.Kill() }) // one that has ended is stopped, too
	return s.Address(0), s.Address(1)
}
