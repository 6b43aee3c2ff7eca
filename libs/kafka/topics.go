package kafka

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/freshet-io/freshet/libs/fault"
	"github.com/freshet-io/freshet/libs/record"
	"github.com/freshet-io/freshet/libs/service"
)

// Topics names the pipeline's topics.
type Topics struct {
	Prefix string `envconfig:"TOPIC_PREFIX" default:"freshet" desc:"how the names of the pipeline's topics begin"`
}

// DocumentsLive is the topic of documents from changes; its log is the order of all versions.
func (t Topics) DocumentsLive() string { return t.Prefix + ".documents.live" }

// DocumentsBulk is the topic of documents from backfills.
func (t Topics) DocumentsBulk() string { return t.Prefix + ".documents.bulk" }

// VectorsLive is the topic of embedded live documents.
func (t Topics) VectorsLive() string { return t.Prefix + ".vectors.live" }

// VectorsBulk is the topic of embedded bulk documents.
func (t Topics) VectorsBulk() string { return t.Prefix + ".vectors.bulk" }

// DeadLetters is the topic of inputs that no stage can use.
func (t Topics) DeadLetters() string { return t.Prefix + ".deadletters" }

// Control is the compacted topic of identities, recipes and generations.
func (t Topics) Control() string { return t.Prefix + ".control" }

// Costs is the compacted topic of what embedding costs. It is apart from the control topic, which
// every service reads whole at its start.
func (t Topics) Costs() string { return t.Prefix + ".costs" }

// Layout is how the topics are made. Its partition count is final: an item's place
// in the log decides its order, so a topic of another count is another topic.
type Layout struct {
	Partitions  int32
	Replication int16
	MinInSync   int
}

const (
	maxRecordBytes     = 2 << 20
	maxDeadLetterBytes = 4 << 20
	day                = 24 * time.Hour
)

// MaxBytes returns the largest batch of a topic that a producer may send. One
// franz-go batch is never split, so it must not be larger than the topic takes.
func (t Topics) MaxBytes(topic string) int32 {
	if topic == t.DeadLetters() {
		return maxDeadLetterBytes
	}
	return maxRecordBytes
}

type topicSpec struct {
	name       string
	partitions int32
	config     map[string]string
}

func logSpec(name string, partitions int32, retention time.Duration, maxBytes int32) topicSpec {
	return topicSpec{name, partitions, map[string]string{
		"cleanup.policy": "delete", "retention.ms": strconv.FormatInt(retention.Milliseconds(), 10),
		// A byte cap would delete records that nobody has read yet.
		"retention.bytes": "-1", "compression.type": "producer",
		"max.message.bytes": strconv.Itoa(int(maxBytes)),
	}}
}

func (t Topics) specs(l Layout) []topicSpec {
	log := func(name string, retention time.Duration) topicSpec {
		return logSpec(name, l.Partitions, retention, t.MaxBytes(name))
	}
	return []topicSpec{
		log(t.DocumentsLive(), 7*day),
		log(t.DocumentsBulk(), 7*day),
		log(t.VectorsLive(), 2*day),
		log(t.VectorsBulk(), 2*day),
		log(t.DeadLetters(), 30*day),
		{t.Control(), 1, map[string]string{"cleanup.policy": "compact"}},
		{t.Costs(), 1, map[string]string{
			"cleanup.policy": "compact,delete", "retention.ms": strconv.FormatInt((400 * day).Milliseconds(), 10),
			"max.message.bytes": strconv.Itoa(maxRecordBytes),
		}},
	}
}

// Apply creates the topics that are missing, gives each its identity in the
// control topic, and returns the names of those it created. It changes nothing
// about topics that exist; Check tells whether they are right.
func (t Topics) Apply(ctx context.Context, client *kgo.Client, l Layout) ([]string, error) {
	adm := kadm.NewClient(client)
	var created []string
	for _, spec := range t.specs(l) {
		fresh, err := create(ctx, adm, spec, l)
		if err != nil {
			return created, err
		}
		if fresh {
			created = append(created, spec.name)
		}
	}
	if err := appear(ctx, client, created); err != nil {
		return created, err
	}
	return created, t.identify(ctx, client)
}

const (
	appearBound = 30 * time.Second
	appearPoll  = 50 * time.Millisecond
)

// appear waits until every broker of the cluster knows new topics and the leaders of
// their partitions: the controller answers before, and whoever asks a broker that has
// not heard of a topic is told that there is none.
func appear(ctx context.Context, client *kgo.Client, topics []string) error {
	if len(topics) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, appearBound)
	defer cancel()
	tick := time.NewTicker(appearPoll)
	defer tick.Stop()
	for {
		err := known(ctx, client, topics)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting until all brokers know the new topics %v: %w", topics, errors.Join(ctx.Err(), err))
		case <-tick.C:
		}
	}
}

