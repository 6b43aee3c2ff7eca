package kafka

import (
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/freshet-io/freshet/libs/service"
)

// Option is an option of the Kafka clients that is no setting: with another value a
// guarantee would not hold, or nobody could know which value to choose.
type Option struct {
	Name  string // as Kafka's own clients call it, where they have it
	Value string
	Why   string

	apply kgo.Opt // nil where it is what franz-go does unasked, or what depends on a setting
}

// FixedOptions lists the options that are no settings, for the documentation: it is
// what the clients are opened with.
func FixedOptions() (producer, consumer, both []Option) {
	return producerOptions(Topics{}, true), consumerOptions(), clientOptions()
}

func apply(options []Option) []kgo.Opt {
	var opts []kgo.Opt
	for _, o := range options {
		if o.apply != nil {
			opts = append(opts, o.apply)
		}
	}
	return opts
}

// fastest is zstd.SpeedFastest of github.com/klauspost/compress.
const fastest = 1

func producerOptions(t Topics, compress bool) []Option {
	codecs := []kgo.CompressionCodec{kgo.NoCompression()}
	if compress {
		codecs = []kgo.CompressionCodec{kgo.ZstdCompression().WithLevel(fastest), kgo.NoCompression()}
	}
	return []Option{
		{"acks", "all", "A record that counts as done must outlive its leader.", kgo.RequiredAcks(kgo.AllISRAcks())},
		{"enable.idempotence", "true", "A repeated request must not put an older state of an item behind its newer one.", nil},
		{"linger.ms", "0", "A record waits for nothing; a stage hands over whole batches anyway.", kgo.ProducerLinger(0)},
		{"partitioner", "by the record", "An item's place decides its order, so the stage computes it, and added partitions do not move it.", kgo.RecordPartitioner(kgo.ManualPartitioner())},
		{"max.request.size", "2 MiB, dead letters 4 MiB", "What the topics are made to take: franz-go never splits a batch that a broker finds too large.", kgo.ProducerBatchMaxBytesFn(t.MaxBytes)},
		{"compression.type", "zstd at its fastest for documents, none for vectors", "Texts shrink, for two thirds of the CPU time of the usual level and 5 % more bytes; vectors do not (float32 measured at 1.000 of its size with lz4, snappy and zstd).", kgo.ProducerBatchCompression(codecs...)},
		{"max buffered records", "50000", "Bounds what small records cost beyond their bytes (MAX_BUFFERED_BYTES).", kgo.MaxBufferedRecords(50_000)},
	}
}

func consumerOptions() []Option {
	return []Option{
		{"isolation.level", "read_committed", "A producer's aborted transaction never happened.", kgo.FetchIsolationLevel(kgo.ReadCommitted())},
		{"group's start", "earliest", "A new group misses nothing; it is committed before the first record is read, so that retention cannot move it.", kgo.ConsumeStartOffset(kgo.NewOffset().AtStart())},
		{"auto.offset.reset", "none", "An offset out of range means records that nobody has read are gone: the service stops, and a person decides.", kgo.ConsumeResetOffset(kgo.NoResetOffset())},
		{"enable.auto.commit", "marked records only", "Only what is acknowledged downstream is committed.", kgo.AutoCommitMarks()},
		{"auto.commit.interval.ms", "1000", "How much is repeated after a crash.", kgo.AutoCommitInterval(time.Second)},
		{"fetch.min.bytes", "1", "A record waits for no other.", kgo.FetchMinBytes(1)},
		{"fetch.max.wait.ms", "500", "How long a quiet broker holds a fetch, and with it one of MAX_CONCURRENT_FETCHES.", kgo.FetchMaxWait(500 * time.Millisecond)},
		{"heartbeat.interval.ms", "3000, at most a third of the session", "A member that is gone is noticed by its session's end alone; more heartbeats would tell nothing more.", nil},
		{"partition.assignment.strategy", "cooperative-sticky; range for write", "A rebalance moves few partitions; write needs one number of both topics at one member.", nil},
		// The poll loop only hands records to their partitions, so a rebalance waits for
		// no handler.
		{"rebalance", "not between a poll and the hand-over", "Records of a partition that has been given away must not reach a worker.", kgo.BlockRebalanceOnPoll()},
	}
}

// clientOptions are those of every client.
func clientOptions() []Option {
	return []Option{
		{"enable.metrics.push", "true", "KIP-714: the cluster's operators see this client's latencies and rates where they subscribe to them (`kafka-client-metrics`); where they do not, it is one small request in five minutes. No key or value is in them.", nil},
		{"client.software.name", "freshet", "Operators find it in the brokers' connection metrics.", kgo.SoftwareNameAndVersion("freshet", service.Version)},
	}
}
