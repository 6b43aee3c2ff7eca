package inspect

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/freshet-io/freshet/libs/kafka"
)

func TestAskSources_saysThatATopicIsNotThere(t *testing.T) {
	nobody := newCluster(kafka.Config{})
	nobody.open = func(context.Context) (*kgo.Client, error) { return nil, errors.New("nobody is asked") }
	q := &inquiry{Inspector: &Inspector{source: nobody}, now: &look{
		lanes:     []lane{{stage: stageIngest, topics: []string{"there", "misspelt"}}},
		standings: map[string]kafka.Standing{stageIngest: {Partitions: []kafka.Position{{Topic: "there"}}}},
	}}
	q.askSources(t.Context())
	if len(q.lines) != 1 || !strings.Contains(q.lines[0], "misspelt") {
		t.Errorf("unknown are %q, want that the topic misspelt is not there", q.lines)
	}
}
