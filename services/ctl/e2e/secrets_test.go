package e2e_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/grpc"
)

// canary begins each secret and each personal datum that the test plants: nothing else may contain it.
const canary = "canary4711"

func planted(what string) string { return canary + "-" + what }

// secretive is a pipeline with canaries in its settings, its changes and their headers.
type secretive struct {
	*rig

	spans    spans
	provider nosy
	http     string // address of ingest
	seq      int
}

// TestSecrets plants secrets and personal data in settings, texts and headers, sends changes of all kinds for a while, also such
// that become dead letters, and searches for them in all logs (with debug lines), spans, metrics and headers. FRESHET_TEST_SECRETS
// says for how long; 5 s if it is not set.
func TestSecrets(t *testing.T) {
	if testing.Short() {
		t.Skip("needs a server: not under -short")
	}
	lasts := 5 * time.Second
	if text := os.Getenv("FRESHET_TEST_SECRETS"); text != "" {
		var err error
		if lasts, err = time.ParseDuration(text); err != nil {
			t.Fatalf("FRESHET_TEST_SECRETS: %v", err)
		}
	}
	s := &secretive{provider: nosy{provider: startProvider(t), sent: map[string]bool{}}}
	server := httptest.NewServer(&s.provider)
	t.Cleanup(server.Close)
	ports.add(server.Listener.Addr().String())
	s.rig = newRig(t, options{
		brokers: startKfake(t), pipeline: paidPipeline + noticePipeline, partitions: 3, sourcePartitions: 1,
		environ: []string{
			"FRESHET_OPENAI_URL=" + server.URL + "/embed", "FRESHET_OPENAI_KEY=" + planted("key-1") + "," + planted("key-2"),
			"FRESHET_STORM_BREAKER=false", "FRESHET_EMBED_MAX_BYTES=4000", "FRESHET_LOG_LEVEL=debug", "FRESHET_WRITE_SEARCHABLE_SAMPLE=1",
			"FRESHET_TRACES_EXPORTER=otlp", "FRESHET_TRACES_SAMPLE_RATIO=1", "OTEL_EXPORTER_OTLP_ENDPOINT=http://" + s.spans.start(t),
			"OTEL_BSP_SCHEDULE_DELAY=100",
		},
	})
	s.start("ingest", "ingest", "FRESHET_HTTP_ADDRESS=127.0.0.1:0", "FRESHET_HTTP_TOKENS="+planted("token"))
	s.start("embed", "embed")
	s.start("write", "write")
	for _, service := range services {
		s.running[service].awaitReady()
	}
	await(t, time.Minute, "changes are taken over HTTP", func() (bool, error) {
		m := takes.FindStringSubmatch(s.running["ingest"].log.tail(1000))
		if m != nil {
			s.http = m[1]
			ports.add(s.http)
		}
		return m != nil, s.running["ingest"].failure()
	})
	tick := time.NewTicker(100 * time.Millisecond) // each time the provider is asked several times for the text that it refuses
	defer tick.Stop()
	for end := time.Now().Add(lasts); time.Now().Before(end) || s.seq < 30; <-tick.C {
		s.changes()
	}
	s.settle(2 * time.Minute)
	if dead := len(s.letters()); dead < 10 || s.provider.seen.Load() == 0 {
		t.Fatalf("%d dead letters, and the provider was sent personal data %d times: nothing was tested", dead, s.provider.seen.Load())
	}
	s.search()
}

var takes = regexp.MustCompile(`"taking changes over HTTP".*"address":"([^"]*)"`)

// noticePipeline takes changes over HTTP.
const noticePipeline = `- name: notices
  source: {topics: [shop.notices], format: rows, http: true, order: seq}
  collection: Notice
  id: {from: [id]}
  text: {template: "{{name}}", require: [name]}
  properties:
  - {name: name, type: text}
`

// changes sends one change of each kind.
func (s *secretive) changes() {
	s.t.Helper()
	s.seq++
	person := planted(fmt.Sprint("jane-", s.seq, "@example.org"))
	row := product{ID: int64(s.seq), Name: person, Description: "called " + person, Price: 1.5, Seq: s.seq}
	long, wrong, refused := row, row, row
	long.ID, long.Description = 100_000, strings.Repeat(person+" ", 400)
	wrong.ID, wrong.Price = 100_001, person
	refused.ID, refused.Description = 100_002, refuse+person
	noKey := s.envelope("u", nil, &row)
	noKey.Key, noKey.Value = []byte(`{"name":"`+person+`"}`), []byte(`{"before":null,"after":{"name":"`+person+`"},"op":"c","source":{"db":"catalog","table":"products"}}`)
	records := []*kgo.Record{s.envelope("c", nil, &row), s.envelope("u", nil, &long), s.envelope("u", nil, &wrong), s.envelope("u", nil, &refused), noKey}
	for _, malformed := range []string{`{"op": "u", "after": "` + person, person, `{"payload":"` + person + `"}`, `[` + person + `]`} {
		records = append(records, s.source(productKey(100_003), []byte(malformed)))
	}
	for _, r := range records {
		r.Headers = append(r.Headers, kgo.RecordHeader{Key: "user", Value: []byte(person)}, kgo.RecordHeader{Key: "baggage", Value: []byte("user=" + person)})
	}
	s.send(records...)
	s.post(fmt.Sprintf(`{"id": "n%d", "seq": %d, "name": "%s"}`+"\n"+`{"id": "m%d", "seq": %d, "name": 7, "%s": `, s.seq, s.seq, person, s.seq, s.seq, person))
}

