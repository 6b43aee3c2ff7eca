// Package localtest gives tests the real servers of package local, one line each. It owns when such a test is skipped
// and when it must fail; it never decides what a test does with the server.
package localtest

import (
	"context"
	"os"
	"os/exec"
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

// Kafka starts an Apache Kafka broker that ends with the test, and is skipped or fails as Weaviate is.
func Kafka(tb testing.TB, o local.KafkaOptions) *local.Kafka {
	tb.Helper()
	_, err := local.KafkaLibs()
	if err == nil {
		_, err = exec.LookPath("java")
	}
	need(tb, err)
	k, err := local.StartKafka(tb.Context(), o)
	if err != nil {
		tb.Fatal(err)
	}
	stopWith(tb, k.Stop)
	return k
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
