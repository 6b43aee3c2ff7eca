package intake_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/freshet-io/freshet/libs/kafka"
	"github.com/freshet-io/freshet/libs/pipeline"
	"github.com/freshet-io/freshet/libs/service"
	"github.com/freshet-io/freshet/libs/telemetry"
	"github.com/freshet-io/freshet/services/ingest/ingester"
	"github.com/freshet-io/freshet/services/ingest/intake"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	ndjson = "application/x-ndjson"
	token  = "a-token-of-the-shop"
)

const file = `
apiVersion: freshet/v1
space: {provider: hash, dimensions: 8}
pipelines:
- name: products
  source: {topics: [shop.items], format: rows, order: seq, http: true}
  collection: Product
  id: {from: [id]}
  text: {template: "{{name}}", require: [name]}
  properties: [{name: price, type: number}]
- name: tenants
  source: {topics: [shop.tenants], format: rows, http: true}
  collection: Mine
  id: {from: [sku]}
  tenant: {from: shop}
  text: {template: "{{name}}"}
- name: pairs
  source: {topics: [shop.pairs], format: rows, http: true}
  collection: Pair
  id: {from: [a, b]}
  text: {template: "{{name}}"}
- name: cdc
  source: {topics: [shop.cdc], format: debezium, http: true}
  collection: Other
  id: {from: [id]}
  text: {template: "{{name}}"}
`

var sources = []intake.Source{
	{Name: "products", Topic: "shop.items", Rows: true, ID: []string{"id"}, Order: "seq"},
	{Name: "tenants", Topic: "shop.tenants", Rows: true, ID: []string{"sku"}, Tenant: "shop"},
	{Name: "pairs", Topic: "shop.pairs", Rows: true, ID: []string{"a", "b"}},
	{Name: "cdc", Topic: "shop.cdc", ID: []string{"id"}},
}

// sink remembers what it was given, and may hold it or fail.
type sink struct {
	mu     sync.Mutex
	sent   []string // topic, key and value
	trace  string   // of the last one
	held   chan struct{}
	looks  func() // while it has what it was given
	err    error
	reject error // of each change whose value has "huge" in it
}

func (s *sink) Produce(ctx context.Context, topic string, changes []kafka.Raw) ([]error, error) {
	s.mu.Lock()
	held, err := s.held, s.err
	s.mu.Unlock()
	if s.looks != nil {
		s.looks()
	}
	if held != nil {
		select {
		case <-held:
		case <-ctx.Done():
			<-held // as a client does that cannot know what became of its request
			return nil, ctx.Err()
		}
	}
	if err != nil {
		return nil, err
	}
	rejected := make([]error, len(changes))
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, c := range changes {
		if bytes.Contains(c.Value, []byte("huge")) {
			rejected[i] = s.reject
			continue
		}
		s.trace = string(c.Headers[0].Value)
		s.sent = append(s.sent, topic+" "+string(c.Key)+" "+string(c.Value))
	}
	return rejected, nil
}

func (s *sink) set(held chan struct{}, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held, s.err = held, err
}

func (s *sink) all() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.sent, "\n")
}

// bed is a server before a sink.
type bed struct {
	*intake.Server
	sink   *sink
	health *health
	tel    *telemetry.Telemetry
}

// health remembers what the probes were told last.
type health struct {
	mu   sync.Mutex
	text string
}

func (h *health) Ready(part string) { h.tell(part + " is ready") }

func (h *health) Unready(part, why string) { h.tell(part + " " + why) }

func (h *health) tell(text string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.text = text
}

func (h *health) told() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.text
}

// settings returns the configuration that the environment makes.
func settings(environ ...string) (intake.Config, error) {
	var cfg struct {
		HTTP intake.Config `envconfig:"HTTP"`
	}
	err := service.Load(append([]string{"FRESHET_HTTP_ADDRESS=127.0.0.1:0"}, environ...), &cfg)
	return cfg.HTTP, err
}

func newBed(t testing.TB, environ ...string) *bed {
	t.Helper()
	parsed, err := pipeline.Parse([]byte(file))
	if err != nil {
		t.Fatal(err)
	}
	mapper, err := ingester.New(parsed, ingester.Options{Config: ingester.DefaultConfig()})
	if err != nil {
		t.Fatal(err)
	}
	return newBedOf(t, mapper, environ...)
}

func newBedOf(t testing.TB, mapper intake.Mapper, environ ...string) *bed {
	t.Helper()
	if !strings.Contains(strings.Join(environ, " "), "TOKENS") {
		environ = append(environ, "FRESHET_HTTP_TOKENS=an-old-one "+token)
	}
	cfg, err := settings(environ...)
	if err != nil {
		t.Fatal(err)
	}
	tel, err := telemetry.New(t.Context(), telemetry.Config{Exporter: "none"}, "test", "test")
	if err != nil {
		t.Fatal(err)
	}
	b := &bed{sink: &sink{}, health: &health{}, tel: tel}
	p := &service.Process{Name: "test", Log: slog.New(slog.DiscardHandler), Telemetry: tel}
	if b.Server, err = intake.New(cfg, sources, p); err != nil {
		t.Fatal(err)
	}
	if mapper != nil {
		b.Open(mapper, b.sink)
	}
	t.Cleanup(func() {
		b.Wait()
		_ = tel.Close(context.WithoutCancel(t.Context()))
	})
	return b
}

// request is one with the token, of NDJSON where it has a body. headers are pairs.
func request(t testing.TB, method, path, body string, headers ...string) *http.Request {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+token)
	if body != "" {
		r.Header.Set("Content-Type", ndjson)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	return r
}

// answer is a result or a refusal.
type answer struct {
	intake.Result

	Code, Message string
}

func (b *bed) ask(t testing.TB, r *http.Request) (status int, answer answer, header http.Header) {
	t.Helper()
	w := httptest.NewRecorder()
	b.Handler().ServeHTTP(w, r)
	if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil {
		t.Fatalf("%s: %v", w.Body, err)
	}
	return w.Code, answer, w.Header()
}

// gauge returns the bytes that requests hold.
func (b *bed) gauge(t testing.TB) string {
	t.Helper()
	for line := range strings.Lines(b.metrics(t)) {
		if value, is := strings.CutPrefix(line, "freshet_http_in_flight_bytes "); is {
			return strings.TrimSpace(value)
		}
	}
	return "none"
}

func (b *bed) metrics(t testing.TB) string {
	t.Helper()
	w := httptest.NewRecorder()
	b.tel.Handler().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil))
	return w.Body.String()
}

var errAway = errors.New("no broker answers")

// body is a body of a certain length that is never in memory as a whole.
func body(n int64) io.Reader { return io.LimitReader(endless{}, n) }

type endless struct{}

func (endless) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = ' '
	}
	return len(b), nil
}

// closer is a body whose length is not told.
type closer struct{ io.Reader }

func (closer) Close() error { return nil }
