package stage

import (
	"context"
	"errors"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/freshet-io/freshet/libs/fault"
)

const (
	pollRecords = 5000                  // handed over at a time
	pollWait    = time.Second           // how long a poll waits for records; what else the loop does waits as long
	fullWait    = 20 * time.Millisecond // between looks at queues that are full
	wakeEvery   = time.Second           // see wake
)

// poll hands records to their workers until ctx ends.
func (m *members) poll(ctx context.Context, client *kgo.Client, beat func()) error {
	woken := time.Now()
	for ctx.Err() == nil {
		beat()
		if time.Since(woken) > wakeEvery {
			wake(client)
			woken = time.Now()
		}
		if m.queued.Load() > m.settings.QueueBytes {
			m.rewindAll(client) // also where what is queued waits for just that
			sleep(ctx, nil, fullWait)
			continue
		}
		wait, cancel := context.WithTimeout(ctx, pollWait)
		fetches := client.PollRecords(wait, pollRecords)
		cancel()
		err := m.deliver(fetches)
		m.rewindAll(client)
		client.AllowRebalance()
		if err != nil {
			return err
		}
	}
	return nil
}

// wake has the client look at every broker for something to fetch. franz-go 1.22.3 does that by itself, but for a hole:
// where a session of fetching ends in the moment that its work begins, the next session's call is forgotten, and nothing
// is read from that broker for ever (source.loopFetch). Three SetOffsets in a row are enough.
func wake(client *kgo.Client) { client.ResumeFetchTopics() }

// rewindAll has the client read again from where workers ask for. It runs between a
// delivery and the next poll, so that no record of before comes after, and while no
// rebalance can.
func (m *members) rewindAll(client *kgo.Client) {
	for {
		select {
		case r := <-m.rewinds:
			if r.worker.isDisowned() {
				continue
			}
			client.SetOffsets(r.to)
			r.worker.rewound()
		default:
			return
		}
	}
}

func (m *members) deliver(fetches kgo.Fetches) error {
	var failed error
	fetches.EachError(func(topic string, partition int32, err error) {
		if failed == nil {
			failed = m.fetchFault(topic, partition, err)
		}
	})
	if failed != nil {
		return failed
	}
	fetches.EachTopic(func(t kgo.FetchTopic) {
		for _, p := range t.Partitions {
			if len(p.Records) == 0 {
				continue
			}
			if w := m.worker(t.Topic, p.Partition); w != nil {
				w.push(t.Topic, t.TopicID, p.Records, p.HighWatermark)
			}
		}
	})
	return nil
}

// fetchFault turns what the client could not read into a fault, or into nil where
// the client goes on by itself.
func (m *members) fetchFault(topic string, partition int32, err error) error {
	_, lost := errors.AsType[*kgo.ErrDataLoss](err)
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled), errors.Is(err, kgo.ErrClientClosed):
		return nil
	case errors.Is(err, kerr.OffsetOutOfRange), lost:
		return fault.Halt("group %s stands outside the log of %s, partition %d (%w): records were deleted before they were read, or the log was cut; nothing is reset by itself. Look at the log's range (`kafka-get-offsets`), then set the group's offset (`kafka-consumer-groups --reset-offsets`) and backfill what is missing", m.from.Group, topic, partition, err)
	case errors.Is(err, kerr.TopicAuthorizationFailed), errors.Is(err, kerr.GroupAuthorizationFailed), errors.Is(err, kerr.SaslAuthenticationFailed):
		return fault.Halt("Kafka refuses to let group %s read %s: %w", m.from.Group, topic, err)
	}
	if large, ok := errors.AsType[*kgo.ErrDecompressTooLarge](err); ok { // the client has given the partition up
		return fault.Halt("topic %s, partition %d: a batch is too large to unpack (%w): raise FRESHET_KAFKA_MAX_DECOMPRESSED_BYTES, or FRESHET_SOURCE_KAFKA_MAX_DECOMPRESSED_BYTES where the source cluster has settings of its own", topic, partition, large)
	}
	if group, ok := errors.AsType[*kgo.ErrGroupSession](err); ok {
		m.log.Warn("group session", "error", group)
		return nil
	}
	m.log.Warn("reading", "topic", topic, "partition", partition, "error", err)
	return nil
}
