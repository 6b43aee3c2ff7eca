package ladder_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/freshet-io/freshet/libs/fake/local"
	"github.com/freshet-io/freshet/libs/fake/local/localtest"
	"github.com/freshet-io/freshet/services/embed/builtin"
)

// servers are what an installation needs, at the node's address.
type servers struct {
	kafka, rest, grpc, embeddings string

	weaviateKey string

	mu    sync.Mutex
	taken []string       // keys that the embeddings server takes
	asked map[string]int // requests by key
}

// The keys of the embeddings server, of before and after they are rotated.
const firstKey, secondKey = "the-first-key", "the-second-key"

func newServers(t *testing.T) *servers {
	t.Helper()
	s := &servers{taken: []string{firstKey}, asked: map[string]int{}}
	localtest.Kafka(t, local.KafkaOptions{Advertise: func(listens string) (string, error) {
		s.kafka = forward(t, listens)
		return s.kafka, nil
	}})
	w := localtest.Weaviate(t, local.WeaviateOptions{})
	s.rest, s.grpc, s.weaviateKey = forward(t, w.REST), forward(t, w.GRPC), w.APIKey
	s.embed(t)
	return s
}

// embed serves the built-in model as OpenAI serves its own.
func (s *servers) embed(t *testing.T) {
	t.Helper()
	model, err := builtin.New()
	if err != nil {
		t.Fatal(err)
	}
	l := listen(t)
	s.embeddings = "http://" + l.Addr().String() + "/v1"
	ctx, stop := context.WithCancel(context.Background())
	known := builtin.Handler(model)
	refused := builtin.WithKey(known, func() string { return "no client has this one" })
	counted := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.takes(strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")) {
			known.ServeHTTP(w, r)
		} else {
			refused.ServeHTTP(w, r)
		}
	})
	var serving sync.WaitGroup
	serving.Go(func() { _ = builtin.Serve(ctx, l, counted) })
	t.Cleanup(func() { stop(); serving.Wait() })
}

// takes counts a request, and reports whether its key is taken.
func (s *servers) takes(key string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked[key]++
	return slices.Contains(s.taken, key)
}

// take sets the keys that are taken from now on.
func (s *servers) take(keys ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.taken = keys
}

// requests returns how many there were with each of the keys.
func (s *servers) requests() (first, second int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked[firstKey], s.asked[secondKey]
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", nodeAddress+":0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// forward opens a port at the node's address for one on loopback, and returns it. It is closed with the test.
func forward(t *testing.T, to string) string {
	t.Helper()
	l := listen(t)
	var all sync.WaitGroup
	ctx, stop := context.WithCancel(context.Background())
	all.Go(func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() { pipe(ctx, in, to) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		stop()
		all.Wait()
	})
	return l.Addr().String()
}

// pipe copies both ways until one side is over, or ctx ends.
func pipe(ctx context.Context, in net.Conn, to string) {
	out, err := (&net.Dialer{}).DialContext(ctx, "tcp", to)
	if err != nil {
		_ = in.Close()
		return
	}
	end := func() error { return errors.Join(in.Close(), out.Close()) }
	defer context.AfterFunc(ctx, func() { _ = end() })()
	var both sync.WaitGroup
	for _, way := range [][2]net.Conn{{in, out}, {out, in}} {
		both.Go(func() {
			_, _ = io.Copy(way[0], way[1])
			_ = end()
		})
	}
	both.Wait()
}
