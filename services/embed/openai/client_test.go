package openai

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/freshet-io/freshet/libs/fault"
	"github.com/freshet-io/freshet/libs/record"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	secret = "sk-very-secret"
	text1  = "red shoe of the customer"
	dims   = 4
)

// reply answers one request.
type reply func(w http.ResponseWriter, r *http.Request, req asked)

type asked struct {
	Model      string
	Input      []string
	Encoding   string `json:"encoding_format"`
	Dimensions int
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

// vectorOf is the right vector of a text: a test sees mix-ups by it.
func vectorOf(text string) []float32 {
	v := make([]float32, dims)
	for i := range v {
		v[i] = float32(len(text)) + float32(i)/8
	}
	return v
}

// change makes a right answer wrong.
type change func(a map[string]any, data []map[string]any)

func ok(changes ...change) reply {
	return func(w http.ResponseWriter, _ *http.Request, req asked) {
		var data []map[string]any
		for i, text := range req.Input {
			data = append(data, map[string]any{"object": "embedding", "index": i, "embedding": vectorOf(text)})
			if req.Encoding == "base64" && i%2 == 0 {
				data[i]["embedding"] = base64.StdEncoding.EncodeToString(record.AppendVector(nil, vectorOf(text)))
			}
		}
		a := map[string]any{"object": "list", "model": req.Model, "usage": map[string]any{"prompt_tokens": 7, "total_tokens": 7}}
		a["data"] = data
		for _, c := range changes {
			c(a, data)
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(a)
	}
}

func status(code int, body string, headers ...string) reply {
	return func(w http.ResponseWriter, _ *http.Request, _ asked) {
		for i := 0; i < len(headers); i += 2 {
			w.Header().Set(headers[i], headers[i+1])
		}
		w.WriteHeader(code)
		_, _ = io.WriteString(w, body)
	}
}

func apiError(code int, kind, name string) reply {
	return status(code, fmt.Sprintf(`{"error":{"message":"echo of %s and %s","type":%q,"param":null,"code":%q}}`, text1, secret, kind, name))
}

func reset(w http.ResponseWriter, _ *http.Request, _ asked) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err == nil {
		_ = conn.(*net.TCPConn).SetLinger(0)
		_ = conn.Close()
	}
}

func hang(_ http.ResponseWriter, r *http.Request, _ asked) { <-r.Context().Done() }

func drip(w http.ResponseWriter, r *http.Request, _ asked) {
	for r.Context().Err() == nil {
		_, _ = io.WriteString(w, " ")
		_ = http.NewResponseController(w).Flush()
		select {
		case <-r.Context().Done():
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func endless(w http.ResponseWriter, r *http.Request, _ asked) {
	chunk := bytes.Repeat([]byte("x"), 1<<16)
	for r.Context().Err() == nil {
		if _, err := w.Write(chunk); err != nil {
			return
		}
	}
}

// zeros is 64 MB of nothing in 64 kB.
var zeros = sync.OnceValue(func() []byte {
	var out bytes.Buffer
	zip := gzip.NewWriter(&out)
	_, _ = zip.Write(make([]byte, 64<<20))
	_ = zip.Close()
	return out.Bytes()
})

func bomb(w http.ResponseWriter, _ *http.Request, _ asked) {
	w.Header().Set("Content-Encoding", "gzip")
	_, _ = w.Write(zeros())
}

func truncated(w http.ResponseWriter, r *http.Request, req asked) {
	rec := httptest.NewRecorder()
	ok()(rec, r, req)
	_, _ = w.Write(rec.Body.Bytes()[:rec.Body.Len()/2])
}

// brokenOff promises more than it sends.
func brokenOff(w http.ResponseWriter, r *http.Request, req asked) {
	w.Header().Set("Content-Length", "100000")
	truncated(w, r, req)
}

func packed(v []float32) string {
	return base64.StdEncoding.EncodeToString(record.AppendVector(nil, v))
}

func setVector(i int, v any) change {
	return func(_ map[string]any, data []map[string]any) { data[i]["embedding"] = v }
}

func setModel(name any) change {
	return func(a map[string]any, _ []map[string]any) { a["model"] = name }
}

func TestFaults(t *testing.T) {
	nan := float32(math.NaN())
	inf := float32(math.Inf(1))
	const transient, permanent, fatal = fault.Transient, fault.Permanent, fault.Fatal
	tests := []struct {
		name    string
		replies []reply
		class   fault.Class
		passes  bool // the call ends well
		calls   int64
		says    string
		timeout time.Duration // of a try, where the row is about it
	}{
		{name: "right answer", replies: []reply{ok()}, passes: true, calls: 1},
		{name: "answers out of order are put in order", replies: []reply{ok(func(a map[string]any, d []map[string]any) {
			a["data"] = []any{d[2], d[0], d[1]}
		})}, passes: true, calls: 1},
		{name: "slashes of base64 are escaped", replies: []reply{status(200, `{"data":[{"index":0,"embedding":"AADAQQAAwUEAAMJBAADDQQ=="},{"index":1,"embedding":[1,1.125,1.25,1.375]},{"index":2,"embedding":"\u0041AAAQAAACEAAABBAAAAYQA=="}]}`)}, passes: true, calls: 1},
		{name: "model with a version and a vendor", replies: []reply{ok(setModel("openai/text-embedding-3-large-v2"))}, passes: true, calls: 1},
		{name: "no model and no usage", replies: []reply{ok(func(a map[string]any, _ []map[string]any) {
			delete(a, "model")
			delete(a, "usage")
		})}, passes: true, calls: 1},

		{name: "429 costs no try", replies: []reply{
			status(429, "", "Retry-After-Ms", "1"), status(429, ""), status(429, "", "Retry-After", "0.01"), status(429, "", "Retry-After", "0"), ok(),
		}, passes: true, calls: 5},
		{name: "429 that asks for an hour is clamped", replies: []reply{status(429, "", "Retry-After", "3600"), ok()}, passes: true, calls: 2},
		{name: "429 with nonsense to wait for", replies: []reply{status(429, "", "Retry-After", "-5"), status(429, "", "Retry-After", "soon"), ok()}, passes: true, calls: 3},
		{name: "quota is spent", replies: []reply{apiError(429, "insufficient_quota", "insufficient_quota")}, class: fatal, calls: 1, says: "quota"},
		{name: "402", replies: []reply{status(402, "")}, class: fatal, calls: 1, says: "quota"},

		{name: "500 then right", replies: []reply{status(500, "boom"), ok()}, passes: true, calls: 2},
		{name: "500 for good", replies: []reply{status(500, "boom")}, class: transient, calls: 3, says: "500"},
		{name: "502 in HTML", replies: []reply{status(502, "<html>"), ok()}, passes: true, calls: 2},
		{name: "503 that asks for a second", replies: []reply{status(503, "", "Retry-After", "1")}, class: transient, calls: 1, says: "503"},
		{name: "408 then right", replies: []reply{status(408, ""), ok()}, passes: true, calls: 2},
		{name: "424 of a busy TEI", replies: []reply{status(424, `{"error":"x","error_type":"Backend"}`), ok()}, passes: true, calls: 2},
		{name: "418 is not known and so not final", replies: []reply{status(418, "")}, class: transient, calls: 3, says: "418"},
		{name: "reset then right", replies: []reply{reset, ok()}, passes: true, calls: 2},
		{name: "reset for good", replies: []reply{reset}, class: transient, calls: 3},
		{name: "hangs then right", replies: []reply{hang, ok()}, passes: true, calls: 2, timeout: time.Second},
		{name: "slow-loris then right", replies: []reply{drip, ok()}, passes: true, calls: 2, timeout: time.Second},
		{name: "endless body", replies: []reply{endless, ok()}, passes: true, calls: 2},
		{name: "gzip bomb", replies: []reply{bomb}, class: transient, calls: 3, says: "longer"},
		{name: "body that breaks off", replies: []reply{brokenOff, ok()}, passes: true, calls: 2},

		{name: "401", replies: []reply{apiError(401, "invalid_request_error", "invalid_api_key")}, class: fatal, calls: 1, says: "refuses the key"},
		{name: "403", replies: []reply{status(403, "")}, class: fatal, calls: 1, says: "refuses the key"},
		{name: "unknown model, 404", replies: []reply{apiError(404, "invalid_request_error", "model_not_found")}, class: fatal, calls: 1, says: "text-embedding-3-large"},
		{name: "unknown model, 400", replies: []reply{apiError(400, "invalid_request_error", "model_not_found")}, class: fatal, calls: 1, says: "text-embedding-3-large"},
		{name: "unknown path", replies: []reply{status(404, "404 page not found")}, class: fatal, calls: 1, says: "check the URL"},
		{name: "a setting is refused", replies: []reply{status(400, `{"error":{"message":"no","param":"dimensions"}}`)}, class: fatal, calls: 1, says: "dimensions"},
		{name: "redirect to another host", replies: []reply{status(307, "", "Location", "http://192.0.2.1/v1/embeddings")}, class: fatal, calls: 1, says: "redirects"},
		{name: "redirect that drops the body", replies: []reply{status(301, "", "Location", "/elsewhere")}, class: fatal, calls: 1, says: "redirects"},
		{name: "redirect within the host", replies: []reply{status(308, "", "Location", "/v1/embeddings/"), ok()}, passes: true, calls: 2},

		{name: "400", replies: []reply{apiError(400, "invalid_request_error", "")}, class: permanent, calls: 1, says: "400"},
		{name: "413", replies: []reply{status(413, `{"error":"batch size 64 > maximum allowed batch size 32","error_type":"Validation"}`)}, class: permanent, calls: 1, says: "Validation"},
		{name: "422", replies: []reply{status(422, `{"detail":[]}`)}, class: permanent, calls: 1, says: "422"},

		{name: "HTML with 200", replies: []reply{status(200, "<html>maintenance"), ok()}, passes: true, calls: 2},
		{name: "empty body with 200", replies: []reply{status(200, "")}, class: transient, calls: 3},
		{name: "truncated JSON", replies: []reply{truncated, ok()}, passes: true, calls: 2},
		{name: "fewer vectors", replies: []reply{ok(func(a map[string]any, d []map[string]any) { a["data"] = d[:2] })}, class: transient, calls: 3, says: "2 vectors for 3 texts"},
		{name: "repeated index", replies: []reply{ok(func(_ map[string]any, d []map[string]any) { d[1]["index"] = 0 })}, class: transient, calls: 3, says: "index"},
		{name: "index out of range", replies: []reply{ok(func(_ map[string]any, d []map[string]any) { d[1]["index"] = 3 })}, class: transient, calls: 3, says: "index"},
		{name: "no index", replies: []reply{ok(func(_ map[string]any, d []map[string]any) { delete(d[1], "index") })}, class: transient, calls: 3, says: "index"},
		{name: "NaN in base64", replies: []reply{ok(setVector(1, packed([]float32{1, nan, 0, 0})))}, class: transient, calls: 3, says: "finite"},
		{name: "infinity", replies: []reply{ok(setVector(1, packed([]float32{1, inf, 0, 0})))}, class: transient, calls: 3, says: "finite"},
		{name: "number beyond float32", replies: []reply{ok(setVector(1, []float64{1e300, 0, 0, 0}))}, class: transient, calls: 3},
		{name: "zeros", replies: []reply{ok(setVector(1, []float32{0, 0, 0, 0}))}, class: transient, calls: 3, says: "no length"},
		{name: "null for a vector", replies: []reply{ok(setVector(1, nil))}, class: transient, calls: 3},
		{name: "words for numbers", replies: []reply{ok(setVector(1, []any{"a", 1, 2, 3}))}, class: transient, calls: 3},
		{name: "broken base64", replies: []reply{ok(setVector(1, "!!!"))}, class: transient, calls: 3},
		{name: "other dimensions once", replies: []reply{ok(setVector(1, []float32{1, 2, 3})), ok()}, passes: true, calls: 2},
		{name: "other dimensions twice", replies: []reply{ok(setVector(1, []float32{1, 2, 3}))}, class: fatal, calls: 2, says: "3 dimensions, not 4"},
		{name: "another model once", replies: []reply{ok(setModel("bge-m3")), ok()}, passes: true, calls: 2},
		{name: "another model twice", replies: []reply{ok(setModel("text-embedding-3-large-zh"))}, class: fatal, calls: 2, says: "text-embedding-3-large-zh"},
	}
	zeros() // not within the time limit of a try
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, tt.replies...)
			texts := []string{text1, "b", "cc"}
			cfg := settings(s.URL)
			if tt.timeout > 0 {
				cfg.Timeout = tt.timeout
			}
			got, err := client(t, cfg).Embed(t.Context(), texts)
			if n := s.calls.Load(); n != tt.calls {
				t.Errorf("%d calls, not %d", n, tt.calls)
			}
			if tt.passes {
				if err != nil {
					t.Fatal(err)
				}
				for i, text := range texts {
					if want := vectorOf(text); fmt.Sprint(got.Vectors[i]) != fmt.Sprint(want) {
						t.Errorf("text %d: %v, not %v", i, got.Vectors[i], want)
					}
				}
				return
			}
			if err == nil {
				t.Fatal("no error")
			}
			if class := fault.ClassOf(err); class != tt.class {
				t.Errorf("class is %v, not %v: %v", class, tt.class, err)
			}
			if tt.class == permanent && fault.ReasonOf(err) != fault.ProviderRejected {
				t.Errorf("reason is %q", fault.ReasonOf(err))
			}
			if !strings.Contains(err.Error(), tt.says) {
				t.Errorf("error %q does not say %q", err, tt.says)
			}
			if strings.Contains(err.Error(), secret) || strings.Contains(err.Error(), text1) || strings.Contains(err.Error(), "\n") {
				t.Errorf("error holds a secret, a text or several lines: %q", err)
			}
		})
	}
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
