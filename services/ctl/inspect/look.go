package inspect

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/freshet-io/freshet/libs/kafka"
)

// look is where all stages were at a time, and what their metrics said.
type look struct {
	at        time.Time
	lanes     []lane
	standings map[string]kafka.Standing // by stage; none of those whose cluster does not answer
	scraped   *scrape
	unknown   []string // beside what scraped has
}

// look looks at the groups and the admin ports.
func (i *Inspector) look(ctx context.Context) *look {
	l := &look{at: time.Now().UTC(), standings: map[string]kafka.Standing{}}
	sources, err := i.sourceTopics(ctx)
	if err != nil {
		l.unknown = append(l.unknown, "the source topics of patterns: "+err.Error())
	}
	l.lanes = i.lanes(sources)
	var mu sync.Mutex
	var looking sync.WaitGroup
	looking.Go(func() { l.scraped = i.scrapeAll(ctx) })
	for _, of := range l.lanes {
		looking.Go(func() {
			s, err := i.stand(ctx, of)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				l.unknown = append(l.unknown, fmt.Sprintf("where %s is: %v", of.stage, err))
				return
			}
			l.standings[of.stage] = s
		})
	}
	looking.Wait()
	slices.Sort(l.unknown)
	return l
}

func (i *Inspector) stand(ctx context.Context, l lane) (kafka.Standing, error) {
	client, err := i.client(ctx, l.source)
	if err != nil {
		return kafka.Standing{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, 2*connectBound)
	defer cancel()
	return kafka.Stand(ctx, client, l.group, l.topics...)
}

func (i *Inspector) client(ctx context.Context, source bool) (*kgo.Client, error) {
	if source {
		return i.sources(ctx)
	}
	return i.kafka(ctx)
}

// answers reports whether the cluster that a stage reads has answered.
func (l *look) answers(stage string) bool {
	_, ok := l.standings[stage]
	return ok
}

// position returns where a stage is in a partition; nil where that is not known.
func (l *look) position(stage, topic string, partition int32) *kafka.Position {
	all := l.standings[stage].Partitions
	for n := range all {
		if all[n].Topic == topic && all[n].Partition == partition {
			return &all[n]
		}
	}
	return nil
}

// moved reports whether a stage has finished something of a partition since an earlier look, or has had nothing to do.
func moved(earlier *look, stage string, p *kafka.Position) bool {
	was := earlier.position(stage, p.Topic, p.Partition)
	return was == nil || was.Next != p.Next || !slices.Equal(was.Owed, p.Owed) || p.Unfinished() == 0
}

// stands reports whether a partition that has something to read has not moved since an earlier look.
func (l *look) stands(earlier *look) bool {
	for stage, s := range l.standings {
		if s.Members == 0 {
			continue // which says enough
		}
		for n := range s.Partitions {
			if p := &s.Partitions[n]; p.Next < p.End && !moved(earlier, stage, p) {
				return true
			}
		}
	}
	return false
}

// heads returns when the first unfinished records came to their partitions. While it waits for those of one, which may be of
// an open transaction, it reads little of the others, and not all of a backlog.
func (i *Inspector) heads(ctx context.Context, l lane, stands kafka.Standing) (map[Place]time.Time, error) {
	heads, waits := map[Place]time.Time{}, map[Place]bool{}
	var spans []kafka.Span
	for _, p := range stands.Partitions {
		if p.Unfinished() > 0 {
			waits[Place{Topic: p.Topic, Partition: p.Partition}] = true
			spans = append(spans, kafka.Span{Topic: p.Topic, Partition: p.Partition, From: p.Done(), To: min(p.End, p.Done()+nearRecords)})
		}
	}
	err := i.scan(ctx, l.source, spans, func(r *kgo.Record) bool {
		of := Place{Topic: r.Topic, Partition: r.Partition}
		if waits[of] {
			delete(waits, of)
			of.Offset = r.Offset
			heads[of] = r.Timestamp.UTC()
		}
		return len(waits) > 0
	})
	return heads, err
}

// scan reads spans of one of the clusters.
func (i *Inspector) scan(ctx context.Context, source bool, spans []kafka.Span, take func(*kgo.Record) bool) error {
	c := i.cfg.Kafka
	if source {
		c = i.cfg.Source.Kafka
	}
	return kafka.Scan(ctx, c, spans, i.log, take)
}

// looks keeps the looks of the last minutes, for rates.
type looks struct {
	mu   sync.Mutex
	past []*look // oldest first
}

const (
	leastWindow = time.Second // between two looks that are compared
	mostWindow  = time.Minute
	lookTwice   = 2 * time.Second
	// stuckLook is for how long a partition must be seen not to move: a batch takes its time, and a commit a second.
	stuckLook = 10 * time.Second
)

// pair returns the present look and the one before, and the oldest of the last minute: what there is of it, and where
// there is none, one that it makes 2 s before.
func (i *Inspector) pair(ctx context.Context) (oldest, earlier, now *look, err error) {
	i.looks.mu.Lock()
	defer i.looks.mu.Unlock()
	past := slices.DeleteFunc(i.looks.past, func(l *look) bool { return time.Since(l.at) > mostWindow })
	wait := time.Duration(0)
	if len(past) == 0 {
		past, wait = append(past, i.look(ctx)), lookTwice
	}
	earlier = past[len(past)-1]
	if wait = max(wait, leastWindow) - time.Since(earlier.at); wait > 0 {
		select {
		case <-ctx.Done():
			return nil, nil, nil, fmt.Errorf("looking twice: %w", ctx.Err())
		case <-time.After(wait):
		}
	}
	now = i.look(ctx)
	if wait := stuckLook - now.at.Sub(past[0].at); wait > 0 && now.stands(past[0]) {
		past = append(past, now)
		select {
		case <-ctx.Done():
			return nil, nil, nil, fmt.Errorf("looking twice: %w", ctx.Err())
		case <-time.After(wait):
		}
		earlier, now = now, i.look(ctx)
	}
	i.looks.past = append(past, now)
	return past[0], earlier, now, nil
}
