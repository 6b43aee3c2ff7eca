package kafkatest

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/freshet-io/freshet/libs/fault"
	"github.com/freshet-io/freshet/libs/kafka"
	"github.com/freshet-io/freshet/libs/record"
)

var readers = kafka.Groups{Embed: "embed", Write: "write"}

func produce(t *testing.T, client *kgo.Client, topic string, n int) {
	t.Helper()
	for range n {
		if err := client.ProduceSync(t.Context(), &kgo.Record{Topic: topic, Partition: 1, Value: []byte("x")}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
}

func commit(t *testing.T, client *kgo.Client, group, topic string, at int64) {
	t.Helper()
	offsets := kadm.Offsets{}
	offsets.AddOffset(topic, 1, at, -1)
	if err := kadm.NewClient(client).CommitAllOffsets(t.Context(), group, offsets); err != nil {
		t.Fatal(err)
	}
}

// producer is a client that places records itself.
func producer(t *testing.T, c kafka.Config) *kgo.Client {
	t.Helper()
	client, err := kafka.Producer(t.Context(), c, topics, false, log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
}

func TestVersions_tellsWhereTheLogEndsAndWhatMayStillCome(t *testing.T) {
	_, c := broker(t)
	client := producer(t, c)
	apply(t, client)
	v, err := topics.OpenVersions(t.Context(), c, kafka.Identity{Epoch: 2}, readers, log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(v.Close)
	ends := func(want int64) {
		t.Helper()
		if got, err := v.End(t.Context(), 1); err != nil || got != want {
			t.Errorf("the highest version is %d, %v, want %d", got, err, want)
		}
	}
	open := func(what string, want int64) {
		t.Helper()
		if got, err := v.Open(t.Context(), 1); err != nil || got != want {
			t.Errorf("%s: a row may come of version %d, %v, want %d", what, got, err, want)
		}
	}
	ends(2 << 48) // below that of the first record
	produce(t, client, topics.DocumentsLive(), 3)
	ends(2<<48 + 3)

	open("nothing was ever sent", math.MaxInt64)
	for _, lane := range []struct{ topic, group string }{{topics.DocumentsBulk(), "embed-bulk"}, {topics.VectorsBulk(), "write"}} {
		produce(t, client, lane.topic, 2)
		open("a group that has not begun", 0)
		commit(t, client, lane.group, lane.topic, 1)
		open("one unread row", 0)
		commit(t, client, lane.group, lane.topic, 2)
		open("all are read", math.MaxInt64)
	}
	control, err := kafka.ReadControl(t.Context(), client, topics)
	if err != nil {
		t.Fatal(err)
	}
	checkpoint := func(job string, done bool, stamps ...int64) {
		t.Helper()
		c := &record.Checkpoint{Job: job, Range: "0", Stamps: stamps, Done: done}
		if err := control.Put(t.Context(), &record.Control{Record: &record.Control_Checkpoint{Checkpoint: c}}); err != nil {
			t.Fatal(err)
		}
	}
	checkpoint("one", false, 70, 80)
	checkpoint("two", false, 50, 90)
	open("two jobs run", 80)
	checkpoint("one", true, 70, 80)
	open("one is done", 90)
	checkpoint("three", false)
	open("a job has not said its versions yet", 0)
}

func TestVersions_wantsTombstonesToOutliveLetters(t *testing.T) {
	_, c := broker(t)
	client := producer(t, c)
	apply(t, client)
	v, err := topics.OpenVersions(t.Context(), c, kafka.Identity{}, readers, log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(v.Close)
	const day = 24 * time.Hour
	refused := func(tombstones time.Duration, want bool) {
		t.Helper()
		err := v.OutlivesLetters(t.Context(), tombstones)
		if got := fault.ClassOf(err) == fault.Fatal && strings.Contains(err.Error(), "FRESHET_WRITE_TOMBSTONE_RETENTION"); got != want || !want && err != nil {
			t.Errorf("%s gives %v", tombstones, err)
		}
	}
	refused(35*day, false)
	refused(29*day, true)
	refused(0, false)
	alter(t, client, topics.DeadLetters(), "retention.ms", "-1")
	refused(35*day, true)
	refused(0, false)
}

// What is owed alone would come with a version of the new epoch, and replace what came after it.
func TestSucceed_hasWhatIsOwedReadAgainWithAllThatCameAfterIt(t *testing.T) {
	_, c := broker(t)
	client := producer(t, c)
	apply(t, client)
	produce(t, client, topics.DocumentsLive(), 5)
	adm := kadm.NewClient(client)
	owing := kadm.Offset{Topic: topics.DocumentsLive(), Partition: 1, At: 4, LeaderEpoch: -1, Metadata: `{"owed":"` + kafka.EncodeOwed([]int64{1, 3}) + `"}`}
	if err := adm.CommitAllOffsets(t.Context(), "embed", kadm.Offsets{owing.Topic: {owing.Partition: owing}}); err != nil {
		t.Fatal(err)
	}
	s, err := topics.Succeed(t.Context(), client, true, func(string) (int32, error) { return 0, nil })
	if err != nil {
		t.Fatal(err)
	}
	all, err := s.Rewind(t.Context(), client, "embed", topics.DocumentsLive())
	if err != nil || len(all) != 1 || all[0].Records != 4 || all[0].Reset {
		t.Errorf("%+v, %v", all, err)
	}
	committed, err := adm.FetchOffsetsForTopics(t.Context(), "embed", topics.DocumentsLive())
	if at, _ := committed.Lookup(topics.DocumentsLive(), 1); err != nil || at.At != 1 || at.Metadata != "" {
		t.Errorf("the group stands at %+v, %v", at, err)
	}
}

func TestSucceed_rewindsGroupsThatStandBehindTheEnd(t *testing.T) {
	_, c := broker(t)
	client := producer(t, c)
	apply(t, client)
	produce(t, client, topics.DocumentsLive(), 3)
	commit(t, client, "embed", topics.DocumentsLive(), 500)
	commit(t, client, "embed-bulk", topics.DocumentsBulk(), 0)
	none := func(string) (int32, error) { return 0, nil }
	s, err := topics.Succeed(t.Context(), client, true, none)
	if err != nil || s.After.Epoch != 1 || len(s.Replaced) > 0 || !s.Changes() {
		t.Fatalf("%+v, %v", s, err)
	}
	for range 2 { // an interrupted command is run again
		all, err := s.Rewind(t.Context(), client, "embed", topics.DocumentsLive())
		if err != nil || len(all) != 1 || all[0].Records != 3 {
			t.Errorf("%+v, %v", all, err)
		}
	}
	if all, err := s.Rewind(t.Context(), client, "embed-bulk", topics.DocumentsBulk()); err != nil || all[0].Reset {
		t.Errorf("%+v, %v", all, err)
	}
	if err := s.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if id, err := topics.Check(t.Context(), client); err != nil || id.Epoch != 1 {
		t.Errorf("identity %+v, %v", id, err)
	}
	index := func(string) (int32, error) { return 7, nil } // as after the loss of the control topic
	if s, err = topics.Succeed(t.Context(), client, false, index); err != nil || s.After.Epoch != 7 {
		t.Errorf("%+v, %v", s, err)
	}
	tooHigh := func(string) (int32, error) { return 32, nil }
	if _, err = topics.Succeed(t.Context(), client, false, tooHigh); fault.ClassOf(err) != fault.Fatal {
		t.Errorf("epoch 32 gives %v", err)
	}
}
