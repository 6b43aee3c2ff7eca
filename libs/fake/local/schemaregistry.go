package local

import (
	"context"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"slices"
)

// SchemaRegistry is a running Apicurio registry, in memory, without authentication, on loopback only. All methods are
// safe for concurrent use.
type SchemaRegistry struct {
	URL  string // where it has Confluent's API
	Core string // where it has its own, which its converters register schemas with
	// Java runs a program of one source file with Apicurio's converters: its arguments are behind these.
	Java []string

	*Server
}

// StartSchemaRegistry starts a registry from the cache and returns when it answers. The caller stops it. log gets its
// warnings and errors; nil: nowhere. ctx bounds the start only.
func StartSchemaRegistry(ctx context.Context, log io.Writer) (*SchemaRegistry, error) {
	home, err := ApicurioPackage.Path()
	if err != nil {
		return nil, err
	}
	java, err := exec.LookPath("java")
	if err != nil {
		return nil, fmt.Errorf("starting the schema registry: %w", err)
	}
	// One compiler, as for Kafka: it starts sooner. What it unpacks goes with its folder. Java 17 reads source in the
	// encoding of the environment.
	command := []string{java, "-Dfile.encoding=UTF-8", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData"}
	s, err := Start(ctx, Description{
		Name: "schema-registry", Ports: 1, Log: log,
		Command: func(_ context.Context, s *Server) (*exec.Cmd, error) {
			args := append(slices.Clone(command), "-Djava.io.tmpdir="+s.Data, "-Dquarkus.http.host=127.0.0.1", "-Dquarkus.http.port="+s.Port(0),
				"-Dquarkus.log.level=WARN", "-jar", filepath.Join(home, "registry", "runner.jar"))
			return &exec.Cmd{Path: java, Args: args, Dir: s.Data}, nil
		},
		Ready: func(ctx context.Context, s *Server) error {
			return Ask(ctx, "the schema registry", "http://"+s.Address(0)+confluentPath+"/subjects", "", nil)
		},
	})
	if err != nil {
		return nil, err
	}
	return &SchemaRegistry{
		URL: "http://" + s.Address(0) + confluentPath, Core: "http://" + s.Address(0) + "/apis/registry/v2",
		Java: append(command, "-Djava.io.tmpdir="+s.Data, "-cp", filepath.Join(home, "converter", "*")), Server: s,
	}, nil
}

const confluentPath = "/apis/ccompat/v7"
