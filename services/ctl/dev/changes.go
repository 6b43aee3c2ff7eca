package dev

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/freshet-io/freshet/services/ctl/events"
)

// partitionsOfSources returns how many partitions the source topics are made with.
func (s *stack) partitionsOfSources() int32 {
	if s.options.Events != "" {
		return 1
	}
	return sourcePartitions
}

// playChanges sends somebody's own changes and shows what becomes of them.
func (s *stack) playChanges(ctx context.Context) error {
	records, err := readChanges(s.options.Events, s.file.Topics())
	if err != nil {
		return err
	}
	if err := s.send(ctx, records...); err != nil {
		return err
	}
	s.say("%d changes of %s are sent; what cannot be used becomes a dead letter", len(records), s.options.Events)
	s.hint(`search "what to look for"`, "status", "dlq list")
	status := newStatus(s)
	status.sent = len(records)
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
			status.show()
		}
	}
}

// readChanges reads the events of a file; those that do not say their topic are of the first one. All are in one
// partition: many files have no keys, which would have to name the items then.
func readChanges(path string, topics []string) (records []*kgo.Record, err error) {
	topic := ""
	if len(topics) > 0 {
		topic = topics[0]
	}
	err = events.Read(path, nil, nil, func(e events.Event) error {
		if e.Record.Topic == "" && topic == "" {
			return fmt.Errorf("%s line %d does not say its topic, and the pipeline file names none", path, e.Line)
		}
		records = append(records, &kgo.Record{Topic: cmp.Or(e.Record.Topic, topic), Key: e.Record.Key, Value: e.Record.Value})
		return nil
	})
	return records, err
}
