package local

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"
)

// SchemaRegistry is a running Apicurio registry, in memory, without authentication, on loopback only. All methods are
// safe for concurrent use.
type SchemaRegistry struct {
	URL  string // where it has Confluent's API
	Core string // where it has its own, which its converters register schemas with
	// Java runs a program of one source file with Apicurio's converters: its arguments are behind these.
	Java []string

	*server
}

// StartSchemaRegistry starts a registry from the cache and returns when it answers. The caller stops it. log gets its
// warnings and errors; nil: nowhere. ctx bounds the start only.
func StartSchemaRegistry(ctx context.Context, log io.Writer) (*SchemaRegistry, error) {
	home, err := SchemaRegistryHome()
	if err != nil {
		return nil, err
	}
	java, err := exec.LookPath("java")
	if err != nil {
		return nil, fmt.Errorf("starting the schema registry: %w", err)
	}
	s, err := newServer("schema-registry", "")
	if err != nil {
		return nil, err
	}
	r := &SchemaRegistry{server: s}
	// One compiler, as for Kafka: it starts sooner. What it unpacks goes with its folder. Java 17 reads source in the
	// encoding of the environment.
	flags := []string{"-Dfile.encoding=UTF-8", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData", "-Djava.io.tmpdir=" + s.data}
	r.Java = append(append([]string{java}, flags...), "-cp", filepath.Join(home, "converter", "*"))
	var port int
	s.launch = func(ctx context.Context) (*child, error) {
		args := append(flags, "-Dquarkus.http.host=127.0.0.1", "-Dquarkus.http.port="+strconv.Itoa(port), "-Dquarkus.log.level=WARN", "-jar", filepath.Join(home, "registry", "runner.jar"))
		cmd := exec.CommandContext(context.WithoutCancel(ctx), java, args...)
		cmd.Dir = s.data
		c, err := startChild("schema-registry", cmd, []string{}, log)
		if err != nil {
			return nil, err
		}
		return c, c.awaitReady(ctx, r.ready)
	}
	err = s.startFirst(ctx, 1, func(ports []int) {
		port = ports[0]
		r.URL = "http://" + loopback(port) + "/apis/ccompat/v7"
		r.Core = "http://" + loopback(port) + "/apis/registry/v2"
	})
	if err != nil {
		return nil, err
	}
	return r, nil
}

func (r *SchemaRegistry) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.URL+"/subjects", http.NoBody)
	if err != nil {
		return fmt.Errorf("asking the schema registry: %w", err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("asking the schema registry: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("asking the schema registry: it answers %d", resp.StatusCode)
	}
	return nil
}
