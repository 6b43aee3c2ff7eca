package inspect

import (
	"bytes"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/freshet-io/freshet/libs/kafka"
)

// The record at the head of partition 1 does not come, as one of a transaction that is open.
func TestHeads_aBacklogIsNotReadWhileAHeadIsWaitedFor(t *testing.T) {
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(2, "source"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	client, err := kgo.NewClient(kgo.SeedBrokers(cluster.ListenAddrs()...), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerBatchCompression(kgo.NoCompression()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	const backlog = 200_000
	records := make([]*kgo.Record, backlog)
	for i := range records {
		records[i] = &kgo.Record{Topic: "source", Value: bytes.Repeat([]byte{byte('a' + i%26)}, 100)}
	}
	if err := client.ProduceSync(t.Context(), records...).FirstErr(); err != nil {
		t.Fatal(err)
	}
	var furthest atomic.Int64
	cluster.ControlKey(int16(kmsg.Fetch), func(request kmsg.Request) (kmsg.Response, error, bool) {
		cluster.KeepControl()
		for _, topic := range request.(*kmsg.FetchRequest).Topics {
			for _, p := range topic.Partitions {
				furthest.Store(max(furthest.Load(), p.FetchOffset))
			}
		}
		return nil, nil, false
	})
	source := newCluster(kafka.Config{Brokers: cluster.ListenAddrs(), ClientID: "test", MetadataMinAge: 50 * time.Millisecond})
	heads, err := source.heads(t.Context(), []kafka.Position{{Topic: "source", End: backlog}, {Topic: "source", Partition: 1, End: 5}})
	if len(heads) != 1 || err == nil {
		t.Errorf("the heads are %v, and the error is %v; want that of partition 0, and that the other is not known", heads, err)
	}
	if furthest.Load() > backlog/2 {
		t.Errorf("partition 0 was read up to offset %d, for its first record", furthest.Load())
	}
}