// known asks each broker for the topics and returns the first thing that one of them
// does not know. When it returns nil, the client knows them too: what it was told
// before, it may still remember.
func known(ctx context.Context, client *kgo.Client, topics []string) error {
	brokers := kmsg.NewPtrMetadataRequest()
	brokers.Topics = []kmsg.MetadataRequestTopic{} // none: nil would be all
	if _, err := brokers.RequestWith(ctx, client); err != nil {
		return fmt.Errorf("asking for the brokers: %w", err)
	}
	request := kmsg.NewPtrMetadataRequest()
	for _, name := range topics {
		topic := kmsg.NewMetadataRequestTopic()
		topic.Topic = new(name)
		request.Topics = append(request.Topics, topic)
	}
	for _, broker := range client.DiscoveredBrokers() {
		if err := knownTo(ctx, broker, request); err != nil {
			return err
		}
	}
	return knownTo(ctx, client, request)
}

func knownTo(ctx context.Context, asked kmsg.Requestor, request *kmsg.MetadataRequest) error {
	answer, err := request.RequestWith(ctx, asked)
	if err != nil {
		return fmt.Errorf("asking a broker: %w", err)
	}
	for _, topic := range answer.Topics {
		err := kerr.ErrorForCode(topic.ErrorCode)
		for _, partition := range topic.Partitions {
			err = errors.Join(err, kerr.ErrorForCode(partition.ErrorCode))
		}
		if err != nil {
			return fmt.Errorf("asking a broker for topic %s: %w", *topic.Topic, err)
		}
	}
	return nil
}

func create(ctx context.Context, adm *kadm.Client, spec topicSpec, l Layout) (bool, error) {
	config := map[string]*string{}
	for k, v := range spec.config {
		config[k] = new(v)
	}
	if l.MinInSync > 1 {
		config["min.insync.replicas"] = new(strconv.Itoa(l.MinInSync))
	}
	answers, err := adm.CreateTopics(ctx, spec.partitions, l.Replication, config, spec.name)
	if err != nil {
		return false, fmt.Errorf("creating topic %s: %w", spec.name, err)
	}
	switch answer := answers[spec.name]; {
	case errors.Is(answer.Err, kerr.TopicAlreadyExists):
		return false, nil
	case answer.Err != nil:
		return false, fmt.Errorf("creating topic %s: %w %s", spec.name, answer.Err, answer.ErrMessage)
	default:
		return true, nil
	}
}

// identify gives every topic that has no identity yet one in the control topic. A
// topic whose identity differs is left to Check: raising an epoch is a decision.
func (t Topics) identify(ctx context.Context, client *kgo.Client) error {
	control, details, err := t.look(ctx, client)
	if err != nil {
		return err
	}
	for _, name := range t.logs() {
		if control.Topics[name] != nil {
			continue
		}
		d := details[name]
		identity := &record.TopicIdentity{Topic: name, TopicId: d.ID[:], Partitions: int32(len(d.Partitions)), Epoch: 0} //nolint:gosec // a partition count
		if err := control.Put(ctx, &record.Control{Record: &record.Control_Topic{Topic: identity}}); err != nil {
			return err
		}
	}
	return nil
}

// logs lists the topics whose identity matters.
func (t Topics) logs() []string {
	return []string{t.DocumentsLive(), t.DocumentsBulk(), t.VectorsLive(), t.VectorsBulk()}
}

// look returns what the control topic says of the topics, and what they are.
func (t Topics) look(ctx context.Context, client *kgo.Client) (*Control, kadm.TopicDetails, error) {
	// Asking for rights too goes past the client's cache: it may still know a topic that
	// was deleted and made again.
	details, err := kadm.NewClient(client).ListTopics(kadm.WithAuthorizedOps(ctx), append(t.logs(), t.DeadLetters(), t.Control(), t.Costs())...)
	if err != nil {
		return nil, nil, fmt.Errorf("listing the pipeline's topics: %w", err)
	}
	for name, d := range details {
		if errors.Is(d.Err, kerr.UnknownTopicOrPartition) {
			return nil, nil, fault.Halt("topic %s does not exist: run `freshet topics apply`", name)
		}
		if d.Err != nil {
			return nil, nil, fmt.Errorf("looking at topic %s: %w", name, d.Err)
		}
	}
	control, err := ReadControl(ctx, client, t)
	return control, details, err
}

