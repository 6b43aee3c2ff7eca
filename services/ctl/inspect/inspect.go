package inspect

import (
	"context"
	"errors"

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
	Topics      kafka.Topics `inline:"true"`
	Weaviate    weaviate.Config
	Registry    registry.Config `envconfig:"SCHEMA_REGISTRY"`
	Ingest      ingester.Config `envconfig:"INGEST"`
	Pipeline    string          `required:"true" desc:"path of the pipeline file"`
	IngestGroup string          `envconfig:"INGEST_GROUP" desc:"consumer group of ingest; the topic prefix and -ingest if empty"`
	EmbedGroup  string          `envconfig:"EMBED_GROUP" desc:"consumer group of embed; the topic prefix and -embed if empty"`
	WriteGroup  string          `envconfig:"WRITE_GROUP" desc:"consumer group of write; the topic prefix and -write if empty"`
	Admin       []string        `envconfig:"ADMIN_ADDRESSES" desc:"admin ports of all services, host:port, separated by commas; a name that stands for several addresses, as a headless Service of Kubernetes does, means all of them"`
	TraceLink   string          `envconfig:"TRACES_LINK" desc:"URL of a trace in your tracing back end, with {id} in the place of its id"`
}

// Inspector answers questions about one installation. It is safe for concurrent use.
type Inspector struct {
	cfg  Config
	file *pipeline.File
}

// Open reads the pipeline file. It asks no server yet: one that is away shows in the answers. The caller closes.
func Open(cfg Config) (*Inspector, error) {
	file, err := pipeline.Load(cfg.Pipeline)
	if err != nil {
		return nil, err
	}
	return &Inspector{cfg: cfg, file: file}, nil
}

// Close ends all connections.
func (i *Inspector) Close() {}

// Pipeline returns the pipeline file, for the names of its collections. It must not be changed.
func (i *Inspector) Pipeline() *pipeline.File { return i.file }

// Parse reads a question: topic/partition/offset of a topic that the installation has, or else an id, its parts joined by
// +. The collection may be empty where there is only one, the tenant where items have none. Its error says what is
// missing.
func (i *Inspector) Parse(text, collection, tenant string) (Subject, error) {
	return Subject{}, errors.ErrUnsupported
}

// Item answers why an item is as old as it is. An error means that the question makes no sense: what is away is said in
// the answer.
func (i *Inspector) Item(ctx context.Context, s Subject) (Item, error) {
	return Item{}, errors.ErrUnsupported
}

// Status tells how the installation is. Rates and stuck partitions are seen by looking twice: it compares with the last
// call where that was 1 to 60 s ago, and else looks twice itself, 2 s apart.
func (i *Inspector) Status(ctx context.Context) (Status, error) {
	return Status{}, errors.ErrUnsupported
}

// Letters returns the newest dead letters, newest first. reason is one of fault's, or empty for all.
func (i *Inspector) Letters(ctx context.Context, reason string, limit int) ([]Letter, error) {
	return nil, errors.ErrUnsupported
}
