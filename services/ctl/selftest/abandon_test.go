package selftest

import (
	"context"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
)

func TestTest_deletesTheCanaryAlsoWhereTheLookTakesAllOfItsTime(t *testing.T) {
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, "t"))
	if err != nil {
		t.Fatal(err)
	}
	defer cluster.Close()
	client, err := kgo.NewClient(kgo.SeedBrokers(cluster.ListenAddrs()...), kgo.ConsumeTopics("t"))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	test := &Test{client: client, Canary: &Canary{Topic: "t", remove: event{[]byte("key"), []byte("delete")}}}
	ended, end := context.WithCancel(t.Context())
	end()
	if err := test.abandon(ended, 5*time.Second, func(looking context.Context) { <-looking.Done() }); err != nil {
		t.Error(err)
	}
	reading, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if records := client.PollFetches(reading).Records(); len(records) != 1 || string(records[0].Value) != "delete" {
		t.Errorf("the topic has %v, want the delete", records)
	}
}
