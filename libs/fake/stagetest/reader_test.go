package stagetest

import (
	"context"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/freshet-io/freshet/libs/stage"
)

func TestStage_waitsBeforeKafkaDeletesWhatTheNextStageHasNotRead(t *testing.T) {
	w := newWorld(t)
	// The topic keeps its records for 7 days; nobody has read this one in two.
	old := &kgo.Record{Topic: w.topics.DocumentsLive(), Value: []byte("old"), Timestamp: time.Now().Add(-48 * time.Hour)}
	if err := w.client.ProduceSync(t.Context(), old).FirstErr(); err != nil {
		t.Fatal(err)
	}
	waits := make(chan struct{})
	s := w.stage(func(ctx context.Context, batch []string) ([]stage.Outcome[string], error) {
		select {
		case <-waits:
		default:
			t.Error("it goes on")
		}
		return copies(ctx, batch)
	})
	s.To.Reader = "reader"
	w.send("a=1")
	w.run(s)
	time.Sleep(time.Second) // the record would be handled by now
	close(waits)
	var read kadm.Offsets
	read.AddOffset(old.Topic, old.Partition, 1, -1)
	if err := kadm.NewClient(w.client).CommitAllOffsets(t.Context(), "reader", read); err != nil {
		t.Fatal(err)
	}
	w.read(w.topics.DocumentsLive(), 2)
}
