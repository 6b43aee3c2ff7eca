package kafka

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/freshet-io/freshet/libs/fault"
	"github.com/freshet-io/freshet/libs/record"
)

// Versions answers what versions there are and which may still come. It is safe for concurrent use.
type Versions struct {
	topics Topics
	epoch  int32
	groups Groups
	client *kgo.Client
	adm    *kadm.Client
}

// OpenVersions connects. groups are those that bulk rows pass. The caller closes.
func (t Topics) OpenVersions(ctx context.Context, c Config, id Identity, groups Groups, log *slog.Logger) (*Versions, error) {
	client, err := Producer(ctx, c, t, true, log) // it makes no record; ReadControl wants the client's kind
	if err != nil {
		return nil, err
	}
	return &Versions{t, id.Epoch, groups, client, kadm.NewClient(client)}, nil
}

// Close ends the connection.
func (v *Versions) Close() { v.client.Close() }

// End returns the highest version that a partition of the live documents has given.
func (v *Versions) End(ctx context.Context, partition int32) (int64, error) {
	end, err := v.end(ctx, v.topics.DocumentsLive(), partition)
	if err != nil {
		return 0, err
	}
	first, err := record.Version(v.epoch, 0)
	return first + end - 1, err
}

// Open returns a version that every bulk row which may still come to a partition reaches;
// math.MaxInt64 where none may. A row of a job that begins later has the version of a marker that
// is not written yet, and so a higher one than all that there is.
//
// The order of the questions matters: a row moves from a job to the one topic, and on to the other,
// so what was not seen there when the last one was asked for is nowhere.
func (v *Versions) Open(ctx context.Context, partition int32) (int64, error) {
	open, err := v.jobs(ctx, partition)
	if err != nil {
		return 0, err
	}
	for _, lane := range []struct{ topic, group string }{
		{v.topics.DocumentsBulk(), v.groups.EmbedBulk()}, {v.topics.VectorsBulk(), v.groups.Write},
	} {
		unread, err := v.unread(ctx, lane.topic, lane.group, partition)
		if err != nil {
			return 0, err
		}
		if unread { // of what version, nobody has looked
			return 0, nil
		}
	}
	return open, nil
}

// jobs returns the lowest version that a row of an unfinished backfill may have.
func (v *Versions) jobs(ctx context.Context, partition int32) (int64, error) {
	control, err := ReadControl(ctx, v.client, v.topics)
	if err != nil {
		return 0, err
	}
	open := int64(math.MaxInt64)
	for _, c := range control.Checkpoints {
		switch stamps := c.GetStamps(); {
		case c.GetDone():
		case int(partition) < len(stamps):
			open = min(open, stamps[partition])
		default:
			open = 0
		}
	}
	return open, nil
}

// unread reports whether a partition has a record that a group has not committed.
func (v *Versions) unread(ctx context.Context, topic, group string, partition int32) (bool, error) {
	end, err := v.end(ctx, topic, partition)
	if err != nil || end == 0 {
		return false, err
	}
	committed, err := v.adm.FetchOffsetsForTopics(ctx, group, topic)
	if errors.Is(err, kerr.GroupIDNotFound) {
		return true, nil
	}
	at, ok := committed.Lookup(topic, partition)
	if err = errors.Join(err, at.Err); err != nil {
		return false, fmt.Errorf("reading the offsets of group %s: %w", group, err)
	}
	return !ok || Finished(at) < end, nil
}

func (v *Versions) end(ctx context.Context, topic string, partition int32) (int64, error) {
	ends, err := v.adm.ListEndOffsets(ctx, topic)
	if err = errors.Join(err, ends.Error()); err != nil {
		return 0, fmt.Errorf("reading the end of topic %s: %w", topic, err)
	}
	end, ok := ends.Lookup(topic, partition)
	if !ok {
		return 0, fmt.Errorf("topic %s has no partition %d", topic, partition)
	}
	return end.Offset, nil
}

// OutlivesLetters returns a fatal fault where tombstones would be swept while a dead letter of their
// item can still be redriven. A retention of 0 keeps them for ever.
func (v *Versions) OutlivesLetters(ctx context.Context, tombstones time.Duration) error {
	letters, err := Retention(ctx, v.adm, v.topics.DeadLetters())
	if err != nil || tombstones == 0 || letters >= 0 && tombstones >= letters {
		return err
	}
	return fault.Halt("FRESHET_WRITE_TOMBSTONE_RETENTION is %s, and %s keeps its records for %s: a letter that is redriven later would bring a deleted item back; raise it, or set it to 0, which keeps tombstones for ever", tombstones, v.topics.DeadLetters(), spoken(letters))
}

func spoken(retention time.Duration) string {
	if retention < 0 {
		return "ever"
	}
	return retention.String()
}

// Retention returns how long a topic keeps its records; it is negative for ever.
func Retention(ctx context.Context, adm *kadm.Client, topic string) (time.Duration, error) {
	configs, err := adm.DescribeTopicConfigs(ctx, topic)
	if err != nil {
		return 0, fmt.Errorf("reading the topic's settings: %w", err)
	}
	config, err := configs.On(topic, nil)
	if err = errors.Join(err, config.Err); err != nil {
		return 0, fmt.Errorf("reading the topic's settings: %w", err)
	}
	for _, kv := range config.Configs {
		if kv.Key == "retention.ms" {
			ms, err := strconv.ParseInt(kv.MaybeValue(), 10, 64)
			if err != nil {
				return 0, fmt.Errorf("reading the topic's retention.ms: %w", err)
			}
			return time.Duration(ms) * time.Millisecond, nil
		}
	}
	return 0, fault.Wait(0, "topic %s has no retention.ms", topic)
}
