package bench

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// trickle sends records one by one, so many a second, and returns, sorted, how long each took until what a service made of
// it could be read in a topic, where it has one of the keys.
func (b *bed) trickle(ctx context.Context, to string, perSecond time.Duration, keys []string, send func(i int) error) ([]time.Duration, error) {
	reader, err := b.readerFromEnd(ctx, to)
	if err != nil {
		return nil, err
	}
	defer reader.Close()
	var sent sync.Map // time, by key
	took := make([]time.Duration, 0, len(keys))
	err = during(ctx, func(ctx context.Context) error {
		for len(took) < len(keys) {
			fetches := reader.PollFetches(ctx)
			if err := fetches.Err0(); err != nil {
				return fmt.Errorf("reading %s: %w", to, err)
			}
			now := time.Now()
			fetches.EachRecord(func(r *kgo.Record) {
				if at, ok := sent.Load(string(r.Key)); ok {
					took = append(took, now.Sub(at.(time.Time)))
				}
			})
		}
		return nil
	}, func(ctx context.Context) error {
		return paced(ctx, len(keys), perSecond, func(i int) error {
			sent.Store(keys[i], time.Now())
			return send(i)
		})
	})
	slices.Sort(took)
	return took, err
}

// readerFromEnd reads what is added to a topic from now on. The caller closes it.
func (b *bed) readerFromEnd(ctx context.Context, topic string) (*kgo.Client, error) {
	ends, err := kadm.NewClient(b.client).ListEndOffsets(ctx, topic)
	if err := errors.Join(err, ends.Error()); err != nil {
		return nil, fmt.Errorf("reading the end of topic %s: %w", topic, err)
	}
	reader, err := kgo.NewClient(append(b.client.Opts(), kgo.ConsumePartitions(ends.KOffsets()))...)
	if err != nil {
		return nil, fmt.Errorf("opening a reader of topic %s: %w", topic, err)
	}
	return reader, nil
}
