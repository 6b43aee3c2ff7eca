package kafka

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/freshet-io/freshet/libs/fault"
	"github.com/freshet-io/freshet/libs/service"
)

// Intake writes the changes that clients bring to source topics, as any other producer of them does: acknowledged by all
// replicas, and placed by a hash of the key, by that of Kafka's own clients.
type Intake struct {
	client *kgo.Client
	bytes  recordBytes
	// sending is held alone while batches are taken apart, so that none has records of another request.
	sending sync.RWMutex
}

// OpenIntake connects, and waits until the topics are there. The caller closes it.
func OpenIntake(ctx context.Context, c Config, topics []string, log *slog.Logger) (*Intake, error) {
	in := &Intake{}
	client, err := c.Connect(ctx, log, append(in.bytes.options(c),
		kgo.RecordPartitioner(kgo.StickyKeyPartitioner(nil)),
		// Who was told that a change is not taken sends it again, perhaps to another process: this one must not bring it
		// minutes later, behind newer ones. What may be written twice then does no harm.
		kgo.AllowIdempotentProduceCancellation(),
	)...)
	if err != nil {
		return nil, err
	}
	in.client = client
	if err := service.AwaitDone(ctx, log, "the topics of HTTP", func(ctx context.Context) error { return in.look(ctx, topics) }); err != nil {
		client.Close()
		return nil, err
	}
	return in, nil
}

// look finds out whether the topics are there, and what they take.
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
	return in.bytes.ask(ctx, in.client, topics...)
}

// Produce sends changes in their order, and returns when Kafka has acknowledged or refused each of them. rejected has an
// error for each that the topic can never take, else nil. Any other error is of all: some of them may be written, and all
// of them should be sent again. When ctx ends, what is not acknowledged is given up.
func (in *Intake) Produce(ctx context.Context, topic string, changes []Raw) (rejected []error, err error) {
	rejected, records := make([]error, len(changes)), recordsOf(topic, changes)
	in.sending.RLock()
	settled, err := in.send(ctx, records)
	in.sending.RUnlock()
	if err != nil || settled == len(records) {
		return rejected, err
	}
	_ = in.bytes.ask(ctx, in.client, topic) // for what is told: it may have changed
	in.sending.Lock()
	defer in.sending.Unlock()
	return rejected, in.split(ctx, topic, changes[settled:], rejected[settled:])
}

// split finds the changes that a topic never takes: a broker refuses a batch as a whole. It sends all again from the
// first one of a batch that was refused, although later ones may be written, so that those of an item keep their order.
func (in *Intake) split(ctx context.Context, topic string, changes []Raw, rejected []error) error {
	settled, err := in.send(ctx, recordsOf(topic, changes))
	switch rest := len(changes) - settled; {
	case err != nil || rest == 0:
		return err
	case len(changes) == 1:
		rejected[0] = fault.Reject(fault.Oversize, "the change is larger than topic %s takes%s", topic, in.bytes.told(topic))
		return nil
	default:
		half := settled + max(1, rest/2)
		if err := in.split(ctx, topic, changes[settled:half], rejected[settled:half]); err != nil {
			return err
		}
		return in.split(ctx, topic, changes[half:], rejected[half:])
	}
}

// send returns how many records are written before the first one that is refused for the size of its batch.
func (in *Intake) send(ctx context.Context, records []*kgo.Record) (settled int, err error) {
	settled = len(records)
	var wait sync.WaitGroup
	var mu sync.Mutex
	wait.Add(len(records))
	for i, r := range records {
		in.client.Produce(ctx, r, func(r *kgo.Record, failed error) {
			defer wait.Done()
			mu.Lock()
			defer mu.Unlock()
			switch {
			case failed == nil:
			case errors.Is(failed, kerr.MessageTooLarge), errors.Is(failed, kerr.RecordListTooLarge):
				settled = min(settled, i)
			case err == nil:
				err = fmt.Errorf("writing to %s: %w", r.Topic, failed)
			}
		})
	}
	wait.Wait()
	return settled, err
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
