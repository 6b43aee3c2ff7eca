package kafka

import (
	"context"
	"log/slog"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// readerBytes bounds an answer to a Reader, as compressed: there may be one for each partition of a stage.
const readerBytes = 256 << 10

// Reader opens a client that reads one partition from an offset on, as a member of no group. As Consumer's it resets no
// offset.
func Reader(ctx context.Context, c Config, topic string, partition int32, from int64, log *slog.Logger) (*kgo.Client, error) {
	options := append(c.Limits.consumer(),
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: {partition: kgo.NewOffset().At(from)}}),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.ConsumeResetOffset(kgo.NoResetOffset()),
		kgo.FetchMaxBytes(readerBytes), kgo.FetchMaxPartitionBytes(readerBytes),
		kgo.FetchMinBytes(1), kgo.FetchMaxWait(500*time.Millisecond),
	)
	return c.Connect(ctx, log, options...)
}
