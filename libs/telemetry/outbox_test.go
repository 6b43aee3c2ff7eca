package telemetry_test

import (
	"context"
	"net"
	"runtime"
	"testing"
	"time"

	"github.com/freshet-io/freshet/libs/record"
	"github.com/freshet-io/freshet/libs/telemetry"
)

// fullOf returns the items of a batch that has as many links as a batch can have.
func fullOf(tel *telemetry.Telemetry) []telemetry.Member {
	w := way(tel, "")
	members := make([]telemetry.Member, 1024)
	for i := range members {
		members[i] = telemetry.Member{Identity: w.Identity, Told: true}
	}
	return members
}

func TestOutbox_isBoundedInBytesWhileTheCollectorTakesNothing(t *testing.T) {
	silent, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0") // it takes connections, and never answers
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = silent.Close() })
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://"+silent.Addr().String())
	tel, err := telemetry.New(t.Context(), telemetry.Config{Exporter: "otlp", SlowAfter: time.Second}, "test", "test")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		over, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
		cancel()
		_ = tel.Close(over) // which it says is too short
	})
	members := fullOf(tel)
	used := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := used()
	for range 1000 { // some ten minutes of a large backlog
		tel.NewBatch("embeddings", record.EmbedAnswered).End(members, nil)
	}
	if kept := int64(used()-before) >> 20; kept > 100 { //nolint:gosec // it fits
		t.Errorf("%d MB wait for the collector", kept)
	}
}

func TestOutbox_noRequestIsLargerThanCollectorsTake(t *testing.T) {
	tel := tells(t, telemetry.Config{SlowAfter: time.Second})
	members := fullOf(tel.Telemetry)
	tel.sink.hold = make(chan struct{})
	const batches = 200
	for range batches {
		tel.NewBatch("embeddings", record.EmbedAnswered).End(members, nil)
	}
	close(tel.sink.hold) // those that have come meanwhile wait together
	tel.close()
	if len(tel.sink.spans) != batches {
		t.Errorf("%d of %d are told", len(tel.sink.spans), batches)
	}
}
