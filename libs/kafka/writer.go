package kafka

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/freshet-io/freshet/libs/fault"
)

// Writer appends batches to the first partition of a topic, each whole or not at all, in their order. Of all writers of
// one name, in whatever process, only the one that was opened last can append (Kafka's transactions fence the others),
// and what another one had begun is never seen by readers of committed records. It is for one goroutine.
type Writer struct {
	client *kgo.Client
	topic  string
	bytes  recordBytes
}

// OpenWriter returns the one writer of a name; the other ones can append nothing any more when it returns. It waits for a
// cluster that is away until ctx ends. The caller closes it.
func OpenWriter(ctx context.Context, c Config, name, topic string, log *slog.Logger) (*Writer, error) {
	w := &Writer{topic: topic}
	client, err := c.Connect(ctx, log, append(w.bytes.options(c), kgo.TransactionalID(name))...)
	if err != nil {
		return nil, err
	}
	w.client = client
	if _, _, err := client.ProducerID(ctx); err != nil {
		w.Close()
		return nil, w.fault("opening the writer of", err)
	}
	if err := w.bytes.ask(ctx, client, topic); err != nil {
		w.Close()
		return nil, err
	}
	return w, nil
}

// MaxBytes returns the Size that a record may have.
func (w *Writer) MaxBytes() int { return int(w.bytes.of(w.topic)) }

// Write appends the records and returns when they are acknowledged by all replicas and seen by readers. After an error
// it is not known whether they are, and the writer is to be closed: the next one of its name settles that.
func (w *Writer) Write(ctx context.Context, records []Raw) error {
	if err := w.client.BeginTransaction(); err != nil {
		return w.fault("beginning to write to", err)
	}
	if err := w.client.ProduceSync(ctx, recordsOf(w.topic, records)...).FirstErr(); err != nil {
		return w.fault("writing to", err)
	}
	if err := w.client.EndTransaction(ctx, kgo.TryCommit); err != nil {
		return w.fault("committing what was written to", err)
	}
	return nil
}

// Close gives up what is not committed.
func (w *Writer) Close() { w.client.Close() }

// fault says what is the matter, and whether waiting cures it.
func (w *Writer) fault(doing string, err error) error {
	switch {
	case errors.Is(err, kerr.TopicAuthorizationFailed), errors.Is(err, kerr.TransactionalIDAuthorizationFailed),
		errors.Is(err, kerr.ClusterAuthorizationFailed):
		return fault.Halt("%s topic %s: Kafka refuses it: %w; allow Write and Describe on the topic, and on transactional ids that begin with the topic prefix", doing, w.topic, err)
	case errors.Is(err, kerr.UnknownTopicOrPartition):
		return fmt.Errorf("%s topic %s: it does not exist, create it: %w", doing, w.topic, err)
	case errors.Is(err, kerr.InvalidProducerEpoch), errors.Is(err, kerr.ProducerFenced):
		return fmt.Errorf("%s topic %s: another process has taken over: %w", doing, w.topic, err)
	}
	return fmt.Errorf("%s topic %s: %w", doing, w.topic, err)
}
