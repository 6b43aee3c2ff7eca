package inspect

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/freshet-io/freshet/libs/kafka"
	"github.com/freshet-io/freshet/libs/pipeline"
	"github.com/freshet-io/freshet/libs/weaviate"
	"github.com/freshet-io/freshet/services/ingest/ingester"
	"github.com/freshet-io/freshet/services/ingest/registry"
)

// Config says where the parts of an installation are: with the variables of the services.
type Config struct {
	Kafka  kafka.Config
	Source struct {
		Kafka kafka.Config `inherit:"KAFKA"`
	}
	Topics    kafka.Topics `inline:"true"`
	Groups    kafka.Groups `inline:"true"`
	Weaviate  weaviate.Config
	Registry  registry.Config `envconfig:"SCHEMA_REGISTRY"`
	Ingest    ingester.Config `envconfig:"INGEST"`
	Pipeline  string          `required:"true" desc:"path of the pipeline file"`
	Admin     []string        `envconfig:"ADMIN_ADDRESSES" desc:"admin ports of all services, host:port, separated by commas; a name that stands for several addresses, as a headless Service of Kubernetes does, means all of them"`
	TraceLink string          `envconfig:"TRACES_LINK" desc:"URL of a trace in your tracing back end, with {id} in the place of its id"`
}

// answerBound is how long one answer may take, whatever is away.
const answerBound = 90 * time.Second

// connectBound is how long a part may take to answer for the first time. What does not is said to be away.
const connectBound = 5 * time.Second

// Inspector answers questions about one installation. It is safe for concurrent use.
type Inspector struct {
	cfg      Config
	file     *pipeline.File
	ingester *ingester.Ingester
	http     *http.Client
	log      *slog.Logger
	letters  letterbox
	looks    looks

	own    server[*kgo.Client] // the pipeline's cluster
	source server[*kgo.Client] // the producers' cluster
	index  server[*weaviate.Client]
}

// Open reads the pipeline file. It asks no server yet: one that is away shows in the answers. The caller closes.
func Open(cfg Config) (*Inspector, error) {
	file, err := pipeline.Load(cfg.Pipeline)
	if err != nil {
		return nil, err
	}
	i := &Inspector{cfg: cfg, file: file, log: slog.New(slog.DiscardHandler)}
	// No connection outlives a look: an Inspector in a console may not look for hours.
	i.http = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	var schemas ingester.Schemas
	if len(cfg.Registry.URL) > 0 {
		if schemas, err = registry.Open(cfg.Registry, i.log); err != nil {
			return nil, err
		}
	}
	if i.ingester, err = ingester.New(file, ingester.Options{Config: cfg.Ingest, Schemas: schemas}); err != nil {
		return nil, err
	}
	return i, nil
}

// Close ends all connections.
func (i *Inspector) Close() {
	i.own.close(func(c *kgo.Client) { c.Close() })
	i.source.close(func(c *kgo.Client) { c.Close() })
	i.index.close(func(c *weaviate.Client) { _ = c.Close() })
}

// Pipeline returns the pipeline file, for the names of its collections. It must not be changed.
func (i *Inspector) Pipeline() *pipeline.File { return i.file }

// server is a connection that is opened when it is first asked for, and tried again after a while where that failed.
type server[C any] struct {
	mu     sync.Mutex
	client C
	open   bool
	failed error
	at     time.Time // of the failure
}

// tryAgain is after how long a server that was away is tried again: one answer must not wait for it at each question.
const tryAgain = 2 * time.Second

// get returns the client.
func (s *server[C]) get(ctx context.Context, who string, open func(context.Context) (C, error)) (C, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open || s.failed != nil && time.Since(s.at) < tryAgain {
		return s.client, s.failed
	}
	ctx, cancel := context.WithTimeout(ctx, connectBound)
	defer cancel()
	client, err := open(ctx)
	s.at, s.failed = time.Now(), nil
	if err != nil {
		s.failed = away(who, err)
		return s.client, s.failed
	}
	s.client, s.open = client, true
	return client, nil
}

