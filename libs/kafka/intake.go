package kafka

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"sync"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/freshet-io/freshet/libs/fault"
	"github.com/freshet-io/freshet/libs/service"
	"github.com/freshet-io/freshet/libs/telemetry"
)

// unknownMaxBytes is what every Kafka takes as it comes: message.max.bytes is 1048588, with what a batch adds to its records.
const unknownMaxBytes = 1_000_012

// Intake writes the changes that clients bring to source topics, as any other producer of them does: acknowledged by all
// replicas, and placed by a hash of the key, by that of Kafka's own clients.
type Intake struct {
	client *kgo.Client

	mu    sync.Mutex
	bytes map[string]int32 // that a batch of a topic may have
}

// Sent is one change for a source topic. A null key leaves its place open.
type Sent struct {
	Key, Value  []byte
	Traceparent string // "" for none
}

// OpenIntake connects, and waits until the topics are there. The caller closes it.
func OpenIntake(ctx context.Context, c Config, topics []string, log *slog.Logger) (*Intake, error) {
	in := &Intake{bytes: map[string]int32{}}
	options := append(apply(producerOptions(Topics{}, true)), c.Limits.producer()...)
	client, err := c.Connect(ctx, log, append(options,
		kgo.RecordPartitioner(kgo.StickyKeyPartitioner(nil)),
		kgo.ProducerBatchMaxBytesFn(in.maxBytes),
		// Who was told that a change is not taken sends it again, perhaps to another process: this one must not bring it
		// minutes later, behind newer ones. What may be written twice then does no harm.
		kgo.AllowIdempotentProduceCancellation(),
	)...)
	if err != nil {
		return nil, err
	}
	in.client = client
	if _, err := service.Await(ctx, log, "the topics of HTTP", func(ctx context.Context) (struct{}, error) {
		return struct{}{}, in.look(ctx, topics)
	}); err != nil {
		client.Close()
		return nil, err
	}
	return in, nil
}

// look finds out what the topics take. That this cannot be read is no error: a right is asked for that producers do without.
func (in *Intake) look(ctx context.Context, topics []string) error {
	adm := kadm.NewClient(in.client)
	details, err := adm.ListTopics(ctx, topics...)
	if err != nil {
		return fmt.Errorf("looking at %v: %w", topics, err)
	}
	for _, topic := range topics {
		if err := details[topic].Err; errors.Is(err, kerr.UnknownTopicOrPartition) {
			return fmt.Errorf("topic %s does not exist: run `freshet topics apply`", topic)
		} else if err != nil {
			return fmt.Errorf("looking at topic %s: %w", topic, err)
		}
	}
	configs, err := adm.DescribeTopicConfigs(ctx, topics...)
	if _, denied := errors.AsType[*kadm.AuthError](err); err != nil && !denied {
		return fmt.Errorf("reading the settings of %v: %w", topics, err)
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	for _, c := range configs {
		for _, kv := range c.Configs {
			if n, err := strconv.ParseInt(kv.MaybeValue(), 10, 32); kv.Key == "max.message.bytes" && err == nil {
				in.bytes[c.Name] = int32(min(n, maxRecordBytes)) //nolint:gosec // parsed as 32 bits
			}
		}
	}
	return nil
}

func (in *Intake) maxBytes(topic string) int32 {
	in.mu.Lock()
	defer in.mu.Unlock()
	if n := in.bytes[topic]; n > 0 {
		return n
	}
	return unknownMaxBytes
}

// Produce sends changes in their order, and returns when Kafka has acknowledged or refused each of them. rejected has an
// error for each that the topic can never take, else nil. Any other error is of all: some of them may be written, and all
// of them should be sent again. When ctx ends, what is not acknowledged is given up.
func (in *Intake) Produce(ctx context.Context, topic string, changes []Sent) (rejected []error, err error) {
	rejected = make([]error, len(changes))
	var wait sync.WaitGroup
	var mu sync.Mutex
	wait.Add(len(changes))
	for i := range changes {
		in.client.Produce(ctx, changes[i].record(topic), func(_ *kgo.Record, failed error) {
			defer wait.Done()
			mu.Lock()
			defer mu.Unlock()
			switch {
			case failed == nil:
			case errors.Is(failed, kerr.MessageTooLarge), errors.Is(failed, kerr.RecordListTooLarge):
				rejected[i] = fault.Reject(fault.Oversize, "the change is larger than topic %s takes, %d bytes", topic, in.maxBytes(topic))
			case err == nil:
				err = fmt.Errorf("writing to %s: %w", topic, failed)
			}
		})
	}
	wait.Wait()
	return rejected, err
}

func (s *Sent) record(topic string) *kgo.Record {
	r := &kgo.Record{Topic: topic, Key: s.Key, Value: s.Value}
	if s.Traceparent != "" {
		r.Headers = []kgo.RecordHeader{{Key: telemetry.HeaderTraceparent, Value: []byte(s.Traceparent)}}
	}
	return r
}

// Close gives up what is not acknowledged yet.
func (in *Intake) Close() { in.client.Close() }

// CreateSources creates those source topics that are missing and that nobody else makes, and returns the names of those
// it created.
func CreateSources(ctx context.Context, client *kgo.Client, topics []string, l Layout) ([]string, error) {
	var created []string
	for _, name := range topics {
		fresh, err := create(ctx, kadm.NewClient(client), logSpec(name, l.Partitions, 7*day, maxRecordBytes), l)
		if err != nil {
			return created, err
		}
		if fresh {
			created = append(created, name)
		}
	}
	return created, appear(ctx, client, created)
}
