package chaos

import (
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/freshet-io/freshet/libs/record"
	"github.com/freshet-io/freshet/libs/telemetry"
)

// A stage whose handler does not come back must stop reading, or it dies of a long outage.
// From outside that shows in the offsets that it asks the broker for.
func TestMemory_aStageStopsReadingWhileItsHandlerDoesNotReturn(t *testing.T) {
	if !virtual {
		t.Skip("SKIPPED without -tags synctests; `make test` runs it")
	}
	const (
		documents = 4000
		size      = 8 << 10
		// What the queue holds, what one fetch brings on top, and what the client holds ready.
		most = 20 + 3*(4<<20)/size
	)
	tel, err := telemetry.New(t.Context(), telemetry.Config{Exporter: "none"}, "chaos", "test")
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, &plan{seed: 1, partitions: 1}, tel)
		d := &record.Document{Op: record.Op_OP_UPSERT, Collection: "Item", Id: []string{"b0"}, Pipeline: "items", Text: strings.Repeat("x", size), Stamp: 1}
		value, err := d.Encode()
		if err != nil {
			t.Fatal(err)
		}
		records := make([]*kgo.Record, documents)
		for i := range records {
			records[i] = &kgo.Record{Topic: w.topics.DocumentsBulk(), Key: d.Item().Key(), Value: value}
		}
		if err := w.client.ProduceSync(t.Context(), records...).FirstErr(); err != nil {
			t.Fatal(err)
		}
		w.observed.stop() // it reads all, and would be taken for the stage
		w.observed.done.Wait()
		var asked atomic.Int64
		id := w.cluster.TopicInfo(w.topics.DocumentsBulk()).TopicID
		w.cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Fetch}, Count: -1, When: func(r kmsg.Request) bool {
			fetch, _ := r.(*kmsg.FetchRequest)
			for _, topic := range fetch.Topics {
				if topic.TopicID == id && topic.Partitions[0].FetchOffset > asked.Load() {
					asked.Store(topic.Partitions[0].FetchOffset)
				}
			}
			return false
		}})
		w.launch("embed")
		stalled := w.of("embed")[0].gate
		stalled.freeze()
		_ = wait(t.Context(), 5*time.Minute)
		if got := asked.Load(); got > most {
			t.Errorf("the stage has read up to offset %d of %d, with nothing done; at most %d", got, documents, most)
		}
		stalled.thaw()
		_ = wait(t.Context(), 5*time.Minute)
		if got := asked.Load(); got != documents {
			t.Errorf("with its handler back, the stage has read up to offset %d of %d", got, documents)
		}
		w.stopAll()
	})
}
