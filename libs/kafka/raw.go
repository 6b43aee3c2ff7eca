package kafka

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	// defaultRecordBytes is what every Kafka takes as it comes: message.max.bytes is 1048588, with what a batch adds to its records.
	defaultRecordBytes = 1_000_012
	// mostRecordBytes bounds what one record may take of this process's memory, whatever the topic takes.
	mostRecordBytes = 8 << 20
	// batchFrame is what a batch and a record in it take beside key, value and headers, at most.
	batchFrame = 512
)

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

func recordsOf(topic string, raw []Raw) []*kgo.Record {
	records := make([]*kgo.Record, len(raw))
	for i, r := range raw {
		records[i] = &kgo.Record{Topic: topic, Key: r.Key, Value: r.Value, Headers: r.Headers}
	}
	return records
}

// recordBytes knows what source topics take, of which nothing else here does.
type recordBytes struct {
	mu   sync.Mutex
	said map[string]int32
}

// options are those of a producer to source topics: as to the pipeline's own, but for what they take.
func (b *recordBytes) options(c Config) []kgo.Opt {
	options := append(apply(producerOptions(Topics{}, true)), c.Limits.producer()...)
	return append(options, kgo.ProducerBatchMaxBytesFn(b.of))
}

// ask finds out what topics take. Where Kafka may not say, the default stands: the right to ask is one that producers do
// without.
func (b *recordBytes) ask(ctx context.Context, client *kgo.Client, topics ...string) error {
	configs, err := kadm.NewClient(client).DescribeTopicConfigs(ctx, topics...)
	if _, denied := errors.AsType[*kadm.AuthError](err); err != nil && !denied {
		return fmt.Errorf("reading the settings of %v: %w", topics, err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, c := range configs {
		for _, kv := range c.Configs {
			if n, err := strconv.Atoi(kv.MaybeValue()); kv.Key == "max.message.bytes" && err == nil {
				if b.said == nil {
					b.said = map[string]int32{}
				}
				b.said[c.Name] = int32(min(max(n, batchFrame), mostRecordBytes)) //nolint:gosec // bounded
			}
		}
	}
	return nil
}

func (b *recordBytes) lookup(topic string) int32 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.said[topic]
}

// of returns what a batch of a topic may have.
func (b *recordBytes) of(topic string) int32 { return cmp.Or(b.lookup(topic), defaultRecordBytes) }

// told says what a topic takes, where Kafka says it.
func (b *recordBytes) told(topic string) string {
	if n := b.lookup(topic); n > 0 {
		return fmt.Sprintf(": max.message.bytes is %d", n)
	}
	return ""
}