func (s *server[C]) close(end func(C)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open {
		end(s.client)
	}
	s.open = false
}

// kafka returns a client of the pipeline's cluster.
func (i *Inspector) kafka(ctx context.Context) (*kgo.Client, error) {
	return i.connect(ctx, &i.own, i.cfg.Kafka)
}

// sources returns a client of the cluster of the source topics.
func (i *Inspector) sources(ctx context.Context) (*kgo.Client, error) {
	return i.connect(ctx, &i.source, i.cfg.Source.Kafka)
}

func (i *Inspector) connect(ctx context.Context, s *server[*kgo.Client], c kafka.Config) (*kgo.Client, error) {
	return s.get(ctx, "Kafka at "+strings.Join(c.Brokers, ","), func(ctx context.Context) (*kgo.Client, error) { return c.Connect(ctx, i.log) })
}

// weaviate returns a client of the index.
func (i *Inspector) weaviate(ctx context.Context) (*weaviate.Client, error) {
	return i.index.get(ctx, "Weaviate at "+i.cfg.Weaviate.URL, func(ctx context.Context) (*weaviate.Client, error) { return weaviate.Open(ctx, i.cfg.Weaviate) })
}

// away names what does not answer.
func away(who string, err error) error {
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("%s does not answer within %s: %w", who, connectBound, err)
	}
	return fmt.Errorf("%s: %w", who, err)
}

// lane is a stage and what it reads.
type lane struct {
	stage, group string
	topics       []string
	source       bool // of the producers' cluster
}

// Names of the stages, as their metrics have them.
const (
	stageIngest = "ingest"
	stageEmbed  = "embed"
	stageBulk   = "embed-bulk"
	stageWrite  = "write"
)

// lanes returns the stages in the order of an item's way. sources are the topics that ingest reads.
func (i *Inspector) lanes(sources []string) []lane {
	t, groups := i.cfg.Topics, i.cfg.Groups.Named(i.cfg.Topics)
	return []lane{
		{stageIngest, groups.Ingest, sources, true},
		{stageEmbed, groups.Embed, []string{t.DocumentsLive()}, false},
		{stageBulk, groups.EmbedBulk(), []string{t.DocumentsBulk()}, false},
		{stageWrite, groups.Write, []string{t.VectorsLive(), t.VectorsBulk()}, false},
	}
}

// sourceTopics returns the topics that ingest reads: the named ones, and those that patterns stand for now.
func (i *Inspector) sourceTopics(ctx context.Context) ([]string, error) {
	topics := i.file.Topics()
	if len(i.file.Patterns()) == 0 {
		return topics, nil
	}
	client, err := i.sources(ctx)
	if err != nil {
		return topics, err
	}
	partitions, err := kafka.Partitions(ctx, client)
	if err != nil {
		return topics, err
	}
	for topic := range partitions {
		if i.reads(topic) && !slices.Contains(topics, topic) {
			topics = append(topics, topic)
		}
	}
	slices.Sort(topics)
	return topics, nil
}

// reads reports whether ingest reads a topic of this name.
func (i *Inspector) reads(topic string) bool {
	return !strings.HasPrefix(topic, "__") && !strings.HasPrefix(topic, i.cfg.Topics.Prefix+".") &&
		slices.ContainsFunc(i.file.Pipelines, func(p pipeline.Pipeline) bool { return p.Source.Reads(topic) })
}

// Letters returns the newest dead letters, newest first. reason is one of fault's, or empty for all.
func (i *Inspector) Letters(ctx context.Context, reason string, limit int) ([]Letter, error) {
	client, err := i.kafka(ctx)
	if err != nil {
		return nil, err
	}
	letters, _, _, err := i.letters.look(ctx, i.cfg.Kafka, client, i.cfg.Topics.DeadLetters())
	if err != nil {
		return nil, err
	}
	slices.Reverse(letters)
	letters = slices.DeleteFunc(letters, func(l Letter) bool { return reason != "" && l.Reason != reason })
	return letters[:min(len(letters), max(limit, 0))], nil
}
