package chaos

import (
	"context"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/freshet-io/freshet/libs/record"
)

// observed is what an onlooker without any delay sees of the broker: every record at the
// moment of its append, and every commit that was accepted.
type observed struct {
	stop context.CancelFunc
	done sync.WaitGroup

	mu      sync.Mutex
	records []*logged
	commits []commit
}

// logged is a record of one of the pipeline's topics.
type logged struct {
	at        time.Duration
	topic     string
	partition int32
	offset    int64
	document  *record.Document // of a vector, its document
	vector    *record.Vector   // nil for documents
	letter    map[string]string
}

// commit is an offset that the broker has accepted.
type commit struct {
	at        time.Duration
	group     string
	topic     string
	partition int32
	offset    int64
}

func (w *world) observe() {
	ctx, cancel := context.WithCancel(w.t.Context())
	w.observed = &observed{stop: cancel}
	from := map[string]map[int32]kgo.Offset{}
	for _, topic := range []string{w.topics.DocumentsLive(), w.topics.DocumentsBulk(), w.topics.VectorsLive(), w.topics.VectorsBulk(), w.topics.DeadLetters()} {
		from[topic] = map[int32]kgo.Offset{}
		for p := range w.plan.partitions {
			from[topic][p] = kgo.NewOffset().AtStart()
		}
	}
	client, err := kgo.NewClient(kgo.SeedBrokers(w.cluster.ListenAddrs()...), kgo.Dialer(w.network.Host(0).Dial), kgo.ConsumePartitions(from), kgo.FetchMaxWait(time.Minute))
	if err != nil {
		w.t.Fatal(err)
	}
	w.observed.done.Go(func() {
		defer client.Close()
		for ctx.Err() == nil {
			client.PollFetches(ctx).EachRecord(w.see)
		}
	})
	w.watchCommits(ctx)
}

func (w *world) see(r *kgo.Record) {
	l := &logged{at: w.now(), topic: r.Topic, partition: r.Partition, offset: r.Offset}
	var err error
	switch r.Topic {
	case w.topics.DeadLetters():
		l.letter = map[string]string{}
		for _, h := range r.Headers {
			l.letter[h.Key] = string(h.Value)
		}
	case w.topics.VectorsLive(), w.topics.VectorsBulk():
		if l.vector, err = record.DecodeVector(r.Value); err == nil {
			l.document = l.vector.GetDocument()
		}
	default:
		l.document, err = record.DecodeDocument(r.Value)
	}
	if err != nil {
		w.report("readable", "", "%s partition %d offset %d: %v", r.Topic, r.Partition, r.Offset, err)
		return
	}
	w.observed.mu.Lock()
	defer w.observed.mu.Unlock()
	w.observed.records = append(w.observed.records, l)
}

// watchCommits looks at a group's offsets behind each request that may have changed them.
// A request alone says nothing: that of a member that was expelled is refused.
func (w *world) watchCommits(ctx context.Context) {
	asked := make(chan struct{}, 1)
	handle := w.cluster.Fault(kfake.Fault{
		Keys: []kmsg.Key{kmsg.OffsetCommit}, Count: -1,
		When: func(kmsg.Request) bool {
			select {
			case asked <- struct{}{}:
			default:
			}
			return false
		},
	})
	w.observed.done.Go(func() {
		defer handle.Remove()
		last := map[commit]int64{} // offsets, by all but time and offset
		for {
			select {
			case <-asked:
			case <-ctx.Done():
				return
			}
			if wait(ctx, time.Millisecond) != nil {
				return
			}
			for group := range w.groups() {
				w.seeCommits(group, last)
			}
		}
	})
}

func (w *world) seeCommits(group string, last map[commit]int64) {
	info := w.cluster.GroupInfo(group)
	if info == nil {
		return
	}
	w.observed.mu.Lock()
	defer w.observed.mu.Unlock()
	for topic, parts := range info.Commits {
		for p, c := range parts {
			key := commit{group: group, topic: topic, partition: p}
			if had, ok := last[key]; ok && had == c.Offset {
				continue
			}
			last[key] = c.Offset
			key.at, key.offset = c.At.Sub(w.start), c.Offset
			w.observed.commits = append(w.observed.commits, key)
		}
	}
}
