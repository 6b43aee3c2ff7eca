package kafka

import (
	"context"
	"fmt"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// Partitions returns how many partitions the topics of the cluster have, by name: those that
// the client may see, without Kafka's own.
func Partitions(ctx context.Context, client *kgo.Client) (map[string]int, error) {
	details, err := kadm.NewClient(client).ListTopics(ctx)
	if err != nil {
		return nil, fmt.Errorf("listing the topics: %w", err)
	}
	partitions := map[string]int{}
	for name, topic := range details {
		if topic.Err == nil {
			partitions[name] = len(topic.Partitions)
		}
	}
	return partitions, nil
}
