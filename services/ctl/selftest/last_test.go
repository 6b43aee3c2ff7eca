package selftest

import (
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/freshet-io/freshet/libs/kafka"
)

// Debezium sends a tombstone behind each delete, and a connector with exactly-once ends each transaction with a marker: the last
// offset alone would not show that the topic is in Avro, and the canary would be the only JSON in it.
func TestLast_isARowAlsoBehindATombstone(t *testing.T) {
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, "t"))
	if err != nil {
		t.Fatal(err)
	}
	defer cluster.Close()
	client, err := kgo.NewClient(kgo.SeedBrokers(cluster.ListenAddrs()...))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	for _, value := range [][]byte{{0, 0, 0, 0, 6, 1}, {0, 0, 0, 0, 7, 1}, nil} {
		if err := client.ProduceSync(t.Context(), &kgo.Record{Topic: "t", Key: []byte("k"), Value: value}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	test := &Test{client: client}
	test.config.Source.Kafka = kafka.Config{Brokers: cluster.ListenAddrs(), ClientID: "test", MetadataMinAge: 50 * time.Millisecond}
	if last, err := test.last(t.Context(), "t"); err != nil || len(last) != 6 || last[4] != 7 {
		t.Errorf("the last value is %v, want that of schema 7: %v", last, err)
	}
}
