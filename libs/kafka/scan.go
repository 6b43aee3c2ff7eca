package kafka

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Span is a part of a partition: the records from an offset on, below another one.
type Span struct {
	Topic     string
	Partition int32
	From, To  int64
}

// scanIdle is how long a scan waits for a next record: a span that ends with nothing but removed records, or in a
// transaction that is still open, would be waited for without end.
const scanIdle = 5 * time.Second

// Scan hands over the records of spans, those of each in their order, as a member of no group. It ends when all are
// read, when take returns false, or with an error, which it is, too, when nothing more comes: a broker that is away for a
// moment, or throttles, must not look like the end. Records of aborted transactions are left out.
func Scan(ctx context.Context, c Config, spans []Span, log *slog.Logger, take func(*kgo.Record) bool) error {
	left, offsets := unread{}, map[string]map[int32]kgo.Offset{}
	for _, s := range spans {
		if s.From >= s.To {
			continue
		}
		left[place{s.Topic, s.Partition}] = s.To
		if offsets[s.Topic] == nil {
			offsets[s.Topic] = map[int32]kgo.Offset{}
		}
		offsets[s.Topic][s.Partition] = kgo.NewOffset().At(s.From)
	}
	if len(left) == 0 {
		return nil
	}
	client, err := c.Connect(ctx, log, append(c.Limits.consumer(),
		kgo.ConsumePartitions(offsets),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), // what retention has removed meanwhile is not there to be read
		kgo.KeepControlRecords(),                          // a span may end with one
		kgo.FetchMaxWait(500*time.Millisecond),
	)...)
	if err != nil {
		return err
	}
	defer client.Close()
	for len(left) > 0 {
		fetches, err := pollWithin(ctx, client)
		if err == nil && fetches.Empty() {
			err = left.err()
		}
		if err != nil {
			return err
		}
		for it := fetches.RecordIter(); !it.Done(); {
			if !left.read(client, it.Next(), take) {
				return nil
			}
		}
	}
	return nil
}

type place struct {
	topic     string
	partition int32
}

// unread has the ends of the spans that are not read to their end.
type unread map[place]int64

// err says which spans are not read to their ends.
func (u unread) err() error {
	var places []string
	for of := range u {
		places = append(places, fmt.Sprintf("%s/%d", of.topic, of.partition))
	}
	slices.Sort(places)
	return fmt.Errorf("nothing more of %s came from Kafka within %s: it is slow, or a transaction there is still open", strings.Join(places, ", "), scanIdle)
}

// read hands over a record of a span, and reports whether more are wanted.
func (u unread) read(client *kgo.Client, r *kgo.Record, take func(*kgo.Record) bool) bool {
	of := place{r.Topic, r.Partition}
	end, reading := u[of]
	if reading && r.Offset+1 >= end {
		delete(u, of)
		client.PauseFetchPartitions(map[string][]int32{r.Topic: {r.Partition}})
	}
	return !reading || r.Offset >= end || r.Attrs.IsControl() || take(r)
}

// pollWithin returns no records where none has come for a while.
func pollWithin(ctx context.Context, client *kgo.Client) (kgo.Fetches, error) {
	waiting, cancel := context.WithTimeout(ctx, scanIdle)
	defer cancel()
	fetches := client.PollFetches(waiting)
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("reading records: %w", err)
	}
	if waiting.Err() != nil {
		return nil, nil
	}
	if err := fetches.Err(); err != nil {
		return nil, fmt.Errorf("reading records: %w", err)
	}
	return fetches, nil
}
