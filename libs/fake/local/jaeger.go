package local

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// Jaeger is a running Jaeger 2, on loopback only, which keeps its traces in memory.
type Jaeger struct {
	OTLP  string // host:port that takes traces over gRPC
	Query string // host:port of the query API over HTTP

	*Server
}

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

// StartJaeger starts a server from the cache and returns when it answers. The caller stops it. ctx bounds the start only.
func StartJaeger(ctx context.Context) (*Jaeger, error) {
	s, err := Start(ctx, Description{
		Name: "jaeger", Ports: 3,
		Command: func(_ context.Context, s *Server) (*exec.Cmd, error) {
			path, err := JaegerPackage.Path("jaeger")
			if err != nil {
				return nil, err
			}
			config := filepath.Join(s.Data, "jaeger.yaml")
			text := fmt.Sprintf(jaegerConfig, s.Address(1), s.Address(2), s.Address(0))
			if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
				return nil, fmt.Errorf("configuring jaeger: %w", err)
			}
			return &exec.Cmd{Path: path, Args: []string{path, "--config", config}}, nil
		},
		Ready: func(ctx context.Context, s *Server) error {
			return Ask(ctx, "jaeger", "http://"+s.Address(1)+"/api/services", "", nil)
		},
	})
	if err != nil {
		return nil, err
	}
	return &Jaeger{OTLP: s.Address(0), Query: s.Address(1), Server: s}, nil
}

// Stop kills the server: it has nothing to keep, and takes its time where a client is still connected.
func (j *Jaeger) Stop(ctx context.Context) error {
	_ = j.Kill() // one that has ended is stopped, too
	return j.Server.Stop(ctx)
}
