package inspect

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/freshet-io/freshet/libs/kafka"
	"github.com/freshet-io/freshet/libs/record"
	"github.com/freshet-io/freshet/libs/stage"
)

const (
	// recentLetters is how many dead letters are kept in memory, about 500 bytes each.
	recentLetters = 10_000
	// letterMemory bounds them, too: keys of items and texts may be long, and a topic's headers are whoever's writes to it.
	letterMemory = 32 << 20
	// letterBytes bounds what one look at them reads: each has the value that failed.
	letterBytes = 256 << 20
)

// ReadLetters reads the dead letters from the topic's start to its present end, and returns the oldest ones in the order
// of their time. reason is one of fault's, or empty for all. The client is the cluster's, and stays the caller's.
func ReadLetters(ctx context.Context, c kafka.Config, client *kgo.Client, t kafka.Topics, reason string, limit int) ([]Letter, error) {
	spans, err := letterSpans(ctx, client, t.DeadLetters())
	if err != nil {
		return nil, err
	}
	letters := []Letter{}
	// Which are the oldest shows only at the end: partitions are read side by side.
	err = kafka.Scan(ctx, c, spans, slog.New(slog.DiscardHandler), func(r *kgo.Record) bool {
		if l := letterOf(r); reason == "" || l.Reason == reason {
			letters = append(letters, l)
		}
		return true
	})
	if err != nil {
		return nil, fmt.Errorf("reading topic %s: %w", t.DeadLetters(), err)
	}
	return oldest(letters, limit), nil
}

// oldest returns the first letters in the order of their time; those of one time stay as they are.
func oldest(letters []Letter, limit int) []Letter {
	slices.SortStableFunc(letters, func(a, b Letter) int { return a.At.Compare(b.At) })
	return letters[:min(len(letters), max(limit, 0))]
}

// letterSpans returns all that the topic of dead letters has.
func letterSpans(ctx context.Context, client *kgo.Client, topic string) ([]kafka.Span, error) {
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

func letterOf(r *kgo.Record) Letter {
	h := headersOf(r)
	l := Letter{
		At: r.Timestamp.UTC(), Stage: h[stage.HeaderLetterStage], Reason: h[stage.HeaderReason], Version: h[stage.HeaderLetterVersion],
		Source: h[stage.HeaderErrorTopic] + "/" + h[stage.HeaderErrorPartition] + "/" + h[stage.HeaderErrorOffset],
		Text:   h[stage.HeaderErrorText], Partition: r.Partition, Offset: r.Offset, key: h[stage.HeaderItemKey],
	}
	if item, err := record.ParseKey([]byte(l.key)); err == nil {
		l.Item = item.String()
	}
	return l
}

// headersOf returns the headers of a record; of several of one name the last one, which is Freshet's in a dead letter.
func headersOf(r *kgo.Record) map[string]string {
	h := make(map[string]string, len(r.Headers))
	for _, header := range r.Headers {
		h[header.Key] = string(header.Value)
	}
	return h
}

// letterbox keeps the newest dead letters, so that each look reads only what has come since.
type letterbox struct {
	mu      sync.Mutex
	letters []Letter // in the order of their time
	next    map[int32]int64
	kept    int64 // records that the topic has
	cut     bool  // there are older ones, which are not looked at
}

// look reads what has come, and returns the newest dead letters in the order of their time, and how many the topic has.
// cut says that it has older ones.
func (b *letterbox) look(ctx context.Context, c kafka.Config, client *kgo.Client, topic string) (letters []Letter, kept int64, cut bool, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	spans, err := letterSpans(ctx, client, topic)
	if err != nil {
		return nil, 0, false, err
	}
	b.kept = 0
	for i := range spans {
		s := &spans[i]
		b.kept += s.To - s.From
		next, seen := b.next[s.Partition]
		if newest := s.To - recentLetters/int64(len(spans)); !seen && newest > s.From {
			s.From, b.cut = newest, true
		}
		if seen && next <= s.To { // a topic that was made anew begins again
			s.From = max(s.From, next)
		}
	}
	if b.next == nil {
		b.next = map[int32]int64{}
	}
	size := 0
	err = kafka.Scan(ctx, c, spans, slog.New(slog.DiscardHandler), func(r *kgo.Record) bool {
		b.letters = append(b.letters, letterOf(r))
		b.next[r.Partition] = r.Offset + 1
		size += len(r.Value)
		for _, h := range r.Headers {
			size += len(h.Value)
		}
		return size < letterBytes
	})
	if err != nil {
		return nil, 0, false, fmt.Errorf("reading topic %s: %w", topic, err)
	}
	slices.SortStableFunc(b.letters, func(x, y Letter) int { return x.At.Compare(y.At) })
	if kept := newest(b.letters); len(kept) < len(b.letters) {
		b.letters, b.cut = slices.Clone(kept), true
	}
	return slices.Clone(b.letters), b.kept, b.cut || size >= letterBytes, nil
}

// newest returns the last of letters, as many as are kept.
func newest(letters []Letter) []Letter {
	room := letterMemory
	for n, l := range slices.Backward(letters) {
		if room -= len(l.Text) + len(l.Item) + len(l.key) + len(l.Source) + len(l.Reason) + len(l.Stage); room < 0 || len(letters)-n > recentLetters {
			return letters[n+1:]
		}
	}
	return letters
}

// countLetters counts those since a time by stage and reason, the most frequent first.
func countLetters(letters []Letter, since time.Time) (counts []LetterCount, total int64) {
	by := map[[2]string]*LetterCount{}
	for _, l := range letters {
		if l.At.Before(since) {
			continue
		}
		of := [2]string{l.Stage, l.Reason}
		if by[of] == nil {
			by[of] = &LetterCount{Stage: l.Stage, Reason: l.Reason}
		}
		by[of].Count++
		by[of].Last = l.At
		total++
	}
	counts = []LetterCount{}
	for _, c := range by {
		counts = append(counts, *c)
	}
	slices.SortFunc(counts, func(a, b LetterCount) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Stage, b.Stage), cmp.Compare(a.Reason, b.Reason))
	})
	return counts, total
}
