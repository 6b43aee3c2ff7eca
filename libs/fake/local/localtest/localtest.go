// Package localtest gives tests the real servers of package local, one line each. It owns when such a test is skipped
// and when it must fail; it never decides what a test does with the server.
package localtest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/freshet-io/freshet/libs/fake/local"
)

// Weaviate starts a Weaviate server that ends with the test. Under -short the test is skipped. Where the server is not
// installed it is skipped too, but fails where CI=true: a green run there must mean that it ran.
func Weaviate(tb testing.TB, o local.WeaviateOptions) *local.Weaviate {
	tb.Helper()
	_, err := local.WeaviatePath()
	return run(tb, err, func(ctx context.Context) (*local.Weaviate, error) { return local.StartWeaviate(ctx, o) })
}

// WeaviateCluster starts three servers that end with the test, and is skipped or fails as Weaviate is.
func WeaviateCluster(tb testing.TB, o local.WeaviateClusterOptions) *local.WeaviateCluster {
	tb.Helper()
	_, err := local.WeaviatePath()
	return run(tb, err, func(ctx context.Context) (*local.WeaviateCluster, error) { return local.StartWeaviateCluster(ctx, o) })
}

// Kafka starts an Apache Kafka broker that ends with the test, and is skipped or fails as Weaviate is.
func Kafka(tb testing.TB, o local.KafkaOptions) *local.Kafka {
	tb.Helper()
	return run(tb, noKafka(), func(ctx context.Context) (*local.Kafka, error) { return local.StartKafka(ctx, o) })
}

// KafkaCluster starts three brokers that end with the test, and is skipped or fails as Weaviate is.
func KafkaCluster(tb testing.TB, o local.KafkaClusterOptions) *local.KafkaCluster {
	tb.Helper()
	return run(tb, noKafka(), func(ctx context.Context) (*local.KafkaCluster, error) { return local.StartKafkaCluster(ctx, o) })
}

// Server starts any server that ends with the test. What is missing for it has the test skipped or fail as with Weaviate.
func Server(tb testing.TB, missing error, d local.Description) *local.Server {
	tb.Helper()
	return run(tb, missing, func(ctx context.Context) (*local.Server, error) { return local.Start(ctx, d) })
}

// run starts a server, unless something is missing for it, and registers its end.
func run[S interface{ Stop(context.Context) error }](tb testing.TB, missing error, start func(context.Context) (S, error)) S {
	tb.Helper()
	need(tb, missing)
	s, err := start(tb.Context())
	if err != nil {
		tb.Fatal(err)
	}
	stopWith(tb, s.Stop)
	return s
}

// Redis starts a Redis server that ends with the test, and is skipped or fails as Weaviate is.
func Redis(tb testing.TB, o local.RedisOptions) *local.Redis {
	tb.Helper()
	_, err := local.RedisPackage.Path()
	return run(tb, err, func(ctx context.Context) (*local.Redis, error) { return local.StartRedis(ctx, o) })
}

// Promtool runs promtool with arguments and an input, and returns what it says. The test is skipped or fails as with
// Weaviate, and fails where promtool does.
func Promtool(tb testing.TB, stdin string, args ...string) string {
	tb.Helper()
	path, err := local.PrometheusPackage.Path("usr", "bin", "promtool")
	need(tb, err)
	cmd := exec.CommandContext(tb.Context(), path, args...)
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	if err != nil {
		tb.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// Installed runs a script of the project that installs something once, and returns the path that it prints last. Where that
// is not possible, the test is skipped or fails as with Weaviate.
func Installed(tb testing.TB, script string) string {
	tb.Helper()
	need(tb, nil)
	ctx, cancel := context.WithTimeout(tb.Context(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, script)
	var log strings.Builder
	cmd.Stderr = &log
	out, err := cmd.Output()
	if err != nil {
		err = fmt.Errorf("%w\n%s", err, log.String())
	}
	need(tb, err)
	return strings.TrimSpace(string(out))
}

// SharedKafka is one broker for all tests of a package, started when the first of them asks for it. Its Stop belongs
// into TestMain. The zero value is ready.
type SharedKafka struct {
	once  sync.Once
	kafka *local.Kafka
	err   error
}

// Get returns the broker. The test is skipped or fails as with Weaviate.
func (s *SharedKafka) Get(tb testing.TB) *local.Kafka {
	tb.Helper()
	need(tb, noKafka())
	s.once.Do(func() { s.kafka, s.err = local.StartKafka(tb.Context(), local.KafkaOptions{}) })
	if s.err != nil {
		tb.Fatal(s.err)
	}
	return s.kafka
}

// Stop ends the broker, where there is one.
func (s *SharedKafka) Stop() error {
	if s.kafka == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	return s.kafka.Stop(ctx)
}

func noKafka() error {
	_, err := local.KafkaPackage.Path()
	_, java := exec.LookPath("java")
	return errors.Join(err, java)
}

func need(tb testing.TB, missing error) {
	tb.Helper()
	switch {
	case testing.Short():
		tb.Skip("needs a real server: not under -short")
	case missing == nil:
	case os.Getenv("CI") == "true":
		tb.Fatalf("CI runs every test: %v", missing)
	default:
		tb.Skipf("SKIPPED, NOT TESTED: %v", missing)
	}
}

// stopWith registers the end of a server. The test's own context is done by the time that clean-ups run.
func stopWith(tb testing.TB, stop func(context.Context) error) {
	tb.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(tb.Context()), time.Minute)
		defer cancel()
		if err := stop(ctx); err != nil {
			tb.Error(err)
		}
	})
}