// Identity is what the stages must know of the pipeline's topics.
type Identity struct {
	TopicID     string // of the live documents topic, in hexadecimal
	Partitions  int32  // of each log
	DeadLetters int32  // partitions of the dead-letter topic
	Epoch       int32  // of the live documents topic
	// IDs are those of the logs, by topic, in hexadecimal.
	IDs map[string]string
}

// Check compares the topics with what they must be and returns their identity. A
// difference is a fatal fault that names it and says what to do.
func (t Topics) Check(ctx context.Context, client *kgo.Client) (Identity, error) {
	control, details, err := t.look(ctx, client)
	if err != nil {
		return Identity{}, err
	}
	for _, name := range t.logs() {
		if err := sameTopic(name, control.Topics[name], details[name]); err != nil {
			return Identity{}, err
		}
	}
	first := control.Topics[t.DocumentsLive()]
	for _, name := range t.logs() {
		if n := control.Topics[name].GetPartitions(); n != first.GetPartitions() {
			return Identity{}, fault.Halt("topic %s has %d partitions and %s has %d: an item must stay in one partition number, so make them alike", name, n, t.DocumentsLive(), first.GetPartitions())
		}
	}
	if live, bulk := len(details[t.VectorsLive()].Partitions), len(details[t.VectorsBulk()].Partitions); live != bulk {
		return Identity{}, fault.Halt("topic %s has %d partitions and %s has %d: one member must have both lanes of an item, and Kafka deals out each topic by its own count; add partitions until they are alike", t.VectorsLive(), live, t.VectorsBulk(), bulk)
	}
	if err := t.checkConfig(ctx, kadm.NewClient(client)); err != nil {
		return Identity{}, err
	}
	ids := map[string]string{}
	for _, name := range t.logs() {
		ids[name] = hex.EncodeToString(control.Topics[name].GetTopicId())
	}
	return Identity{
		TopicID: ids[t.DocumentsLive()], Partitions: first.GetPartitions(), IDs: ids,
		DeadLetters: int32(len(details[t.DeadLetters()].Partitions)), Epoch: first.GetEpoch(), //nolint:gosec // a partition count
	}, nil
}

// sameTopic tells whether a topic is the one that versions were counted in. Added
// partitions are no harm: records are placed over the first N for ever.
func sameTopic(name string, want *record.TopicIdentity, got kadm.TopicDetail) error {
	switch {
	case want == nil:
		return fault.Halt("topic %s has no identity in the control topic: run `freshet topics apply`", name)
	case string(want.GetTopicId()) != string(got.ID[:]):
		return fault.Halt("topic %s was re-created (its id is %x, it was %x): offsets would count from 0 again and every new version be older than the index; stop all services and raise the epoch (`freshet epoch raise`)", name, got.ID[:], want.GetTopicId())
	case int(want.GetPartitions()) > len(got.Partitions):
		return fault.Halt("topic %s has %d partitions, it had %d", name, len(got.Partitions), want.GetPartitions())
	}
	return nil
}

func (t Topics) checkConfig(ctx context.Context, adm *kadm.Client) error {
	configs, err := adm.DescribeTopicConfigs(ctx, append(t.logs(), t.DeadLetters())...)
	if err != nil {
		return fmt.Errorf("reading the topics' settings: %w", err)
	}
	for _, c := range configs {
		if c.Err != nil {
			return fmt.Errorf("reading the settings of topic %s: %w", c.Name, c.Err)
		}
		for _, kv := range c.Configs {
			value := kv.MaybeValue()
			bytes, _ := strconv.ParseInt(value, 10, 64)
			switch {
			case kv.Key == "max.message.bytes" && bytes < int64(t.MaxBytes(c.Name)):
				return fault.Halt("topic %s has max.message.bytes=%s: it would refuse whole batches of good records; set it to %d at least", c.Name, value, t.MaxBytes(c.Name))
			case kv.Key == "cleanup.policy" && strings.Contains(value, "compact"):
				return fault.Halt("topic %s is compacted: it would lose changes before they are read; set cleanup.policy=delete", c.Name)
			case kv.Key == "retention.bytes" && value != "-1" && value != "":
				return fault.Halt("topic %s has retention.bytes=%s: it would delete records that nobody has read; set it to -1", c.Name, value)
			}
		}
	}
	return nil
}

// Identify checks the topics over a connection of its own; see Check.
func (t Topics) Identify(ctx context.Context, c Config, log *slog.Logger) (Identity, error) {
	client, err := c.Connect(ctx, log)
	if err != nil {
		return Identity{}, err
	}
	defer client.Close()
	return service.Await(ctx, log, "the pipeline's topics", func(ctx context.Context) (Identity, error) {
		return t.Check(ctx, client)
	})
}
