package stagetest

import (
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/freshet-io/freshet/libs/fault"
	"github.com/freshet-io/freshet/libs/stage"
)

func TestStage_rejectsAnOutputThatIsTooLargeAloneAndCutsItsLetter(t *testing.T) {
	eachBroker(t, func(t *testing.T, w *world) {
		w.send("a=1", "b="+strings.Repeat("x", 1<<20), "c=3")
		s := w.stage(copies)
		s.Encode = func(in string) (stage.Output, error) {
			key, value, _ := strings.Cut(in, "=")
			if key == "b" {
				value = strings.Repeat(value, 4)
			}
			return stage.Output{Key: []byte(key), Value: []byte(key + "=" + value)}, nil
		}
		w.run(s)
		letter := w.read(w.topics.DeadLetters(), 1)[0]
		// What comes behind a record that is refused may be acknowledged, and is sent again.
		if got := slices.Compact(values(w.all(w.topics.DocumentsLive()))); !slices.Equal(got, []string{"a=1", "c=3"}) {
			t.Errorf("copied %v", got)
		}
		if got := headerOf(letter, stage.HeaderReason); got != "oversize" || len(letter.Value) != 1<<20 {
			t.Errorf("letter of %d bytes with reason %q", len(letter.Value), got)
		}
	})
}

// limit has a topic refuse larger batches, as one does that somebody else made.
func (w *world) limit(topic, bytes string) {
	w.Helper()
	adm := kadm.NewClient(w.client)
	_, err := adm.AlterTopicConfigs(w.Context(), []kadm.AlterConfig{{Op: kadm.SetConfig, Name: "max.message.bytes", Value: &bytes}}, topic)
	if err != nil {
		w.Fatal(err)
	}
	w.await("the broker has the new limit", func(ctx context.Context) (bool, error) {
		configs, err := adm.DescribeTopicConfigs(ctx, topic)
		if err != nil {
			return false, err
		}
		return slices.ContainsFunc(configs[0].Configs, func(c kadm.Config) bool {
			return c.Key == "max.message.bytes" && c.MaybeValue() == bytes
		}), nil
	})
}

const defaultLimit = "1048588" // Kafka's own

func TestStage_cutsALetterThatItsTopicRefusesUntilItFits(t *testing.T) {
	eachBroker(t, func(t *testing.T, w *world) {
		w.limit(w.topics.DeadLetters(), defaultLimit)
		long := strings.Repeat("x", 1_048_400)
		w.send("a="+long, "a=malformed")
		s := w.stage(func(_ context.Context, batch []string) ([]stage.Outcome[string], error) {
			out := make([]stage.Outcome[string], len(batch))
			for i := range batch {
				out[i] = stage.Reject[string](fault.Reject(fault.FieldType, "price"))
			}
			return out, nil
		})
		w.run(s)
		for _, letter := range w.read(w.topics.DeadLetters(), 2) {
			cut := headerOf(letter, "freshet-dlq-truncated")
			if len(letter.Value) > 100 && cut != strconv.Itoa(len(long)) {
				t.Errorf("a letter of %d bytes says %q of its cut", len(letter.Value), cut)
			}
		}
	})
}

func TestStage_aBatchThatTheTopicRefusesRejectsNoGoodRecord(t *testing.T) {
	eachBroker(t, func(t *testing.T, w *world) {
		w.limit(w.topics.DocumentsLive(), defaultLimit)
		for i := range 10 {
			w.send(fmt.Sprint("a=", i, rand.Text(), strings.Repeat("v", 200_000)))
		}
		s := w.stage(copies)
		s.To.Compress = false
		w.run(s)
		w.read(w.topics.DocumentsLive(), 10)
		ends, err := kadm.NewClient(w.client).ListEndOffsets(t.Context(), w.topics.DeadLetters())
		if err != nil {
			t.Fatal(err)
		}
		ends.Each(func(o kadm.ListedOffset) {
			if o.Offset > 0 {
				t.Errorf("%d good records are dead letters", o.Offset)
			}
		})
	})
}

func TestStage_leavesAMarkForAnOutputThatIsTooLarge(t *testing.T) {
	eachBroker(t, func(t *testing.T, w *world) {
		w.send("a=" + strings.Repeat("x", 1<<20))
		s := w.stage(copies)
		s.Encode = func(in string) (stage.Output, error) {
			if in == "mark" {
				return stage.Output{Key: []byte("a"), Value: []byte(in)}, nil
			}
			return stage.Output{Key: []byte("a"), Value: []byte(strings.Repeat(in, 4))}, nil
		}
		s.Mark = func(string, fault.Reason) string { return "mark" }
		w.run(s)
		if got := values(w.read(w.topics.DocumentsLive(), 1)); got[0] != "mark" {
			t.Errorf("got %v", got)
		}
		letter := w.read(w.topics.DeadLetters(), 1)[0]
		if got := headerOf(letter, stage.HeaderLetterVersion); got != "1" {
			t.Errorf("the letter has version %q, its mark stands at the topic's begin", got)
		}
	})
}
