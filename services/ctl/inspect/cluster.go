package inspect

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/freshet-io/freshet/libs/kafka"
)

const (
	// connectBound is how long a server may take to answer for the first time. What does not is said to be away.
	connectBound = 5 * time.Second
	// askBound is how long it may take for what is asked then.
	askBound = 2 * connectBound
	// tryAgain is after how long a server that was away is tried again: one answer must not wait for it at each question.
	tryAgain = 2 * time.Second
)

var quiet = slog.New(slog.DiscardHandler)

// server is a connection that is opened when it is first asked for.
type server[C any] struct {
	name  string
	open  func(context.Context) (C, error)
	close func(C)

	mu     sync.Mutex
	client *C
	failed error
	at     time.Time // of the failure
}

// get returns the client. Its error names the server.
func (s *server[C]) get(ctx context.Context) (client C, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.client != nil:
		return *s.client, nil
	case s.failed != nil && time.Since(s.at) < tryAgain:
		return client, s.failed
	}
	opening, cancel := context.WithTimeout(ctx, connectBound)
	defer cancel()
	if client, err = s.open(opening); err == nil {
		s.client = &client
		return client, nil
	}
	if ctx.Err() != nil { // who has asked does not wait any more: that says nothing to others
		return client, fmt.Errorf("%s: %w", s.name, err)
	}
	if errors.Is(err, context.DeadlineExceeded) {
		err = fmt.Errorf("it does not answer within %s: %w", connectBound, err)
	}
	s.at, s.failed = time.Now(), fmt.Errorf("%s: %w", s.name, err)
	return client, s.failed
}

func (s *server[C]) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.client != nil {
		s.close(*s.client)
	}
	s.client = nil
}

// cluster is a Kafka whose records are read as a member of no group.
type cluster struct {
	server[*kgo.Client]

	cfg kafka.Config
}

func newCluster(cfg kafka.Config) *cluster {
	c := &cluster{cfg: cfg}
	c.name, c.close = "Kafka at "+strings.Join(cfg.Brokers, ","), (*kgo.Client).Close
	c.open = func(ctx context.Context) (*kgo.Client, error) { return cfg.Connect(ctx, quiet) }
	return c
}

// scan hands over the records of spans, as kafka.Scan does.
func (c *cluster) scan(ctx context.Context, spans []kafka.Span, take func(*kgo.Record) bool) error {
	return kafka.Scan(ctx, c.cfg, spans, quiet, take)
}

// WholeTopic returns all that a topic has now, a span for each partition.
func WholeTopic(ctx context.Context, client *kgo.Client, topic string) ([]kafka.Span, error) {
	adm := kadm.NewClient(client)
	ends, err := adm.ListEndOffsets(ctx, topic)
	if err = errors.Join(err, ends.Error()); err != nil {
		return nil, fmt.Errorf("reading the end of topic %s: %w", topic, err)
	}
	starts, err := adm.ListStartOffsets(ctx, topic)
	if err = errors.Join(err, starts.Error()); err != nil {
		return nil, fmt.Errorf("reading the start of topic %s: %w", topic, err)
	}
	var spans []kafka.Span
	ends.Each(func(end kadm.ListedOffset) {
		start, _ := starts.Lookup(topic, end.Partition)
		spans = append(spans, kafka.Span{Topic: topic, Partition: end.Partition, From: start.Offset, To: end.Offset})
	})
	return spans, nil
}

// lane is a stage and what it reads.
type lane struct {
	stage, group string
	topics       []string
	cluster      *cluster
}

func (l lane) stand(ctx context.Context) (kafka.Standing, error) {
	client, err := l.cluster.get(ctx)
	if err != nil {
		return kafka.Standing{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, askBound)
	defer cancel()
	return kafka.Stand(ctx, client, l.group, l.topics...)
}

// heads returns when the first unfinished records came to their partitions. While it waits for those of one, which may be of
// an open transaction, it reads little of the others, and not all of a backlog.
func (c *cluster) heads(ctx context.Context, partitions []kafka.Position) (map[Place]time.Time, error) {
	heads, waits := map[Place]time.Time{}, map[Place]bool{}
	var spans []kafka.Span
	for _, p := range partitions {
		if p.Unfinished() > 0 {
			waits[Place{Topic: p.Topic, Partition: p.Partition}] = true
			spans = append(spans, kafka.Span{Topic: p.Topic, Partition: p.Partition, From: p.Done(), To: min(p.End, p.Done()+nearRecords)})
		}
	}
	err := c.scan(ctx, spans, func(r *kgo.Record) bool {
		of := Place{Topic: r.Topic, Partition: r.Partition}
		if waits[of] {
			delete(waits, of)
			heads[placeOf(r)] = r.Timestamp.UTC()
		}
		return len(waits) > 0
	})
	return heads, err
}
