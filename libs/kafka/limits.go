package kafka

import (
	"errors"
	"slices"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/freshet-io/freshet/libs/fault"
)

// Limits bounds what the clients of one cluster keep in memory. A consumer holds at
// most MaxConcurrentFetches × FetchMaxBytes as they come from the brokers, times the
// ratio of their compression, a producer MaxBufferedBytes. A zero, as in a literal
// that no environment filled, leaves a limit to franz-go.
type Limits struct {
	FetchMaxBytes          int32 `default:"8388608" desc:"bytes of an answer to a fetch, as compressed; a broker sends one batch even where it is larger. Fewer save memory, more save round trips to a far cluster"`
	FetchMaxPartitionBytes int32 `default:"4194304" desc:"bytes of one partition in an answer to a fetch; fewer let more partitions share an answer"`
	MaxConcurrentFetches   int   `default:"8" desc:"brokers that may have a fetch in flight or waiting to be handled; 0 is all of them. Fewer than the brokers that lead partitions save memory, and let a record of a quiet topic wait up to 500 ms longer"`
	BrokerMaxReadBytes     int32 `default:"104857600" desc:"largest answer of a broker; the default is the largest batch that Kafka takes by default (socket.request.max.bytes). A partition with a larger batch cannot be read"`
	MaxDecompressedBytes   int   `default:"268435456" desc:"bytes that one batch may decompress to; a partition with a larger one cannot be read. It keeps one batch of a source topic from ending the process for want of memory"`
	MaxBufferedBytes       int   `default:"33554432" desc:"bytes that a producer holds until they are acknowledged; at the bound the stage waits. Fewer save memory, more keep a slow cluster busy"`
}

// Validate reports settings that cannot be.
func (l Limits) Validate() error {
	return errors.Join(
		fault.If(l.FetchMaxBytes < 1 || l.FetchMaxPartitionBytes < 1 || l.MaxConcurrentFetches < 0 || l.MaxDecompressedBytes < 1,
			"FETCH_MAX_BYTES, FETCH_MAX_PARTITION_BYTES and MAX_DECOMPRESSED_BYTES must be at least 1, MAX_CONCURRENT_FETCHES not negative"),
		fault.If(l.FetchMaxPartitionBytes > l.FetchMaxBytes, "FETCH_MAX_PARTITION_BYTES %d must not be more than FETCH_MAX_BYTES %d", l.FetchMaxPartitionBytes, l.FetchMaxBytes),
		fault.If(l.BrokerMaxReadBytes < l.FetchMaxBytes, "BROKER_MAX_READ_BYTES %d must not be less than FETCH_MAX_BYTES %d", l.BrokerMaxReadBytes, l.FetchMaxBytes),
		fault.If(l.MaxBufferedBytes < maxDeadLetterBytes, "MAX_BUFFERED_BYTES %d must hold the largest record, a dead letter of %d", l.MaxBufferedBytes, maxDeadLetterBytes),
	)
}

func (l Limits) client() []kgo.Opt {
	return append(where(l.BrokerMaxReadBytes > 0, kgo.BrokerMaxReadBytes(l.BrokerMaxReadBytes)),
		where(l.MaxDecompressedBytes > 0, kgo.MaxDecompressBatchBytes(l.MaxDecompressedBytes))...)
}

func (l Limits) consumer() []kgo.Opt {
	return slices.Concat(where(l.FetchMaxBytes > 0, kgo.FetchMaxBytes(l.FetchMaxBytes)),
		where(l.FetchMaxPartitionBytes > 0, kgo.FetchMaxPartitionBytes(l.FetchMaxPartitionBytes)),
		where(l.MaxConcurrentFetches > 0, kgo.MaxConcurrentFetches(l.MaxConcurrentFetches))) // franz-go's 0 would fetch nothing ahead
}

func (l Limits) producer() []kgo.Opt {
	return where(l.MaxBufferedBytes != 0, kgo.MaxBufferedBytes(l.MaxBufferedBytes))
}

func where(set bool, option kgo.Opt) []kgo.Opt {
	if !set {
		return nil
	}
	return []kgo.Opt{option}
}
