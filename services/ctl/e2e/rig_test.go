package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/cespare/xxhash/v2"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/freshet-io/freshet/libs/fake"
	"github.com/freshet-io/freshet/libs/fake/local"
	"github.com/freshet-io/freshet/libs/fake/local/localtest"
	"github.com/freshet-io/freshet/libs/kafka"
	"github.com/freshet-io/freshet/libs/pipeline"
	"github.com/freshet-io/freshet/libs/service"
	"github.com/freshet-io/freshet/libs/weaviate"
)

// dimensions of the hash provider's vectors: enough that no two texts are near by chance.
const dimensions = 64

// doubt is how long write commits nothing after one that did not leave cleanly. It must be longer than a call to Weaviate
// may take, which is a minute: with a Weaviate beside the test, that has little to do, no call takes that long.
const doubt = 5 * time.Second

// services in the order in which a change passes them.
var services = []string{"ingest", "embed", "write"}

// options says how a rig is laid out.
type options struct {
	brokers          string
	pipeline         string // the pipeline file
	partitions       int32  // of the pipeline's topics
	sourcePartitions int32
	environ          []string     // further settings of the services
	data             string       // Weaviate's folder; empty: nobody looks into it
	apply            func(r *rig) // makes the pipeline's topics instead of the rig
	build            string       // folder of the binaries; empty: those of this tree
}

// rig is a broker, a Weaviate and the services' settings, with what a test needs to
// look at them. Services are started one by one.
type rig struct {
	options
	t      *testing.T
	dir    string // of logs and the pipeline file
	env    []string
	file   *pipeline.File
	topics kafka.Topics
	client *kgo.Client
	adm    *kadm.Client
	index  *weaviate.Client
	grpc   string // Weaviate's address
	server *local.Weaviate

	running map[string]*process // by the name of the instance
}

// as returns the rig for a subtest, which must not fail its parent's test.
func (r *rig) as(t *testing.T) *rig {
	t.Helper()
	own := *r
	own.t = t
	for _, p := range r.running {
		was := p.t
		p.t = t
		t.Cleanup(func() { p.t = was })
	}
	return &own
}

