package inspect

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/freshet-io/freshet/libs/kafka"
)

func TestAskSources_saysThatATopicIsNotThere(t *testing.T) {
	q := &inquiry{Inspector: &Inspector{}, now: &look{
		lanes:     []lane{{stage: stageIngest, topics: []string{"there", "misspelt"}}},
		standings: map[string]kafka.Standing{stageIngest: {Partitions: []kafka.Position{{Topic: "there"}}}},
	}}
	q.source.failed, q.source.at = errors.New("nobody is asked"), time.Now()
	q.askSources(t.Context())
	if len(q.answer.Unknown) != 1 || !strings.Contains(q.answer.Unknown[0], "misspelt") {
		t.Errorf("unknown are %q, want that the topic misspelt is not there", q.answer.Unknown)
	}
}
