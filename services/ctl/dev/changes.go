package dev

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/freshet-io/freshet/libs/pipeline"
	"github.com/freshet-io/freshet/services/ctl/events"
)

func (s *stack) partitionsOfSources() int32 {
	if s.options.Events != "" {
		return 1
	}
	return sourcePartitions
}

// playChanges sends somebody's own changes and shows what becomes of them.
func (s *stack) playChanges(ctx context.Context) error {
	status, err := newStatus(ctx, s) // before anything can arrive
	if err != nil {
		return err
	}
	status.sent = len(s.changes)
	if err := s.send(ctx, s.changes...); err != nil {
		return err
	}
	s.say("%d changes of %s are sent; what cannot be used becomes a dead letter", len(s.changes), s.options.Events)
	s.hint(`search "what to look for"`, "status", "dlq list")
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
			status.show(ctx)
		}
	}
}

// openEvents reads somebody's own changes, before anything is made: none of them is sent where one cannot be.
func (s *stack) openEvents(context.Context) (err error) {
	if s.options.Events != "" {
		s.changes, err = readChanges(s.options.Events, s.file)
	}
	return err
}

// readChanges reads the events of a file; those that do not say their topic are of the first one that the pipeline file names.
// All are in one partition: many files have no keys, which would have to name the items then.
func readChanges(path string, file *pipeline.File) (records []*kgo.Record, err error) {
	first := ""
	if topics := file.Topics(); len(topics) > 0 {
		first = topics[0]
	}
	err = events.Read(path, nil, nil, func(e events.Event) error {
		topic := cmp.Or(e.Record.Topic, first)
		switch {
		case topic == "":
			return fmt.Errorf("%s line %d does not say its topic, and the pipeline file names none", path, e.Line)
		case !slices.ContainsFunc(file.Pipelines, func(p pipeline.Pipeline) bool { return p.Source.Reads(topic) }):
			return fmt.Errorf("%s line %d is of topic %s, which no pipeline of the file reads", path, e.Line, topic)
		}
		records = append(records, &kgo.Record{Topic: topic, Key: e.Record.Key, Value: e.Record.Value})
		return nil
	})
	return records, err
}

// makeTopics makes those that changes name: what patterns stand for is not in the pipeline file.
func (s *stack) makeTopics(ctx context.Context) error {
	if len(s.changes) == 0 {
		return nil
	}
	var topics []string
	for _, r := range s.changes {
		topics = append(topics, r.Topic)
	}
	slices.Sort(topics)
	topics = slices.Compact(topics)
	made, err := kadm.NewClient(s.client).CreateTopics(ctx, s.partitionsOfSources(), 1, nil, topics...)
	if err != nil {
		return fmt.Errorf("creating the topics %v of %s: %w", topics, s.options.Events, err)
	}
	for _, topic := range made.Sorted() {
		if topic.Err != nil && !errors.Is(topic.Err, kerr.TopicAlreadyExists) {
			return fmt.Errorf("creating the topic %s of %s: %w", topic.Topic, s.options.Events, topic.Err)
		}
	}
	return nil
}
