package ingester_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/freshet-io/freshet/libs/fake"
	"github.com/freshet-io/freshet/libs/kafka"
	"github.com/freshet-io/freshet/libs/pipeline"
	"github.com/freshet-io/freshet/libs/record"
	"github.com/freshet-io/freshet/libs/service"
	"github.com/freshet-io/freshet/libs/telemetry"
	"github.com/freshet-io/freshet/services/ingest/ingester"
)

const httpPipelines = `
apiVersion: freshet/v1
space: {provider: hash, dimensions: 8}
pipelines:
- name: products
  source: {topics: [shop.items], format: rows, order: seq, http: true}
  collection: Product
  id: {from: [id]}
  text: {template: "{{name}}"}
- name: cdc
  source: {topics: [shop.cdc], format: debezium, http: true}
  collection: Other
  id: {from: [id]}
  text: {template: "{{name}}"}
`

// bound is how long anything may take that takes moments.
const bound = 2 * time.Minute

// shopOverHTTP is a broker with the topics of a pipeline file, in which ingests run.
type shopOverHTTP struct {
	t       *testing.T
	environ []string
	client  *kgo.Client
	topics  kafka.Topics
}

func newShop(t *testing.T, pipelines string, environ ...string) *shopOverHTTP {
	t.Helper()
	broker, err := fake.StartBroker("")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(broker.Close)
	return newShopOn(t, broker.Brokers(), pipelines, environ...)
}

func newShopOn(t *testing.T, brokers, pipelines string, environ ...string) *shopOverHTTP {
	t.Helper()
	path := filepath.Join(t.TempDir(), "pipeline.yaml")
	if err := os.WriteFile(path, []byte(pipelines), 0o600); err != nil {
		t.Fatal(err)
	}
	s := &shopOverHTTP{t: t, topics: kafka.Topics{Prefix: "freshet"}, environ: append([]string{
		"FRESHET_KAFKA_BROKERS=" + brokers, "FRESHET_KAFKA_METADATA_MIN_AGE=100ms", "FRESHET_PIPELINE=" + path,
		"FRESHET_SESSION_TIMEOUT=10s", "FRESHET_DRAIN=5s", "FRESHET_REBALANCE_TIMEOUT=10s",
		"FRESHET_HTTP_ADDRESS=127.0.0.1:0", "FRESHET_HTTP_TOKENS=" + token, "FRESHET_HTTP_STOP_DELAY=0s",
		"FRESHET_HTTP_WAIT=2m", "FRESHET_HTTP_READ_TIMEOUT=2m",
	}, environ...)}
	file, err := pipeline.Parse([]byte(pipelines))
	if err != nil {
		t.Fatal(err)
	}
	cfg := s.settings()
	if s.client, err = kafka.Producer(t.Context(), cfg.Kafka, s.topics, true, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.client.Close)
	layout := kafka.Layout{Partitions: 3, Replication: 1}
	if _, err := s.topics.Apply(t.Context(), s.client, layout); err != nil {
		t.Fatal(err)
	}
	if _, err := kafka.CreateSources(t.Context(), s.client, file.HTTPTopics(), layout); err != nil {
		t.Fatal(err)
	}
	return s
}

const token = "a-token-of-the-shop"

func (s *shopOverHTTP) settings() (cfg ingester.Settings) {
	s.t.Helper()
	if err := service.Load(s.environ, &cfg); err != nil {
		s.t.Fatal(err)
	}
	return cfg
}

// start runs an ingest until stop, and returns where it takes changes.
func (s *shopOverHTTP) start() (url string, stop func()) {
	s.t.Helper()
	return s.startOn(&network{})
}

// startOn starts an ingest on a network of its own, and waits until it takes changes.
func (s *shopOverHTTP) startOn(n *network) (url string, stop func()) {
	s.t.Helper()
	log, stop := s.launch(n)
	return s.address(log, "taking changes over HTTP"), stop
}

// address returns where an ingest listens, when its log says so.
func (s *shopOverHTTP) address(log *lines, says string) (url string) {
	s.t.Helper()
	address := regexp.MustCompile(`msg="` + says + `.* address=(\S+)`)
	s.until(says, func() bool {
		if found := address.FindStringSubmatch(log.String()); found != nil {
			url = "http://" + found[1]
		}
		return url != ""
	})
	return url
}

