package kafkatest

import (
	"maps"
	"os"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/freshet-io/freshet/libs/kafka"
)

// The topics that Strimzi's operator would make of the chart's example are those that `freshet topics apply` makes.
func TestExamples_topicsOfStrimziAreThoseOfApply(t *testing.T) {
	text, err := os.ReadFile("../../../charts/freshet/examples/strimzi/topics.yaml")
	if err != nil {
		t.Fatal(err)
	}
	_, c := broker(t, kfake.NumBrokers(3))
	given := kadm.NewClient(connect(t, c))
	for document := range strings.SplitSeq(string(text), "\n---\n") {
		var topic struct {
			Metadata struct{ Name string }
			Spec     struct {
				Partitions int32
				Replicas   int16
				Config     map[string]*string
			}
		}
		if err := yaml.Unmarshal([]byte(document), &topic); err != nil {
			t.Fatal(err)
		}
		if _, err := given.CreateTopic(t.Context(), topic.Spec.Partitions, topic.Spec.Replicas, topic.Spec.Config, topic.Metadata.Name); err != nil {
			t.Fatal(err)
		}
	}
	_, c = broker(t, kfake.NumBrokers(3))
	client := connect(t, c)
	applied := kadm.NewClient(client)
	layout := kafka.Layout{Partitions: 24, Replication: 3, MinInSync: 2} // the chart's
	if _, err := (kafka.Topics{Prefix: "freshet"}).Apply(t.Context(), client, layout); err != nil {
		t.Fatal(err)
	}
	if expected, got := laidOut(t, applied), laidOut(t, given); !maps.EqualFunc(expected, got, maps.Equal) {
		t.Errorf("the example has\n%v\nand apply makes\n%v", got, expected)
	}
}

// laidOut returns what is set of each topic.
func laidOut(t *testing.T, adm *kadm.Client) map[string]map[string]string {
	t.Helper()
	topics, err := adm.ListTopics(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	configs, err := adm.DescribeTopicConfigs(t.Context(), topics.Names()...)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]map[string]string{}
	for _, config := range configs {
		all[config.Name] = map[string]string{}
		for _, c := range config.Configs {
			if c.Source.String() == "DYNAMIC_TOPIC_CONFIG" {
				all[config.Name][c.Key] = c.MaybeValue()
			}
		}
		partitions := topics[config.Name].Partitions
		all[config.Name]["partitions"] = strings.Repeat("|", len(partitions))
		all[config.Name]["replicas"] = strings.Repeat("|", partitions.NumReplicas())
	}
	return all
}
