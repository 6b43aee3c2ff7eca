package inspect

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

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
	Registry  registry.Config  `envconfig:"SCHEMA_REGISTRY"`
	Ingest    ingester.Config  `envconfig:"INGEST"`
	Pipeline  pipeline.Setting `required:"true" desc:"path of the pipeline file"`
	Admin     []string         `envconfig:"ADMIN_ADDRESSES" desc:"admin ports of all services, host:port, separated by commas; a name that stands for several addresses, as a headless Service of Kubernetes does, means all of them"`
	TraceLink string           `envconfig:"TRACES_LINK" desc:"URL of a trace in your tracing back end, with {id} in the place of its id"`
}

// answerBound is how long one answer may take, whatever is away.
const answerBound = 90 * time.Second

// Inspector answers questions about one installation. It is safe for concurrent use.
type Inspector struct {
	cfg      Config
	file     *pipeline.File
	schemas  ingester.Schemas
	ingester *ingester.Ingester
	http     *http.Client

	own    *cluster // of the pipeline
	source *cluster // of the producers
	index  server[*weaviate.Client]

	looks   looks
	letters letterbox
	day     day
}

// Open asks no server yet: one that is away shows in the answers. The caller closes.
func Open(cfg Config) (*Inspector, error) {
	i := &Inspector{cfg: cfg, file: cfg.Pipeline.File, own: newCluster(cfg.Kafka), source: newCluster(cfg.Source.Kafka)}
	i.index.name = "Weaviate at " + cfg.Weaviate.URL
	i.index.open = func(ctx context.Context) (*weaviate.Client, error) { return weaviate.Open(ctx, cfg.Weaviate) }
	i.index.close = func(c *weaviate.Client) { _ = c.Close() } // it was only read
	// No connection outlives a look: an Inspector in a console may not look for hours.
	i.http = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	var err error
	if len(cfg.Registry.URL) > 0 {
		if i.schemas, err = registry.Open(cfg.Registry, quiet); err != nil {
			return nil, err
		}
	}
	if i.ingester, err = ingester.New(i.file, ingester.Options{Config: cfg.Ingest, Schemas: i.schemas}); err != nil {
		return nil, err
	}
	return i, nil
}

// Close ends all connections.
func (i *Inspector) Close() {
	i.own.end()
	i.source.end()
	i.index.end()
}

// Config returns where the parts of the installation are.
func (i *Inspector) Config() Config { return i.cfg }

// Ingester returns one that reads records as that of the installation does.
func (i *Inspector) Ingester() *ingester.Ingester { return i.ingester }

// notes are what could not be looked at, a line each. It is safe for concurrent use.
type notes struct {
	mu    sync.Mutex
	lines []string
}

func (n *notes) note(format string, args ...any) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.lines = append(n.lines, fmt.Sprintf(format, args...))
}

// with returns the lines of both, sorted, each once.
func (n *notes) with(other *notes) []string {
	all := slices.Concat([]string{}, n.lines, other.lines)
	slices.Sort(all)
	return slices.Compact(all)
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
		{stageIngest, groups.Ingest, sources, i.source},
		{stageEmbed, groups.Embed, []string{t.DocumentsLive()}, i.own},
		{stageBulk, groups.EmbedBulk(), []string{t.DocumentsBulk()}, i.own},
		{stageWrite, groups.Write, []string{t.VectorsLive(), t.VectorsBulk()}, i.own},
	}
}

// sourceTopics returns the topics that ingest reads: the named ones, and those that patterns stand for now.
func (i *Inspector) sourceTopics(ctx context.Context) ([]string, error) {
	topics := i.file.Topics()
	if len(i.file.Patterns()) == 0 {
		return topics, nil
	}
	client, err := i.source.get(ctx)
	if err != nil {
		return topics, err
	}
	partitions, err := kafka.Partitions(ctx, client)
	for topic := range partitions {
		if i.reads(topic) && !slices.Contains(topics, topic) {
			topics = append(topics, topic)
		}
	}
	slices.Sort(topics)
	return topics, err
}

// reads reports whether ingest reads a topic of this name.
func (i *Inspector) reads(topic string) bool { return i.file.Reads(topic, i.cfg.Topics.Prefix+".") }