// startKfake starts the broker inside this process and returns its address.
func startKfake(t *testing.T) string {
	t.Helper()
	broker, err := fake.StartBroker(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(broker.Close)
	ports.add(broker.Brokers())
	return broker.Brokers()
}

// startKafka starts Apache Kafka, or skips the test where there is none.
func startKafka(t *testing.T) *local.Kafka {
	t.Helper()
	k := localtest.Kafka(t, local.KafkaOptions{})
	ports.add(k.Brokers)
	return k
}

func newRig(t *testing.T, o options) *rig {
	t.Helper()
	server := localtest.Weaviate(t, local.WeaviateOptions{Data: o.data})
	ports.add(server.REST, server.GRPC)
	r := &rig{options: o, t: t, dir: t.TempDir(), grpc: server.GRPC, server: server, running: map[string]*process{}}
	path := filepath.Join(r.dir, "pipeline.yaml")
	if err := os.WriteFile(path, []byte(o.pipeline), 0o600); err != nil {
		t.Fatal(err)
	}
	web := url.URL{Scheme: "http", Host: server.REST}
	r.env = append([]string{
		"FRESHET_KAFKA_BROKERS=" + o.brokers,
		"FRESHET_KAFKA_METADATA_MIN_AGE=250ms",
		"FRESHET_WEAVIATE_URL=" + web.String(),
		"FRESHET_WEAVIATE_GRPC=" + server.GRPC,
		"FRESHET_WEAVIATE_API_KEY=" + server.APIKey,
		"FRESHET_PIPELINE=" + path,
		"FRESHET_ADMIN_ADDRESS=127.0.0.1:0",
		"FRESHET_SESSION_TIMEOUT=6s", "FRESHET_DRAIN=5s", "FRESHET_REBALANCE_TIMEOUT=10s",
		fmt.Sprint("FRESHET_WRITE_DOUBT=", doubt),
	}, o.environ...)
	if err := r.layOut(); err != nil {
		t.Fatal(err)
	}
	return r
}

// layOut makes topics and collections as `freshet topics apply` does, and the source topics.
func (r *rig) layOut() error {
	var cfg struct {
		Kafka    kafka.Config
		Topics   kafka.Topics `inline:"true"`
		Weaviate weaviate.Config
	}
	if err := service.Load(r.env, &cfg); err != nil {
		return err
	}
	r.topics = cfg.Topics
	ctx := r.t.Context()
	var err error
	if r.file, err = pipeline.Parse([]byte(r.pipeline)); err != nil {
		return err
	}
	// The client outlives the test's context: it is used while cleaning up.
	if r.client, err = kafka.Producer(ctx, cfg.Kafka, cfg.Topics, true, slog.New(slog.DiscardHandler)); err != nil {
		return err
	}
	r.t.Cleanup(r.client.Close)
	r.adm = kadm.NewClient(r.client)
	if r.apply != nil {
		r.apply(r)
	}
	if _, err := r.topics.Apply(ctx, r.client, kafka.Layout{Partitions: r.partitions, Replication: 1}); err != nil {
		return err
	}
	created, err := r.adm.CreateTopics(ctx, r.sourcePartitions, 1, nil, r.file.Topics()...)
	if err := errors.Join(err, created.Error()); err != nil && !errors.Is(err, kerr.TopicAlreadyExists) {
		return fmt.Errorf("creating the source topics: %w", err)
	}
	await(r.t, time.Minute, "the source topics can be read", func() (bool, error) {
		ends, err := r.adm.ListEndOffsets(ctx, r.file.Topics()...)
		return err == nil && ends.Error() == nil && len(ends) == len(r.file.Topics()), nil
	})
	identity, err := r.topics.Check(ctx, r.client)
	if err != nil {
		return err
	}
	if r.index, err = weaviate.Open(ctx, cfg.Weaviate); err != nil {
		return err
	}
	r.t.Cleanup(func() { _ = r.index.Close() })
	log := kafka.Identity{TopicID: identity.TopicID, Partitions: identity.Partitions}
	if _, err := r.index.CreateAll(ctx, r.file, log); err != nil {
		return err
	}
	_, err = r.index.CheckAll(ctx, r.file, log)
	return err
}

// start starts an instance of a service, with settings of its own; it ends with the test.
func (r *rig) start(service, name string, environ ...string) *process {
	r.t.Helper()
	file, err := os.Create(filepath.Join(r.dir, name+".log"))
	if err != nil {
		r.t.Fatal(err)
	}
	p := &process{t: r.t, service: service, name: name, build: r.build, env: append(slices.Clip(r.env), environ...), log: &logFile{file: file}}
	p.start()
	r.running[name] = p
	r.t.Cleanup(func() {
		p.stop()
		delete(r.running, name)
		if p.t.Failed() {
			p.t.Logf("the end of the log of %s:\n%s", name, p.log.tail(25))
		}
		_ = file.Close()
	})
	return p
}

// startAll starts one instance of each service and waits until they are ready.
func (r *rig) startAll() {
	r.t.Helper()
	for _, s := range services {
		r.start(s, s)
	}
	for _, s := range services {
		r.running[s].awaitReady()
	}
}

// source makes a record of the products' topic, placed by its key.
func (r *rig) source(key, value []byte) *kgo.Record {
	return &kgo.Record{Topic: productTopic, Key: key, Value: value, Partition: int32(xxhash.Sum64(key) % uint64(r.sourcePartitions))} //nolint:gosec // less than it
}

// send sends changes and waits until the broker has them. The records then know their places.
func (r *rig) send(records ...*kgo.Record) {
	r.t.Helper()
	if err := r.client.ProduceSync(r.t.Context(), records...).FirstErr(); err != nil {
		r.t.Fatalf("sending %d changes: %v", len(records), err)
	}
}

func (r *rig) group(service string) (name string, topics []string) {
	switch service {
	case "ingest":
		return "freshet-ingest", r.file.Topics()
	case "embed":
		return "freshet-embed", []string{r.topics.DocumentsLive()}
	default:
		return "freshet-write", []string{r.topics.VectorsLive(), r.topics.VectorsBulk()}
	}
}

// ends returns the end of what a service reads.
func (r *rig) ends(ctx context.Context, service string) (kadm.ListedOffsets, error) {
	_, topics := r.group(service)
	ends, err := r.adm.ListEndOffsets(ctx, topics...)
	return ends, errors.Join(err, ends.Error())
}

// behind counts the records below the given ends, from the first that a service's group has not finished.
func (r *rig) behind(ctx context.Context, service string, ends kadm.ListedOffsets) (int64, error) {
	group, topics := r.group(service)
	committed, err := r.adm.FetchOffsetsForTopics(ctx, group, topics...)
	if err := errors.Join(err, committed.Error()); err != nil {
		return 0, err
	}
	var n int64
	ends.Each(func(end kadm.ListedOffset) {
		at := int64(0)
		if c, ok := committed.Lookup(end.Topic, end.Partition); ok {
			at = max(0, kafka.Finished(c))
		}
		n += max(0, end.Offset-at)
	})
	return n, nil
}

// unfinished counts the records that a service's group has not committed yet.
func (r *rig) unfinished(service string) (int64, error) {
	ctx, cancel := context.WithTimeout(r.t.Context(), 5*time.Second)
	defer cancel()
	ends, err := r.ends(ctx, service)
	if err != nil {
		return 0, err
	}
	return r.behind(ctx, service, ends)
}

// settle waits until everything that was sent has passed all services. It asks in the
// order of the path: what a later service has not seen cannot come from an earlier one then.
// Where write is in doubt it waits until that is over, and all was worked on once more.
func (r *rig) settle(bound time.Duration) {
	r.t.Helper()
	state := ""
	defer func() {
		if r.t.Failed() {
			r.t.Log(state)
		}
	}()
	await(r.t, bound, "all is finished", func() (bool, error) {
		for _, p := range r.running {
			if err := p.failure(); err != nil {
				return false, err
			}
		}
		for _, s := range services {
			n, err := r.unfinished(s) // a broker that comes back answers later
			if state = fmt.Sprintf("%s has %d unfinished records (%v)", s, n, err); n > 0 || err != nil {
				return false, nil //nolint:nilerr // asked again
			}
		}
		return true, nil
	})
}
