// Package stagetest runs the stage runtime against a broker. It stands here, and not
// beside libs/stage, so that no service's module graph has the stand-in broker.
package stagetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/freshet-io/freshet/libs/fault"
	"github.com/freshet-io/freshet/libs/record"
	"github.com/freshet-io/freshet/libs/stage"
)

func TestStage_commitsWhatItHasCopiedAndRepeatsNothingAfterACleanStop(t *testing.T) {
	eachBroker(t, func(t *testing.T, w *world) {
		w.send("a=1", "b=1", "a=2")
		stop := w.run(w.stage(copies))
		w.read(w.topics.DocumentsLive(), 3)
		if err := stop(); err != nil {
			t.Fatal(err)
		}
		if got := w.committed(); got != 3 {
			t.Errorf("%d offsets are committed, want 3", got)
		}
		w.send("c=1")
		stop = w.run(w.stage(copies))
		got := values(w.read(w.topics.DocumentsLive(), 4))
		if want := []string{"a=1", "a=2", "b=1", "c=1"}; !slices.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
		if err := stop(); err != nil {
			t.Fatal(err)
		}
	})
}

func TestStage_commitsNothingOfABatchThatAFatalFaultStops(t *testing.T) {
	eachBroker(t, func(t *testing.T, w *world) {
		w.send("a=1")
		done := make(chan error, 1)
		go func() {
			done <- w.stage(func(context.Context, []string) ([]stage.Outcome[string], error) {
				return nil, fault.Halt("the key is revoked")
			}).Run(t.Context(), w.process)
		}()
		if err := <-done; fault.ClassOf(err) != fault.Fatal {
			t.Fatalf("got %v, want a fatal fault", err)
		}
		if got := w.committed(); got != 0 {
			t.Errorf("%d offsets are committed", got)
		}
	})
}

func TestStage_triesATransientFaultAgainAndMakesNoLetterOfIt(t *testing.T) {
	eachBroker(t, func(t *testing.T, w *world) {
		w.send("a=1")
		tries := 0
		w.run(w.stage(func(ctx context.Context, batch []string) ([]stage.Outcome[string], error) {
			if tries++; tries < 3 {
				return nil, errors.New("the provider is away")
			}
			return copies(ctx, batch)
		}))
		if got := values(w.read(w.topics.DocumentsLive(), 1)); got[0] != "a=1" || tries != 3 {
			t.Errorf("got %v after %d tries", got, tries)
		}
	})
}

func TestStage_findsTheOneInputThatIsRefusedAndTheOneThatPanics(t *testing.T) {
	eachBroker(t, func(t *testing.T, w *world) {
		var good []string
		for i := range 20 {
			good = append(good, fmt.Sprintf("k%d=%d", i, i))
		}
		w.send(append(slices.Clone(good), "bad=refused", "worse=panics", "odd=malformed")...)
		w.run(w.stage(func(ctx context.Context, batch []string) ([]stage.Outcome[string], error) {
			for _, in := range batch {
				if in == "bad=refused" {
					return nil, fault.Reject(fault.ProviderRejected, "refused")
				}
				if in == "worse=panics" {
					panic(in)
				}
			}
			return copies(ctx, batch)
		}))
		if got, want := values(w.read(w.topics.DocumentsLive(), 20)), slices.Sorted(slices.Values(good)); !slices.Equal(got, want) {
			t.Errorf("copied %v", got)
		}
		reasons := map[string]string{}
		for _, letter := range w.read(w.topics.DeadLetters(), 3) {
			reasons[string(letter.Key)+"="+string(letter.Value)] = headerOf(letter, stage.HeaderReason)
			if headerOf(letter, "__connect.errors.topic") != w.source || headerOf(letter, "__connect.errors.offset") == "" {
				t.Errorf("a letter does not say where its record is: %v", letter.Headers)
			}
		}
		want := "map[bad=refused:provider-rejected odd=malformed:malformed worse=panics:panic]"
		if got := fmt.Sprint(reasons); got != want {
			t.Errorf("letters %s, want %s", got, want)
		}
	})
}

func TestStage_givesALetterTheVersionOfTheMarkBeforeIt(t *testing.T) {
	eachBroker(t, func(t *testing.T, w *world) {
		w.send("a=1", "a=2")
		w.run(w.stage(func(_ context.Context, batch []string) ([]stage.Outcome[string], error) {
			out := make([]stage.Outcome[string], len(batch))
			for i, in := range batch {
				out[i] = stage.Reject(fault.Reject(fault.FieldType, "price"), in+" failed")
			}
			return out, nil
		}))
		marks := w.read(w.topics.DocumentsLive(), 2)
		for i, letter := range w.read(w.topics.DeadLetters(), 2) {
			version, err := record.Version(0, marks[i].Offset)
			if err != nil {
				t.Fatal(err)
			}
			if got := headerOf(letter, stage.HeaderLetterVersion); got != strconv.FormatInt(version, 10) {
				t.Errorf("letter %d has version %q, its mark stands at %d", i, got, version)
			}
			if got := headerOf(letter, stage.HeaderItemKey); got != "a" {
				t.Errorf("letter %d is of item %q", i, got)
			}
		}
	})
}

func TestStage_aRecordOfANewerBuildStopsTheStageAndIsNoLetter(t *testing.T) {
	eachBroker(t, func(t *testing.T, w *world) {
		w.send("a=1")
		s := w.stage(copies)
		s.Decode = func(stage.Record) (string, error) { return "", fault.Halt("op 99: upgrade this service first") }
		if err := s.Run(t.Context(), w.process); fault.ClassOf(err) != fault.Fatal || w.committed() != 0 {
			t.Errorf("got %v with %d offsets committed", err, w.committed())
		}
	})
}

