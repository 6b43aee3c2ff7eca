package stagetest

import (
	"context"
	"slices"
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

func TestStage_waitsForASourceTopicThatIsMadeLater(t *testing.T) {
	eachBroker(t, func(t *testing.T, w *world) {
		w.source += "-later"
		stop := w.run(w.stage(copies))
		if n := w.count(w.topics.DocumentsLive()); n != 0 {
			t.Fatalf("%d records of no topic", n)
		}
		if _, err := kadm.NewClient(w.client).CreateTopic(t.Context(), sourcePartitions, 1, nil, w.source); err != nil {
			t.Fatal(err)
		}
		w.await("the topic has its leaders", func(ctx context.Context) (bool, error) {
			ends, err := kadm.NewClient(w.client).ListEndOffsets(ctx, w.source)
			return err == nil && ends.Error() == nil, nil
		})
		w.send("a=1", "b=2")
		if got := values(w.read(w.topics.DocumentsLive(), 2)); !slices.Equal(got, []string{"a=1", "b=2"}) {
			t.Errorf("handed on %q", got)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}
