package chaos

import (
	"context"
	"encoding/json"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/freshet-io/freshet/libs/kafka"
	"github.com/freshet-io/freshet/libs/record"
)

// observed is what an onlooker without any delay sees of the broker: every record with the
// moment of its append, and every commit that was accepted.
type observed struct {
	stop context.CancelFunc
	done sync.WaitGroup

	mu      sync.Mutex
	records []*logged
	commits []commit
	ends    map[string]map[int32][]end // by topic and partition, growing
}

// end is where a partition's log ended at a moment.
type end struct {
	at     time.Duration
	offset int64
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
	progress

	at     time.Duration
	offset int64
	owed   []int64 // offsets before it that are not finished, by its note
	late   bool    // by its note, what it counts as done may be overwritten yet
}

// progress is whose offset it is.
type progress struct {
	group     string
	topic     string
	partition int32
}

func (w *world) observe() {
	ctx, cancel := context.WithCancel(w.t.Context())
	w.observed = &observed{stop: cancel, ends: map[string]map[int32][]end{}}
	for _, topic := range w.logs() {
		w.observed.ends[topic] = map[int32][]end{}
	}
	last := map[progress]kfake.GroupCommit{}
	w.watch(ctx, kmsg.OffsetCommit, func() {
		for group := range w.groups() {
			w.seeCommits(group, last)
		}
	})
	w.watch(ctx, kmsg.Produce, w.seeEnds)
}

// logs are the pipeline's topics whose records are judged.
func (w *world) logs() []string {
	return []string{w.topics.DocumentsLive(), w.topics.DocumentsBulk(), w.topics.VectorsLive(), w.topics.VectorsBulk(), w.topics.DeadLetters()}
}

// read takes all records of the pipeline's topics. It does so at the end: a consumer that
// looks on may be late itself.
func (w *world) read() {
	from := map[string]map[int32]kgo.Offset{}
	missing := int64(0)
	for _, topic := range w.logs() {
		from[topic] = map[int32]kgo.Offset{}
		for _, p := range w.cluster.PartitionInfos(topic) {
			from[topic][p.Partition] = kgo.NewOffset().AtStart()
			missing += p.HighWatermark
		}
	}
	client, err := kgo.NewClient(kgo.SeedBrokers(w.cluster.ListenAddrs()...), kgo.Dialer(w.network.Host(0).Dial), kgo.ConsumePartitions(from))
	if err != nil {
		w.t.Fatal(err)
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(w.t.Context(), settleBound)
	defer cancel()
	for missing > 0 && ctx.Err() == nil {
		client.PollFetches(ctx).EachRecord(func(r *kgo.Record) {
			missing--
			w.see(r)
		})
	}
	if missing > 0 {
		w.report("readable", "%d records of the pipeline's topics cannot be read", missing)
	}
}

func (w *world) see(r *kgo.Record) {
	l := &logged{at: w.appended(r), topic: r.Topic, partition: r.Partition, offset: r.Offset}
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
		w.report("readable", "%s partition %d offset %d: %v", r.Topic, r.Partition, r.Offset, err)
		return
	}
	w.observed.records = append(w.observed.records, l)
}

// appended returns when a record was appended.
func (w *world) appended(r *kgo.Record) time.Duration {
	for _, e := range w.observed.ends[r.Topic][r.Partition] {
		if e.offset > r.Offset {
			return e.at
		}
	}
	return w.now()
}

// watch looks at the broker behind each request that may have changed it. A request alone
// says nothing: that of a member that was expelled is refused.
func (w *world) watch(ctx context.Context, key kmsg.Key, look func()) {
	asked := make(chan struct{}, 1)
	handle := w.cluster.Fault(kfake.Fault{
		Keys: []kmsg.Key{key}, Count: -1,
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
		for {
			select {
			case <-asked:
			case <-ctx.Done():
				return
			}
			if wait(ctx, time.Millisecond) != nil {
				return
			}
			look()
		}
	})
}

func (w *world) seeEnds() {
	for _, topic := range w.logs() {
		for _, p := range w.cluster.PartitionInfos(topic) {
			ends := w.observed.ends[topic][p.Partition]
			if len(ends) == 0 && p.HighWatermark > 0 || len(ends) > 0 && ends[len(ends)-1].offset < p.HighWatermark {
				w.observed.ends[topic][p.Partition] = append(ends, end{w.now(), p.HighWatermark})
			}
		}
	}
}

func (w *world) seeCommits(group string, last map[progress]kfake.GroupCommit) {
	info := w.cluster.GroupInfo(group)
	if info == nil {
		return
	}
	w.observed.mu.Lock()
	defer w.observed.mu.Unlock()
	for topic, parts := range info.Commits {
		for p, c := range parts {
			of := progress{group, topic, p}
			if had, ok := last[of]; ok && had.Offset == c.Offset && had.Metadata == c.Metadata {
				continue
			}
			last[of] = c
			late := strings.Contains(c.Metadata, `"late":true`)
			w.observed.commits = append(w.observed.commits, commit{of, c.At.Sub(w.start), c.Offset, owedIn(c), late})
		}
	}
}

// owedIn returns the offsets that a commit's note names as not finished.
func owedIn(c kfake.GroupCommit) []int64 {
	var note struct{ Owed string }
	if json.Unmarshal([]byte(c.Metadata), &note) != nil { // a member's id
		return nil
	}
	owed, err := kafka.DecodeOwed(note.Owed)
	if err != nil {
		panic(err)
	}
	return owed
}
