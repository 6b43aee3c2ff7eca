package main

import (
	"log/slog"
	"strings"
	"testing"

	"github.com/freshet-io/freshet/libs/fake"
	"github.com/freshet-io/freshet/libs/kafka"
	"github.com/freshet-io/freshet/libs/service"
)

func TestTopicsApply_saysThatANumberOfPartitionsIsNotTaken(t *testing.T) {
	broker, err := fake.StartBroker("")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(broker.Close)
	var cfg cluster
	if err := service.Load([]string{"FRESHET_KAFKA_BROKERS=" + broker.Brokers(), "FRESHET_KAFKA_METADATA_MIN_AGE=250ms"}, &cfg); err != nil {
		t.Fatal(err)
	}
	client, err := kafka.Producer(t.Context(), cfg.Kafka, cfg.Topics, true, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	if _, err := cfg.Topics.Apply(t.Context(), client, kafka.Layout{Partitions: 6, Replication: 1}); err != nil {
		t.Fatal(err)
	}
	c := connections{topics: cfg.Topics, kafka: client}
	for asked, want := range map[int32]string{6: "", 3: "--partitions 3 is not taken: the topics have 6"} {
		var out strings.Builder
		if err := c.tellOfPartitions(t.Context(), &out, asked); err != nil || !strings.HasPrefix(out.String(), want) || (want == "") != (out.Len() == 0) {
			t.Errorf("asked for %d: %v, %q", asked, err, out.String())
		}
	}
}
