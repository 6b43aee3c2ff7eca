package stage

import (
	"context"
	"errors"
	"log/slog"
	"sync"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/freshet-io/freshet/libs/fault"
)

// sender produces records and waits for their acknowledgement.
type sender struct {
	client *kgo.Client
	log    *slog.Logger
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
func (s *sender) produce(ctx context.Context, halted <-chan struct{}, records []*kgo.Record, p patience) (tooLarge map[int]bool, err error) {
	tooLarge = map[int]bool{}
	for from, wait := 0, firstWait; from < len(records); wait = min(2*wait, longWait) {
		errs := s.once(ctx, records[from:])
		failed := -1
		for i, err := range errs {
			if errors.Is(err, kerr.MessageTooLarge) {
				tooLarge[from+i] = true
			} else if err != nil {
				failed = i
				break
			}
		}
		if failed < 0 {
			return tooLarge, nil
		}
		cause := errs[failed]
		from += failed
		if err := produceFault(records[from].Topic, cause); err != nil && p == impatient {
			return nil, err
		}
		if ctx.Err() != nil {
			return nil, errGivenUp
		}
		s.log.WarnContext(ctx, "producing again from the first record that failed", "topic", records[from].Topic, "records", len(records)-from, "error", cause)
		if !sleep(ctx, halted, wait) {
			return nil, errGivenUp
		}
	}
	return tooLarge, nil
}

// once hands records to the client in order and waits for all of them.
func (s *sender) once(ctx context.Context, records []*kgo.Record) []error {
	errs := make([]error, len(records))
	var wg sync.WaitGroup
	wg.Add(len(records))
	for i, r := range records {
		// A record that was sent before carries what the client wrote into it.
		again := &kgo.Record{Topic: r.Topic, Partition: r.Partition, Key: r.Key, Value: r.Value, Headers: r.Headers}
		s.client.Produce(ctx, again, func(done *kgo.Record, err error) {
			errs[i] = err
			r.Offset = done.Offset
			wg.Done()
		})
	}
	wg.Wait()
	return errs
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
