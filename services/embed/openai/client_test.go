package openai

import (
	"encoding/json"
	"log/slog"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/freshet-io/freshet/libs/fake/embeddings"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	secret = "sk-very-secret"
	text1  = "red shoe of the customer"
	dims   = embeddings.Length
)

// The replies of the stand-in.
type (
	reply  = embeddings.Reply
	asked  = embeddings.Request
	change = embeddings.Change
)

var (
	ok        = embeddings.OK
	status    = embeddings.Status
	hang      = embeddings.Hang
	packed    = embeddings.Packed
	setVector = embeddings.SetVector
	setModel  = embeddings.SetModel
)

func vectorOf(text string) []float32 { return embeddings.Vector(text, dims) }

func apiError(code int, kind, name string) reply {
	return embeddings.Error(code, kind, name, "echo of "+text1+" and "+secret)
}

// script answers with its replies in turn, and with the last one from then on.
type script struct {
	*httptest.Server
	calls atomic.Int64
	conns atomic.Int64
}

func serve(t *testing.T, replies ...reply) *script {
	t.Helper()
	s := &script{}
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := int(s.calls.Add(1))
		var req asked
		if err := json.NewDecoder(r.Body).Decode(&req); err != nil {
			t.Errorf("request %d: %v", n, err)
		}
		replies[min(n, len(replies))-1](w, r, req)
	}))
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			s.conns.Add(1)
		}
	}
	s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug)
	s.Start()
	t.Cleanup(s.Close)
	return s
}

func settings(url string) Config {
	return Config{
		URL: url + "/v1", KeyHeader: "Authorization", SendDimensions: "auto", Encoding: "base64",
		Timeout: 20 * time.Second, TotalTimeout: time.Minute, MaxTries: 3,
		MinBackoff: time.Millisecond, MaxBackoff: 50 * time.Millisecond, MaxRetryAfter: 200 * time.Millisecond, MaxConnections: 16, Replicas: 1,
	}
}

func client(t *testing.T, cfg Config) *Client {
	t.Helper()
	c, err := New(cfg, Options{Model: "text-embedding-3-large", Dimensions: dims, Keys: func() string { return secret }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func serveHandler(t *testing.T, h http.Handler) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}

func BenchmarkRead(b *testing.B) {
	const n, size = 100, 3072
	want := expectation{texts: n, dimensions: size}
	v := make([]float32, size)
	for i := range v {
		v[i] = float32(math.Sin(float64(i))) / 50
	}
	for _, form := range []string{"base64", "float"} {
		var data []map[string]any
		for i := range n {
			data = append(data, map[string]any{"index": i, "embedding": v})
			if form == "base64" {
				data[i]["embedding"] = packed(v)
			}
		}
		body, err := json.Marshal(map[string]any{"data": data, "model": "m"})
		if err != nil {
			b.Fatal(err)
		}
		b.Run(form, func(b *testing.B) {
			b.SetBytes(int64(len(body)))
			for b.Loop() {
				if _, err := want.read(body); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func FuzzAnyAnswerIsReadOrRefused(f *testing.F) {
	f.Add([]byte(`{"data":[{"index":0,"embedding":[1,2]}],"model":"m"}`))
	f.Add([]byte(`{"data":[{"index":0,"embedding":"AACAPwAAAEA="}]}`))
	f.Add([]byte(`{"data":[{"index":0,"embedding":[1,,2]}]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		got, err := expectation{texts: 1, dimensions: 2, model: "m"}.read(body)
		if err == nil && len(got.Vectors[0]) != 2 {
			t.Fatalf("%v", got.Vectors)
		}
	})
}
