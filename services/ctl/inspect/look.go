package inspect

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/freshet-io/freshet/libs/kafka"
)

// look is where all stages were at a time, and what their metrics said.
type look struct {
	metrics
	notes

	at        time.Time
	lanes     []lane
	standings map[string]kafka.Standing // by stage; none of those whose cluster does not answer
}

// look looks at the groups and the admin ports.
func (i *Inspector) look(ctx context.Context) *look {
	l := &look{at: time.Now().UTC(), standings: map[string]kafka.Standing{}}
	sources, err := i.sourceTopics(ctx)
	if err != nil {
		l.note("the source topics of patterns: %v", err)
	}
	l.lanes = i.lanes(sources)
	standings := make([]*kafka.Standing, len(l.lanes))
	var looking sync.WaitGroup
	looking.Go(func() { l.metrics = i.scrape(ctx, &l.notes) })
	for n, of := range l.lanes {
		looking.Go(func() {
			if s, err := of.stand(ctx); err != nil {
				l.note("where %s is: %v", of.stage, err)
			} else {
				standings[n] = &s
			}
		})
	}
	looking.Wait()
	for n, s := range standings {
		if s != nil {
			l.standings[l.lanes[n].stage] = *s
		}
	}
	return l
}

func (l *look) lane(stage string) lane {
	for _, of := range l.lanes {
		if of.stage == stage {
			return of
		}
	}
	return lane{}
}

// position returns where a stage is in a partition; nil where that is not known.
func (l *look) position(stage, topic string, partition int32) *kafka.Position {
	all := l.standings[stage].Partitions
	n := slices.IndexFunc(all, func(p kafka.Position) bool { return p.Topic == topic && p.Partition == partition })
	if n < 0 {
		return nil
	}
	return &all[n]
}

// moved reports whether a stage has finished something of a partition since an earlier look, or has had nothing to do.
func moved(earlier *look, stage string, p *kafka.Position) bool {
	was := earlier.position(stage, p.Topic, p.Partition)
	return was == nil || was.Next != p.Next || !slices.Equal(was.Owed, p.Owed) || p.Unfinished() == 0
}

// stands reports whether a partition that has something to read has not moved since an earlier look.
func (l *look) stands(earlier *look) bool {
	for stage, s := range l.standings {
		for n := range s.Partitions {
			if p := &s.Partitions[n]; s.Members > 0 && p.Next < p.End && !moved(earlier, stage, p) {
				return true
			}
		}
	}
	return false
}

// looks keeps the looks of the last minute, oldest first, for rates.
type looks struct {
	mu   sync.Mutex
	past []*look
}

const (
	leastWindow = time.Second // between two looks that are compared
	mostWindow  = time.Minute
	lookTwice   = 2 * time.Second
	// stuckLook is for how long a partition must be seen not to move: a batch takes its time, and a commit a second.
	stuckLook = 10 * time.Second
)

// window is the present look, the one before, and the oldest of the last minute.
type window struct{ oldest, earlier, now *look }

// seconds is never 0: an answer that was cut short has one look.
func (w window) seconds() float64 { return max(w.now.at.Sub(w.earlier.at).Seconds(), 0.001) }

// rate returns by how much a metric grows a second; ok is false where none shows it.
func (w window) rate(name string, pairs ...string) (perSecond float64, ok bool) {
	now, ok := w.now.sum(name, pairs...)
	then, _ := w.earlier.sum(name, pairs...)
	return max(now-then, 0) / w.seconds(), ok
}

// window looks once more, and waits before where that is too soon. Where there is no look of the last minute it makes one, 2 s
// before; where a partition does not move it looks long enough to tell whether that is stuck.
func (i *Inspector) window(ctx context.Context) (window, error) {
	i.looks.mu.Lock()
	defer i.looks.mu.Unlock()
	past, least := slices.DeleteFunc(i.looks.past, func(l *look) bool { return time.Since(l.at) > mostWindow }), leastWindow
	if len(past) == 0 {
		past, least = append(past, i.look(ctx)), lookTwice
	}
	oldest := past[0]
	for {
		earlier := past[len(past)-1]
		if err := sleep(ctx, least-time.Since(earlier.at)); err != nil {
			return window{}, fmt.Errorf("looking twice: %w", err)
		}
		now := i.look(ctx)
		past = append(past, now)
		if now.at.Sub(oldest.at) >= stuckLook || !now.stands(oldest) {
			i.looks.past = past
			return window{oldest, earlier, now}, nil
		}
		least = stuckLook - now.at.Sub(oldest.at)
	}
}

// sleep returns after a time, or with the error of ctx when that ends.
func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