func TestStage_aMemberThatJoinsLosesAndReordersNothing(t *testing.T) {
	eachBroker(t, func(t *testing.T, w *world) {
		slow := func(ctx context.Context, batch []string) ([]stage.Outcome[string], error) {
			select {
			case <-time.After(5 * time.Millisecond):
			case <-ctx.Done():
			}
			return copies(ctx, batch)
		}
		w.run(w.stage(slow))
		const n = 400
		for i := range n {
			w.send(fmt.Sprintf("k%d=%04d", i%8, i))
			if i == n/4 || i == n/2 {
				stop := w.run(w.stage(slow))
				if i == n/2 {
					defer func() {
						if err := stop(); err != nil {
							t.Error(err)
						}
					}()
				}
			}
		}
		seen, last := map[string]bool{}, map[string]string{}
		deadline := time.Now().Add(bound)
		for len(seen) < n && time.Now().Before(deadline) {
			clear(last)
			for _, r := range w.read(w.topics.DocumentsLive(), n) {
				v := string(r.Value)
				if key := string(r.Key); !seen[v] && v < last[key] {
					t.Errorf("%s comes for the first time after %s", v, last[key])
				} else {
					last[key] = max(last[key], v)
				}
				seen[v] = true
			}
		}
		if len(seen) != n {
			t.Errorf("%d of %d arrived", len(seen), n)
		}
	})
}

func TestStage_aStuckPartitionDoesNotHoldUpTheOther(t *testing.T) {
	eachBroker(t, func(t *testing.T, w *world) {
		stuck, free := "", ""
		for i := 0; stuck == "" || free == ""; i++ {
			key := fmt.Sprint("k", i)
			if record.Partition([]byte(key), 2) == 0 {
				stuck = key
			} else {
				free = key
			}
		}
		large := strings.Repeat("x", 30_000)
		w.send(stuck + "=" + large)
		began := make(chan struct{}, 1000)
		s := w.stage(func(ctx context.Context, batch []string) ([]stage.Outcome[string], error) {
			if strings.HasPrefix(batch[0], stuck+"=") {
				began <- struct{}{}
				return nil, errors.New("away")
			}
			return copies(ctx, batch)
		})
		w.run(s)
		<-began
		// More bytes of it than all queues may hold, in few records.
		for range 60 {
			w.send(stuck + "=" + large)
		}
		w.send(free+"=1", free+"=2")
		if got := values(w.read(w.topics.DocumentsLive(), 2)); !slices.Equal(got, []string{free + "=1", free + "=2"}) {
			t.Errorf("got %v", got)
		}
	})
}

func TestStage_aQuickLaterBatchWaitsForASlowOneBeforeIt(t *testing.T) {
	eachBroker(t, func(t *testing.T, w *world) {
		w.send("a=1", "a=2", "a=3")
		later := make(chan struct{})
		s := w.stage(func(ctx context.Context, batch []string) ([]stage.Outcome[string], error) {
			if batch[0] == "a=1" {
				select {
				case <-later: // the batch behind it is decided first
				case <-ctx.Done():
				}
			}
			if batch[0] == "a=2" {
				close(later)
			}
			return copies(ctx, batch)
		})
		s.Settings.Items = 1
		w.run(s)
		var got []string
		for _, r := range w.read(w.topics.DocumentsLive(), 3) {
			got = append(got, string(r.Value))
		}
		if want := []string{"a=1", "a=2", "a=3"}; !slices.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
	})
}

func TestStage_marksNothingBehindABatchThatFails(t *testing.T) {
	eachBroker(t, func(t *testing.T, w *world) {
		w.send("a=1", "a=2", "a=3")
		s := w.stage(func(ctx context.Context, batch []string) ([]stage.Outcome[string], error) {
			if batch[0] == "a=1" {
				select {
				case <-time.After(100 * time.Millisecond): // the others are decided meanwhile
				case <-ctx.Done():
				}
				return nil, fault.Halt("the key is revoked")
			}
			return copies(ctx, batch)
		})
		s.Settings.Items = 1
		if err := s.Run(t.Context(), w.process); fault.ClassOf(err) != fault.Fatal {
			t.Fatalf("got %v, want a fatal fault", err)
		}
		if got := w.committed(); got != 0 {
			t.Errorf("%d offsets are committed", got)
		}
	})
}

func TestStage_anOffsetThatKafkaDeletedIsFatalAndNeverReset(t *testing.T) {
	eachBroker(t, func(t *testing.T, w *world) {
		w.send("a=1", "a=2", "a=3")
		stop := w.run(w.stage(copies))
		w.read(w.topics.DocumentsLive(), 3)
		if err := stop(); err != nil {
			t.Fatal(err)
		}
		w.send("a=4", "a=5")
		adm := kadm.NewClient(w.client)
		partition := record.Partition([]byte("a"), 2)
		var gone kadm.Offsets
		gone.AddOffset(w.source, partition, 4, -1)
		if _, err := adm.DeleteRecords(t.Context(), gone); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), bound)
		defer cancel()
		err := w.stage(copies).Run(ctx, w.process)
		if fault.ClassOf(err) != fault.Fatal || !strings.Contains(err.Error(), "deleted before they were read") {
			t.Errorf("got %v", err)
		}
	})
}
