package stage

import (
	"context"
	"errors"
	"log/slog"
	"sync"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/freshet-io/freshet/libs/fault"
	"github.com/freshet-io/freshet/libs/kafka"
)

// sender produces records and waits for their acknowledgement.
type sender struct {
	client producer
	topics kafka.Topics
	log    *slog.Logger
}

// producer is what a sender needs of *kgo.Client.
type producer interface {
	Produce(ctx context.Context, r *kgo.Record, promise func(*kgo.Record, error))
}

// patience says what a topic that does not exist, or that refuses us, means.
type patience bool

const (
	impatient patience = false // a fatal fault
	// patient waits: a stage can do nothing with a bad record but to keep it until the
	// dead letters are there again.
	patient patience = true
)

// produce returns when every record is acknowledged or found too large for its
// topic; tooLarge holds the indexes of the latter. Where one fails otherwise, that
// one and all after it are sent again: sent alone, an item's older state would be
// acknowledged after its newer one, and win.
func (s *sender) produce(t tenure, records []*kgo.Record, p patience) (tooLarge map[int]bool, err error) {
	tooLarge = map[int]bool{}
	alone, again, refused := false, false, 0
	for from, wait := 0, firstWait; from < len(records); again = true {
		n := len(records) - from
		if alone {
			n = 1
		}
		done, cause := s.once(t.ctx, records[from:from+n], again)
		from += done
		switch {
		case cause == nil:
			wait, refused = firstWait, 0
			continue
		case errors.Is(cause, kerr.MessageTooLarge) && !alone:
			// A broker refuses a whole batch: only a record that is alone is found guilty.
			alone = true
			continue
		case errors.Is(cause, kerr.MessageTooLarge):
			// The client may have put it into one batch with a record of another partition.
			if refused++; refused == mostRefusals || s.exceeds(records[from]) {
				tooLarge[from] = true
				from, refused, wait = from+1, 0, firstWait
				continue
			}
		}
		if err := produceFault(records[from].Topic, cause); err != nil && p == impatient {
			return nil, err
		}
		if t.ctx.Err() != nil {
			return nil, errGivenUp
		}
		s.log.WarnContext(t.ctx, "producing again from the first record that failed", "topic", records[from].Topic, "records", len(records)-from, "error", cause)
		if !t.sleep(wait) {
			return nil, errGivenUp
		}
		wait = min(2*wait, longWait)
	}
	return tooLarge, nil
}

// mostRefusals is how often a record that was sent alone must be refused for its size.
const mostRefusals = 5

// exceeds reports whether the record is by itself larger than its topic takes.
func (s *sender) exceeds(r *kgo.Record) bool {
	size := len(r.Key) + len(r.Value)
	for _, h := range r.Headers {
		size += len(h.Key) + len(h.Value)
	}
	return size > int(s.topics.MaxBytes(r.Topic))
}

// once hands records to the client in order and waits for all of them. It returns how
// many stand before the first that failed, and why that one did.
func (s *sender) once(ctx context.Context, records []*kgo.Record, again bool) (acknowledged int, cause error) {
	sent := records
	if again {
		sent = fresh(records)
	}
	var mu sync.Mutex
	failed := map[*kgo.Record]error{}
	var wg sync.WaitGroup
	wg.Add(len(sent))
	promise := func(r *kgo.Record, err error) {
		if err != nil {
			mu.Lock()
			failed[r] = err
			mu.Unlock()
		}
		wg.Done()
	}
	for _, r := range sent {
		s.client.Produce(ctx, r, promise)
	}
	wg.Wait()
	for i, r := range sent {
		if failed[r] != nil {
			return i, failed[r]
		}
		records[i].Offset = r.Offset
	}
	return len(records), nil
}

// fresh returns records without what the client wrote into them when they were sent.
func fresh(records []*kgo.Record) []*kgo.Record {
	list := make([]*kgo.Record, len(records))
	for i, r := range records {
		list[i] = &kgo.Record{Topic: r.Topic, Partition: r.Partition, Key: r.Key, Value: r.Value, Headers: r.Headers}
	}
	return list
}

// produceFault returns a fatal fault for what no repetition cures.
func produceFault(topic string, err error) error {
	switch {
	case errors.Is(err, kerr.UnknownTopicOrPartition):
		return fault.Halt("topic %s does not exist: run `freshet topics apply`", topic)
	case errors.Is(err, kerr.TopicAuthorizationFailed), errors.Is(err, kerr.ClusterAuthorizationFailed), errors.Is(err, kerr.SaslAuthenticationFailed):
		return fault.Halt("Kafka refuses to let this client write to %s: %w", topic, err)
	}
	return nil
}
