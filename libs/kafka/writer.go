package kafka

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/freshet-io/freshet/libs/fault"
)

const (
	// defaultRecordBytes is what every Kafka takes as it comes (message.max.bytes), less what a batch adds.
	defaultRecordBytes = 1_000_000
	// mostRecordBytes bounds what one record may take of this process's memory, whatever the topic takes.
	mostRecordBytes = 8 << 20
	// batchFrame is what a batch and a record in it take beside key, value and headers, at most.
	batchFrame = 512
)

// Writer appends batches to the first partition of a topic, each whole or not at all, in their order. Of all writers of
// one name, in whatever process, only the one that was opened last can append (Kafka's transactions fence the others),
// and what another one had begun is never seen by readers of committed records. It is for one goroutine.
type Writer struct {
	client   *kgo.Client
	topic    string
	maxBytes int32
}

// Raw is a record for a source topic. A nil key is a null key.
type Raw struct {
	Key, Value []byte
	Headers    []kgo.RecordHeader
}

// With adds a header.
func (r *Raw) With(name string, value []byte) {
	r.Headers = append(r.Headers, kgo.RecordHeader{Key: name, Value: value})
}

// Size returns the bytes that the record takes of what its topic takes.
func (r *Raw) Size() int {
	size := batchFrame + len(r.Key) + len(r.Value)
	for _, h := range r.Headers {
		size += len(h.Key) + len(h.Value) + 2*5 // two lengths as varints
	}
	return size
}

// OpenWriter returns the one writer of a name; the other ones can append nothing any more when it returns. It waits for a
// cluster that is away until ctx ends. The caller closes it.
func OpenWriter(ctx context.Context, c Config, name, topic string, log *slog.Logger) (*Writer, error) {
	w := &Writer{topic: topic, maxBytes: defaultRecordBytes}
	client, err := c.Connect(ctx, log, append(c.Limits.producer(),
		kgo.TransactionalID(name), kgo.RequiredAcks(kgo.AllISRAcks()), kgo.ProducerLinger(0),
		kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerBatchCompression(kgo.ZstdCompression(), kgo.NoCompression()),
		kgo.ProducerBatchMaxBytesFn(func(string) int32 { return w.maxBytes }),
	)...)
	if err != nil {
		return nil, err
	}
	w.client = client
	if _, _, err := client.ProducerID(ctx); err != nil {
		w.Close()
		return nil, w.fault("opening the writer of", err)
	}
	w.look(ctx, log)
	return w, nil
}

// look finds out what the topic takes. Where Kafka does not say, the default stands: the right to ask is one that
// producers do without.
func (w *Writer) look(ctx context.Context, log *slog.Logger) {
	configs, err := kadm.NewClient(w.client).DescribeTopicConfigs(ctx, w.topic)
	if err != nil {
		log.WarnContext(ctx, "the topic's max.message.bytes is not known, the default is taken", "topic", w.topic, "error", err)
	}
	for _, c := range configs {
		for _, kv := range c.Configs {
			if n, err := strconv.Atoi(kv.MaybeValue()); kv.Key == "max.message.bytes" && err == nil {
				w.maxBytes = int32(min(max(n, batchFrame), mostRecordBytes)) //nolint:gosec // bounded
			}
		}
	}
}

// MaxBytes returns the Size that a record may have.
func (w *Writer) MaxBytes() int { return int(w.maxBytes) }

// Write appends the records and returns when they are acknowledged by all replicas and seen by readers. After an error
// it is not known whether they are, and the writer is to be closed: the next one of its name settles that.
func (w *Writer) Write(ctx context.Context, records []Raw) error {
	if err := w.client.BeginTransaction(); err != nil {
		return w.fault("beginning to write to", err)
	}
	batch := make([]*kgo.Record, len(records))
	for i, r := range records {
		batch[i] = &kgo.Record{Topic: w.topic, Key: r.Key, Value: r.Value, Headers: r.Headers}
	}
	if err := w.client.ProduceSync(ctx, batch...).FirstErr(); err != nil {
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
