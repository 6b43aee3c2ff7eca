package inspect

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

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
	// letterSince is how far back dead letters are counted.
	letterSince = 24 * time.Hour
)

// Letter is a dead letter.
type Letter struct {
	At        time.Time `json:"at"`
	Stage     string    `json:"stage"`
	Reason    string    `json:"reason"`
	Item      string    `json:"item,omitempty"`
	Version   string    `json:"version,omitempty"`
	Source    string    `json:"source"`          // topic/partition/offset of the failing stage's input
	Entry     string    `json:"entry,omitempty"` // stream and id of the entry of Redis that it was
	Text      string    `json:"text"`
	Partition int32     `json:"partition"` // of the letter itself, in the dead-letter topic
	Offset    int64     `json:"offset"`

	key string // of the item, as bytes; "" where it is not known
}

func letterOf(r *kgo.Record) Letter {
	theirs, own := splitHeaders(r)
	h, of := headersOf(own), headersOf(theirs)
	l := Letter{
		At: r.Timestamp.UTC(), Stage: h[stage.HeaderLetterStage], Reason: h[stage.HeaderReason], Version: h[stage.HeaderLetterVersion],
		Source: h[stage.HeaderErrorTopic] + "/" + h[stage.HeaderErrorPartition] + "/" + h[stage.HeaderErrorOffset],
		Text:   h[stage.HeaderErrorText], Partition: r.Partition, Offset: r.Offset, key: h[stage.HeaderItemKey],
	}
	if stream := of[record.HeaderRedisStream]; stream != "" {
		l.Entry = stream + " " + of[record.HeaderRedisID]
	}
	if item, err := record.ParseKey([]byte(l.key)); err == nil {
		l.Item = item.String()
	}
	return l
}

// said returns the letter's text without its reason.
func (l *Letter) said() string { return strings.TrimPrefix(l.Text, l.Reason+": ") }

func (l *Letter) isSame(other *Letter) bool {
	return l.Partition == other.Partition && l.Offset == other.Offset
}

// splitHeaders parts the headers of a dead letter: those of the record that failed, whose producer may have given them any names,
// and those of the stage behind them.
func splitHeaders(letter *kgo.Record) (theirs, own []kgo.RecordHeader) {
	for n, h := range slices.Backward(letter.Headers) {
		if h.Key == stage.HeaderErrorTopic {
			return letter.Headers[:n], letter.Headers[n:]
		}
	}
	return letter.Headers, nil
}

// headersOf returns headers by their names; of several of one name the last one.
func headersOf(list []kgo.RecordHeader) map[string]string {
	h := make(map[string]string, len(list))
	for _, header := range list {
		h[header.Key] = string(header.Value)
	}
	return h
}

// ReadLetters reads the dead letters from the topic's start to its present end, and returns the oldest ones in the order
// of their time, and how many there are. reason is one of fault's, or empty for all; limit 0 is no limit. The client is the
// cluster's, and stays the caller's.
func ReadLetters(ctx context.Context, c kafka.Config, client *kgo.Client, t kafka.Topics, reason string, limit int) (letters []Letter, all int, err error) {
	spans, err := WholeTopic(ctx, client, t.DeadLetters())
	if err != nil {
		return nil, 0, err
	}
	letters = []Letter{}
	// Which are the oldest shows only at the end: partitions are read side by side.
	err = kafka.Scan(ctx, c, spans, quiet, func(r *kgo.Record) bool {
		if l := letterOf(r); reason == "" || l.Reason == reason {
			letters = append(letters, l)
		}
		return true
	})
	if err != nil {
		return nil, 0, fmt.Errorf("reading topic %s: %w", t.DeadLetters(), err)
	}
	if limit == 0 {
		limit = len(letters)
	}
	return oldest(letters, limit), len(letters), nil
}

// oldest returns the first letters in the order of their time; those of one time stay as they are.
func oldest(letters []Letter, limit int) []Letter {
	slices.SortStableFunc(letters, func(a, b Letter) int { return a.At.Compare(b.At) })
	return letters[:min(len(letters), max(limit, 0))]
}

// letterbox keeps the newest dead letters, so that each look reads only what has come since.
type letterbox struct {
	mu      sync.Mutex
	letters []Letter // in the order of their time
	next    map[int32]int64
	kept    int64 // records that the topic has
	cut     bool  // there are older ones, which are not looked at
}

// recent returns the newest dead letters in the order of their time, and how many the topic has. cut says that it has older
// ones.
func (i *Inspector) recent(ctx context.Context) (letters []Letter, kept int64, cut bool, err error) {
	client, err := i.own.get(ctx)
	if err != nil {
		return nil, 0, false, err
	}
	b, topic := &i.letters, i.cfg.Topics.DeadLetters()
	b.mu.Lock()
	defer b.mu.Unlock()
	spans, err := WholeTopic(ctx, client, topic)
	if err != nil {
		return nil, 0, false, err
	}
	b.skip(spans)
	size := 0
	err = i.own.scan(ctx, spans, func(r *kgo.Record) bool {
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
	all := oldest(b.letters, len(b.letters))
	b.letters = slices.Clone(newest(all))
	b.cut = b.cut || len(b.letters) < len(all)
	return slices.Clone(b.letters), b.kept, b.cut || size >= letterBytes, nil
}

// skip leaves out of spans what has been read, and what is too old.
func (b *letterbox) skip(spans []kafka.Span) {
	if b.next == nil {
		b.next = map[int32]int64{}
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

// Letters returns the newest dead letters, newest first. reason is one of fault's, or empty for all.
func (i *Inspector) Letters(ctx context.Context, reason string, limit int) ([]Letter, error) {
	letters, _, _, err := i.recent(ctx)
	if err != nil {
		return nil, err
	}
	slices.Reverse(letters)
	letters = slices.DeleteFunc(letters, func(l Letter) bool { return reason != "" && l.Reason != reason })
	return letters[:min(len(letters), max(limit, 0))], nil
}

// countLetters counts those of the last day by stage and reason, the most frequent first.
func (i *Inspector) countLetters(ctx context.Context, now time.Time) (*LetterCounts, error) {
	ctx, cancel := context.WithTimeout(ctx, scanTime)
	defer cancel()
	letters, kept, _, err := i.recent(ctx)
	if err != nil {
		return nil, err
	}
	all := &LetterCounts{Since: now.Add(-letterSince), Kept: kept, Counts: []LetterCount{}}
	for _, l := range letters {
		if l.At.Before(all.Since) {
			continue
		}
		all.Total++
		n := slices.IndexFunc(all.Counts, func(c LetterCount) bool { return c.Stage == l.Stage && c.Reason == l.Reason })
		if n < 0 {
			n = len(all.Counts)
			all.Counts = append(all.Counts, LetterCount{Stage: l.Stage, Reason: l.Reason})
		}
		all.Counts[n].Count++
		all.Counts[n].Last = l.At
	}
	slices.SortFunc(all.Counts, func(a, b LetterCount) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Stage, b.Stage), cmp.Compare(a.Reason, b.Reason))
	})
	return all, nil
}
