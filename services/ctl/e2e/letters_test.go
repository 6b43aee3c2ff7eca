package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/freshet-io/freshet/libs/stage"
)

// spot is where a record stands: topic/partition/offset.
type spot string

func spotOf(r *kgo.Record) spot {
	return spot(fmt.Sprintf("%s/%d/%d", r.Topic, r.Partition, r.Offset))
}

// letter is what the tests ask of a dead letter.
type letter struct {
	at     spot // of the record that failed
	stage  string
	reason string
	value  string
}

func letterOf(r *kgo.Record) letter {
	h := map[string]string{}
	for _, header := range r.Headers {
		h[header.Key] = string(header.Value)
	}
	return letter{
		at:    spot(h[stage.HeaderErrorTopic] + "/" + h[stage.HeaderErrorPartition] + "/" + h[stage.HeaderErrorOffset]),
		stage: h[stage.HeaderLetterStage], reason: h[stage.HeaderReason], value: string(r.Value),
	}
}

// letters returns all dead letters.
func (r *rig) letters() []letter {
	r.t.Helper()
	topic := r.topics.DeadLetters()
	ends, err := r.adm.ListEndOffsets(r.t.Context(), topic)
	if err := errors.Join(err, ends.Error()); err != nil {
		r.t.Fatal(err)
	}
	left := int64(0)
	ends.Each(func(o kadm.ListedOffset) { left += o.Offset })
	reader, err := kgo.NewClient(kgo.SeedBrokers(strings.Split(r.brokers, ",")...),
		kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		r.t.Fatal(err)
	}
	defer reader.Close()
	ctx, cancel := context.WithTimeout(r.t.Context(), 30*time.Second)
	defer cancel()
	var letters []letter
	for left > int64(len(letters)) {
		fetches := reader.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			r.t.Fatalf("reading %d dead letters, of which %d came: %v", left, len(letters), err)
		}
		for _, record := range fetches.Records() {
			letters = append(letters, letterOf(record))
		}
	}
	return letters
}
