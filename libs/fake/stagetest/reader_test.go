package stagetest

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/freshet-io/freshet/libs/fault"
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

// A topic that appears while the stage runs is read from its beginning, beside those that are there.
func TestStage_readsTopicsThatAppearWhileItRuns(t *testing.T) {
	eachBroker(t, func(t *testing.T, w *world) {
		s := w.stage(copies)
		first, later := w.source, w.topics.Prefix+".later"
		asked := 0
		s.From.MoreEvery = 50 * time.Millisecond
		s.From.More = func(ctx context.Context) ([]string, error) {
			if asked++; asked == 1 {
				return nil, errors.New("the brokers are away")
			}
			there, err := kadm.NewClient(w.client).ListTopics(ctx)
			if err != nil || !there.Has(later) {
				return []string{first}, err
			}
			return []string{first, later}, nil
		}
		stop := w.run(s)
		w.send("a=1")
		w.read(w.topics.DocumentsLive(), 1)
		if _, err := kadm.NewClient(w.client).CreateTopic(t.Context(), sourcePartitions, 1, nil, later); err != nil {
			t.Fatal(err)
		}
		w.await("the topic has its leaders", func(ctx context.Context) (bool, error) {
			ends, err := kadm.NewClient(w.client).ListEndOffsets(ctx, later)
			return err == nil && ends.Error() == nil, nil
		})
		w.source = later
		w.send("b=1", "c=1")
		w.source = first
		w.send("a=2")
		if got, want := values(w.read(w.topics.DocumentsLive(), 4)), []string{"a=1", "a=2", "b=1", "c=1"}; !slices.Equal(got, want) {
			t.Errorf("handed on %q, want %q", got, want)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

func TestStage_aFatalFaultInLookingForTopicsStopsIt(t *testing.T) {
	w := newWorld(t)
	s := w.stage(copies)
	s.From.MoreEvery = time.Millisecond
	s.From.More = func(context.Context) ([]string, error) { return nil, fault.Halt("two formats for one topic") }
	if err := s.Run(t.Context(), w.process); fault.ClassOf(err) != fault.Fatal || !strings.Contains(err.Error(), "two formats") {
		t.Errorf("got %v, want the fault", err)
	}
}
