package stage

import (
	"cmp"
	"iter"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/freshet-io/freshet/libs/record"
)

// arrival is a record with the id of its topic.
type arrival struct {
	*kgo.Record
	topicID [16]byte
}

func toRecord(r arrival) Record {
	return Record{
		Topic: r.Topic, TopicID: r.topicID, Partition: r.Partition, Offset: r.Offset, LeaderEpoch: r.LeaderEpoch,
		Time: r.Timestamp, Key: r.Key, Value: r.Value, Version: header(r, record.HeaderVersion), Fault: header(r, record.HeaderFault),
		Force: string(header(r, record.HeaderForce)) == "true",
	}
}

// byTopic yields the records of each topic of a batch, which stand together.
func byTopic(batch []arrival) iter.Seq2[string, []arrival] {
	return func(yield func(string, []arrival) bool) {
		for len(batch) > 0 {
			topic, n := batch[0].Topic, 1
			for n < len(batch) && batch[n].Topic == topic {
				n++
			}
			if !yield(topic, batch[:n]) {
				return
			}
			batch = batch[n:]
		}
	}
}

// header returns the last value of a header, as Kafka's own tools do, or nil.
func header(r arrival, key string) []byte {
	for _, h := range slices.Backward(r.Headers) {
		if h.Key == key {
			return h.Value
		}
	}
	return nil
}

// push queues records of a log that ends at end. It never blocks: a full queue pauses its partition instead.
func (w *worker) push(topic string, id [16]byte, records []*kgo.Record, end int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.stopped || w.owned[topic].rewinding {
		return
	}
	if c := w.owned[topic]; !c.read && !c.clean {
		c.seen, c.read = max(c.seen, end), true
	}
	queue := slices.Grow(w.queues[topic], len(records))
	for _, r := range records {
		queue = append(queue, arrival{r, id})
	}
	w.queues[topic] = queue
	w.count(queue[len(queue)-len(records):], +1)
	if !w.paused[topic] && (len(queue) > w.members.settings.QueueRecords || w.bytes > w.byteShare()) {
		w.paused[topic] = true
		w.client.PauseFetchPartitions(map[string][]int32{topic: {w.partition}})
	}
	w.nudge()
}

// nudge has the worker look for records.
func (w *worker) nudge() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// byteShare is how many bytes a worker may hold before it reads no more: large records of
// one that is stuck must not fill what is there for all.
func (w *worker) byteShare() int64 { return w.members.settings.QueueBytes / 8 }

// resume has topics read again whose queues have room.
func (w *worker) resume() {
	for topic := range w.paused {
		if len(w.queues[topic]) <= w.members.settings.QueueRecords/2 && w.bytes <= w.byteShare()/2 {
			delete(w.paused, topic)
			w.client.ResumeFetchPartitions(map[string][]int32{topic: {w.partition}})
		}
	}
}

// recordOverhead is what a record takes in memory beside its key and value, in bytes.
const recordOverhead = 200

// count adds records to what is queued, or with sign -1 takes them off.
func (w *worker) count(records []arrival, sign int64) {
	var size int64
	for _, r := range records {
		size += sign * int64(len(r.Key)+len(r.Value)+recordOverhead)
	}
	w.bytes += size
	w.members.queued.Add(size)
}

// gather waits for records and takes a batch: the first topics before the later ones. It
// returns nil where the worker is halted, a topic is to be worked on again, or the keeper's turn has come.
func (w *worker) gather() []arrival {
	for {
		over, keep := w.doubtOver(), w.untilKeep()
		if over == 0 || keep == 0 {
			return nil
		}
		if batch := w.next(); batch != nil {
			return batch
		}
		var timer <-chan time.Time
		if wait := max(over, keep); wait > 0 { // there is one of them at most
			timer = time.After(wait)
		}
		select {
		case <-w.wake:
		case <-timer:
		case <-w.halted:
			return nil
		}
	}
}

func (w *worker) next() []arrival {
	w.mu.Lock()
	defer w.mu.Unlock()
	// What is done while a rewind is under way would be neither marked nor done again.
	if w.stopped || w.members.held.Load() || w.rewinding() {
		return nil
	}
	room := w.members.settings.Items
	var batch []arrival
	for _, topic := range w.waiting() {
		queue, c := w.queues[topic], w.owned[topic]
		if c.careful > 0 {
			room = min(room, 1-len(batch))
			if !w.doubtUntil.IsZero() {
				continue // what is tried one by one is committed one by one
			}
		}
		n := min(max(room, 0), len(queue))
		batch = append(batch, queue[:n]...)
		clear(queue[:n]) // the array outlives them
		w.queues[topic] = queue[n:]
		room -= n
	}
	w.resume()
	if len(batch) > 0 {
		w.flying = append(w.flying, batch)
	}
	return batch
}

// waiting returns the topics that have records queued, the stage's first ones first.
func (w *worker) waiting() []string {
	var topics []string
	for topic, queue := range w.queues {
		if len(queue) > 0 {
			topics = append(topics, topic)
		}
	}
	if len(topics) > 1 {
		first := w.members.from.Topics
		slices.SortFunc(topics, func(a, b string) int { return cmp.Compare(slices.Index(first, a), slices.Index(first, b)) })
	}
	return topics
}

// drop forgets what was queued.
func (w *worker) drop() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.members.queued.Add(-w.bytes)
	w.bytes, w.queues, w.flying = 0, nil, nil
	w.stopped = true
}

// oldest returns the time of the oldest unfinished record of a lane.
func (w *worker) oldest(lane string) (at time.Time, ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	see := func(r arrival) {
		if !ok || r.Timestamp.Before(at) {
			at, ok = r.Timestamp, true
		}
	}
	for _, batch := range w.flying {
		for _, r := range batch {
			if w.members.from.lane(r.Topic) == lane {
				see(r)
			}
		}
	}
	for topic, q := range w.queues {
		if len(q) > 0 && w.members.from.lane(topic) == lane {
			see(q[0])
		}
	}
	return at, ok
}
