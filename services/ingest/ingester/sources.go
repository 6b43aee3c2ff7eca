package ingester

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/freshet-io/freshet/libs/fault"
	"github.com/freshet-io/freshet/libs/pipeline"
)

// sources knows which topics the pipelines read, and what Kafka says of them.
type sources struct {
	file *pipeline.File
	own  string // how the names of the pipeline's own topics begin, which no pattern stands for
	list func(ctx context.Context) (partitions map[string]int, err error)

	mu         sync.RWMutex
	partitions map[string]int // when list was asked last
}

// topics asks Kafka for its topics, and returns those to read: the named ones, whether they
// are there or not, and those that patterns stand for. It is an error to have none.
func (s *sources) topics(ctx context.Context) ([]string, error) {
	partitions, err := s.list(ctx)
	if err != nil {
		return nil, err
	}
	for _, feed := range s.file.Feeds() {
		partitions[feed.Topic] = 1 // of a stream's topic only the first one is written to
	}
	s.mu.Lock()
	s.partitions = partitions
	s.mu.Unlock()
	topics := s.file.Topics()
	for topic := range partitions {
		if s.file.Reads(topic, s.own) {
			topics = append(topics, topic)
		}
	}
	slices.Sort(topics)
	topics = slices.Compact(topics)
	for _, topic := range topics {
		if err := s.file.CheckTopic(topic); err != nil {
			return nil, fault.Halt("%w: give both one format, or their topics other names", err)
		}
	}
	if len(topics) == 0 {
		return nil, fmt.Errorf("no topic has a name like %s", strings.Join(s.file.Patterns(), ", "))
	}
	return topics, nil
}

// partitioned reports whether a topic has several partitions.
func (s *sources) partitioned(topic string) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.partitions[topic] > 1
}