// post sends notices over HTTP, of which some are refused.
func (s *secretive) post(rows string) {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), http.MethodPost, "http://"+s.http+"/v1/items?name="+planted("query"), strings.NewReader(rows))
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header = http.Header{
		"Authorization": {"Bearer " + planted("token")}, "Content-Type": {"application/x-ndjson"},
		"Cookie": {"session=" + planted("cookie")}, "User-Agent": {planted("agent")}, "Baggage": {"user=" + planted("baggage")},
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
	if resp.StatusCode == http.StatusUnauthorized || resp.StatusCode == http.StatusNotFound {
		s.t.Fatalf("status %d: nothing was tested", resp.StatusCode)
	}
}

// search looks at all that leaves the pipeline and is not the data themselves.
func (s *secretive) search() {
	s.t.Helper()
	told := map[string]bool{}
	tell := func(where, text string) {
		if told[where] {
			return
		}
		for line := range strings.Lines(text) {
			for _, secret := range []string{canary, s.server.APIKey} {
				if at := strings.Index(line, secret); at >= 0 {
					s.t.Errorf("%s: …%s…", where, line[max(0, at-200):min(len(line), at+60)])
					told[where] = true
					return
				}
			}
		}
	}
	for _, service := range services {
		_, page := s.running[service].get("/metrics")
		_, ready := s.running[service].get("/readyz")
		log := s.running[service].log.tail(1 << 30)
		if !strings.Contains(log, `"level":"DEBUG"`) && !strings.Contains(log, `"level":"INFO"`) || page == "" {
			s.t.Errorf("%s has no log or no metrics", service)
		}
		tell("metrics of "+service, page)
		tell("readiness of "+service, ready)
		tell("log of "+service, log)
	}
	got := s.spans.list()
	if len(got) == 0 {
		s.t.Error("no spans came")
	}
	for _, span := range got {
		tell("a span", span)
	}
	for header := range s.provider.headers() {
		tell("a header of a request to the provider", header)
	}
	for _, r := range s.records() {
		for _, h := range r.Headers {
			// A dead letter keeps what its record came with, which is data: it goes back where it came from.
			if r.Topic != s.topics.DeadLetters() || h.Key != "user" && h.Key != "baggage" {
				tell(fmt.Sprintf("header %s of a record of %s", h.Key, r.Topic), string(h.Value))
			}
		}
	}
}

// records returns all records of the pipeline's topics.
func (s *secretive) records() (all []*kgo.Record) {
	s.t.Helper()
	topics := []string{s.topics.DocumentsLive(), s.topics.VectorsLive(), s.topics.DeadLetters()}
	ends, err := s.adm.ListEndOffsets(s.t.Context(), topics...)
	if err := errors.Join(err, ends.Error()); err != nil {
		s.t.Fatal(err)
	}
	left := 0
	ends.Each(func(o kadm.ListedOffset) { left += int(o.Offset) })
	reader, err := kgo.NewClient(kgo.SeedBrokers(s.brokers), kgo.ConsumeTopics(topics...), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		s.t.Fatal(err)
	}
	defer reader.Close()
	ctx, cancel := context.WithTimeout(s.t.Context(), time.Minute)
	defer cancel()
	for len(all) < left {
		fetches := reader.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			s.t.Fatalf("reading %d records, of which %d came: %v", left, len(all), err)
		}
		all = append(all, fetches.Records()...)
	}
	return all
}

// refuse is what texts begin with that the provider refuses.
const refuse = "refuse "

// nosy is a provider that is no help: it repeats texts and keys in its errors, and takes one of two keys.
type nosy struct {
	*provider

	seen atomic.Int64 // requests with personal data
	mu   sync.Mutex
	sent map[string]bool // headers, without the one for the key
}

// ServeHTTP implements http.Handler.
func (n *nosy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	key := r.Header.Get("Authorization")
	n.mu.Lock()
	for name, values := range r.Header {
		if name != "Authorization" {
			n.sent[name+": "+strings.Join(values, ", ")] = true
		}
	}
	n.mu.Unlock()
	if strings.Contains(string(body), canary) {
		n.seen.Add(1)
	}
	status := http.StatusOK
	switch {
	case strings.HasSuffix(key, "key-2"):
		status = http.StatusUnauthorized
	case strings.Contains(string(body), refuse):
		status = http.StatusBadRequest
	}
	if status == http.StatusOK {
		r.Body = io.NopCloser(bytes.NewReader(body))
		n.provider.ServeHTTP(w, r)
		return
	}
	message, _ := json.Marshal(fmt.Sprintf("no, %s: %s", key, body)) // a text
	w.Header().Set("X-Request-Id", key)
	w.WriteHeader(status)
	fmt.Fprintf(w, `{"error": {"message": %s, "type": "invalid_request_error", "code": %s, "param": %s}}`, message, message, message)
}

func (n *nosy) headers() map[string]bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.sent
}

// spans is a collector of traces.
type spans struct {
	collector.UnimplementedTraceServiceServer

	mu  sync.Mutex
	all []string
}

func (s *spans) start(t *testing.T) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ports.add(l.Addr().String())
	server := grpc.NewServer()
	collector.RegisterTraceServiceServer(server, s)
	go func() { _ = server.Serve(l) }() // ends with Stop
	t.Cleanup(server.Stop)
	return l.Addr().String()
}

// Export implements collector.TraceServiceServer.
func (s *spans) Export(_ context.Context, r *collector.ExportTraceServiceRequest) (*collector.ExportTraceServiceResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, resource := range r.GetResourceSpans() {
		s.all = append(s.all, resource.String())
	}
	return &collector.ExportTraceServiceResponse{}, nil
}

func (s *spans) list() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.all
}
