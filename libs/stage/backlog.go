package stage

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/freshet-io/freshet/libs/kafka"
)

const (
	backlogLook  = time.Minute      // how often a stage looks after the reader of its topic
	heldLook     = 5 * time.Second  // the same, while it waits for it
	backlogBound = 15 * time.Second // of one look
)

// backlog is what the group that reads a stage's output has not read. While it is so old that
// Kafka would soon delete records unread, the stage waits: an outage then backs up into
// the producers' topics, where it is theirs to keep. A quarter of the retention leaves
// three for those who mend what is broken, and for the reader to catch up.
//
// It needs the rights to describe the group and the topic's settings; without them it
// warns at each look, and never waits.
type backlog struct {
	group string
	topic string
	adm   *kadm.Client
	log   *slog.Logger
	hold  func(bool)
	held  bool
}

// watch holds the stage and lets it go until ctx ends. It looks at once: a stage that starts again after an outage of the
// next one must not first fill its topic for a minute, and rights that are missing show.
func (b *backlog) watch(ctx context.Context) {
	for goOn := true; goOn; goOn = sleep(ctx, nil, b.pause()) {
		b.look(ctx)
	}
}

func (b *backlog) pause() time.Duration {
	if b.held {
		return heldLook
	}
	return backlogLook
}

// look decides once. Where it cannot, nothing changes.
func (b *backlog) look(ctx context.Context) {
	bound, cancel := context.WithTimeout(ctx, backlogBound)
	defer cancel()
	behind, err := b.behind(bound, time.Now())
	switch {
	case ctx.Err() != nil:
	case err != nil:
		b.log.WarnContext(ctx, "looking after the reader of the next topic", "topic", b.topic, "group", b.group, "error", err)
	case behind && !b.held:
		b.log.WarnContext(ctx, "waiting for the reader of the next topic: a record that it has not read is older than a quarter of the topic's retention. If no such group is there, its name is set differently here", "topic", b.topic, "group", b.group)
	case !behind && b.held:
		b.log.WarnContext(ctx, "going on: the reader of the next topic has come nearer", "topic", b.topic, "group", b.group)
	}
	if err == nil {
		b.held = behind
		b.hold(behind)
	}
}

// behind reports whether a record that the group has not read is older than a quarter
// of the topic's retention.
func (b *backlog) behind(ctx context.Context, now time.Time) (bool, error) {
	retention, err := kafka.Retention(ctx, b.adm, b.topic)
	if err != nil || retention <= 0 {
		return false, err
	}
	committed, err := b.adm.FetchOffsetsForTopics(ctx, b.group, b.topic)
	if err != nil && !errors.Is(err, kerr.GroupIDNotFound) { // a new group has read nothing
		return false, fmt.Errorf("reading its offsets: %w", err)
	}
	starts, err := b.adm.ListStartOffsets(ctx, b.topic)
	if err = errors.Join(err, starts.Error()); err != nil {
		return false, fmt.Errorf("reading the topic's start: %w", err)
	}
	// The first record of each partition that is younger, or its end.
	young, err := b.adm.ListOffsetsAfterMilli(ctx, now.Add(-retention/4).UnixMilli(), b.topic)
	if err = errors.Join(err, young.Error()); err != nil {
		return false, fmt.Errorf("reading the topic's ages: %w", err)
	}
	behind := false
	young.Each(func(o kadm.ListedOffset) {
		start, _ := starts.Lookup(o.Topic, o.Partition)
		next := start.Offset
		if c, ok := committed.Lookup(o.Topic, o.Partition); ok {
			next = max(next, kafka.Finished(c))
		}
		behind = behind || next < o.Offset
	})
	return behind, nil
}