// launch starts an ingest on a network of its own.
func (s *shopOverHTTP) launch(n *network) (log *lines, stop func()) {
	s.t.Helper()
	tel, err := telemetry.New(s.t.Context(), telemetry.Config{Exporter: "none"}, "test", "test")
	if err != nil {
		s.t.Fatal(err)
	}
	log = &lines{}
	ctx, cancel := context.WithCancel(s.t.Context())
	ended := make(chan error, 1)
	p := &service.Process{Name: "test", Log: slog.New(slog.NewTextHandler(log, nil)), Telemetry: tel, Health: service.NewHealth()}
	cfg := s.settings()
	cfg.Kafka.Dial, cfg.Source.Kafka.Dial = n.dial, n.dial
	go func() { ended <- ingester.Run(ctx, p, cfg) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil && !errors.Is(err, context.Canceled) {
			s.t.Errorf("ingest ended with %v\n%s", err, log)
		}
		_ = tel.Close(context.WithoutCancel(s.t.Context()))
	})
	s.t.Cleanup(stop)
	return log, stop
}

func (s *shopOverHTTP) until(what string, is func() bool) {
	s.t.Helper()
	for begun := time.Now(); !is(); time.Sleep(10 * time.Millisecond) {
		if time.Since(begun) > bound {
			s.t.Fatalf("not within %s: %s", bound, what)
		}
	}
}

// lines is a log that can be read while it is written.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// request returns one with the token.
func (s *shopOverHTTP) request(ctx context.Context, method, url, media, body string) *http.Request {
	s.t.Helper()
	r, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	r.Header.Set("Content-Type", media)
	return r
}

// send returns the answer to a request.
func (s *shopOverHTTP) send(method, url, media, body string) (status int, answer string, header http.Header) {
	s.t.Helper()
	resp, err := http.DefaultClient.Do(s.request(s.t.Context(), method, url, media, body))
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return resp.StatusCode, strings.TrimSpace(string(text)), resp.Header
}

// items waits until so many documents have been written, those of the ids among them, and returns what write would make of them: an item's text, by
// its id, and "" for one that is deleted.
func (s *shopOverHTTP) items(documents int, ids ...string) map[string]string {
	s.t.Helper()
	topic := s.topics.DocumentsLive()
	reader, err := kgo.NewClient(kgo.SeedBrokers(s.settings().Kafka.Brokers...), kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		s.t.Fatal(err)
	}
	defer reader.Close()
	states := map[string]*record.State{}
	s.until(fmt.Sprint(documents, " documents are written"), func() bool {
		ctx, cancel := context.WithTimeout(s.t.Context(), time.Second)
		defer cancel()
		reader.PollFetches(ctx).EachRecord(func(r *kgo.Record) {
			documents--
			d, err := record.DecodeDocument(r.Value)
			if err != nil {
				s.t.Fatal(err)
			}
			state := states[d.GetId()[0]]
			if state == nil {
				state = &record.State{Sources: record.Orders{}}
				states[d.GetId()[0]] = state
			}
			state.Take(&record.Vector{Document: d, Version: r.Offset + 1, VersionOrigin: record.VersionOrigin_VERSION_ORIGIN_LOG})
		})
		return documents <= 0 && !slices.ContainsFunc(ids, func(id string) bool { return states[id] == nil })
	})
	texts := map[string]string{}
	for id, state := range states {
		if texts[id] = ""; state.Live() {
			texts[id] = state.Text
		}
	}
	return texts
}

// network is the one between an ingest and the brokers.
type network struct {
	mu    sync.Mutex
	down  bool          // connections break, and none is opened
	deaf  chan struct{} // what the brokers answer arrives when it is closed; nil: at once
	conns []net.Conn
}

func (n *network) dial(ctx context.Context, kind, address string) (net.Conn, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, kind, address)
	if err != nil {
		return nil, err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.down {
		return nil, errors.Join(errors.New("the network is down"), conn.Close())
	}
	n.conns = append(n.conns, conn)
	return hearing{conn, n}, nil
}

func (n *network) set(down bool, deaf chan struct{}) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.down, n.deaf = down, deaf; down {
		for _, conn := range n.conns {
			_ = conn.Close()
		}
		n.conns = nil
	}
}

// hearing is a connection of the network.
type hearing struct {
	net.Conn
	network *network
}

func (h hearing) Read(b []byte) (int, error) {
	n, err := h.Conn.Read(b)
	h.network.mu.Lock()
	deaf := h.network.deaf
	h.network.mu.Unlock()
	if deaf != nil {
		<-deaf
	}
	return n, err
}
