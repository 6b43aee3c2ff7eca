// Package localtest gives tests the real servers of package local, one line each. It owns when such a test is skipped
// and when it must fail; it never decides what a test does with the server.
package localtest

import (
	"context"
	"os"
	"os/exec"
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
	need(tb, err)
	w, err := local.StartWeaviate(tb.Context(), o)
	if err != nil {
		tb.Fatal(err)
	}
	stopWith(tb, w.Stop)
	return w
}

// WeaviateCluster starts three servers that end with the test, and is skipped or fails as Weaviate is.
func WeaviateCluster(tb testing.TB, o local.WeaviateClusterOptions) *local.WeaviateCluster {
	tb.Helper()
	_, err := local.WeaviatePath()
	need(tb, err)
	w, err := local.StartWeaviateCluster(tb.Context(), o)
	if err != nil {
		tb.Fatal(err)
	}
	stopWith(tb, w.Stop)
	return w
}

// Kafka starts an Apache Kafka broker that ends with the test, and is skipped or fails as Weaviate is.
func Kafka(tb testing.TB, o local.KafkaOptions) *local.Kafka {
	tb.Helper()
	needKafka(tb)
	k, err := local.StartKafka(tb.Context(), o)
	if err != nil {
		tb.Fatal(err)
	}
	stopWith(tb, k.Stop)
	return k
}

// KafkaCluster starts three brokers that end with the test, and is skipped or fails as Weaviate is.
func KafkaCluster(tb testing.TB, o local.KafkaClusterOptions) *local.KafkaCluster {
	tb.Helper()
	needKafka(tb)
	k, err := local.StartKafkaCluster(tb.Context(), o)
	if err != nil {
		tb.Fatal(err)
	}
	stopWith(tb, k.Stop)
	return k
}

// Redis starts a Redis server that ends with the test, and is skipped or fails as Weaviate is.
func Redis(tb testing.TB, o local.RedisOptions) *local.Redis {
	tb.Helper()
	_, err := local.RedisPath()
	need(tb, err)
	r, err := local.StartRedis(tb.Context(), o)
	if err != nil {
		tb.Fatal(err)
	}
	stopWith(tb, r.Stop)
	return r
}

// RedisCluster starts three servers that end with the test, and is skipped or fails as Weaviate is.
func RedisCluster(tb testing.TB) *local.RedisCluster {
	tb.Helper()
	_, err := local.RedisPath()
	need(tb, err)
	r, err := local.StartRedisCluster(tb.Context(), nil)
	if err != nil {
		tb.Fatal(err)
	}
	stopWith(tb, r.Stop)
	return r
}

// RedisSentinel starts a master, its replica and a sentinel that end with the test, and is skipped or fails as Weaviate is.
func RedisSentinel(tb testing.TB) *local.RedisSentinel {
	tb.Helper()
	_, err := local.RedisPath()
	need(tb, err)
	r, err := local.StartRedisSentinel(tb.Context(), nil)
	if err != nil {
		tb.Fatal(err)
	}
	stopWith(tb, r.Stop)
	return r
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
	needKafka(tb)
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

func needKafka(tb testing.TB) {
	tb.Helper()
	_, err := local.KafkaLibs()
	if err == nil {
		_, err = exec.LookPath("java")
	}
	need(tb, err)
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
