package kafkatest

import (
	"context"
	"errors"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/freshet-io/freshet/libs/fault"
	"github.com/freshet-io/freshet/libs/kafka"
)

func openIntake(t *testing.T, c kafka.Config, topics ...string) *kafka.Intake {
	t.Helper()
	in, err := kafka.OpenIntake(t.Context(), c, topics, log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(in.Close)
	return in
}

func TestIntake_placesChangesAsKafkasOwnClientsDo(t *testing.T) {
	_, c := broker(t)
	client := connect(t, c)
	for range 2 { // the second time it is there
		if _, err := kafka.CreateSources(t.Context(), client, []string{"items"}, layout); err != nil {
			t.Fatal(err)
		}
	}
	// Of the hashes that the tests of Kafka's Java client expect (UtilsTest, murmur2), without their sign.
	want := map[string]int32{"21": 1173551340 % 3, "foobar": 1357151166 % 3, "a-little-bit-long-string": 1161502112 % 3, "a-little-bit-longer-string": 661178819 % 3, "abc": 479470107 % 3}
	var changes []kafka.Raw
	for key := range want {
		change := kafka.Raw{Key: []byte(key), Value: []byte(key)}
		change.With("traceparent", []byte("00-trace"))
		changes = append(changes, change)
	}
	rejected, err := openIntake(t, c, "items").Produce(t.Context(), "items", changes)
	if err != nil || errors.Join(rejected...) != nil || len(rejected) != len(changes) {
		t.Fatal(rejected, err)
	}
	reader, err := kgo.NewClient(kgo.SeedBrokers(c.Brokers...), kgo.ConsumeTopics("items"))
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	for len(want) > 0 {
		reader.PollFetches(t.Context()).EachRecord(func(r *kgo.Record) {
			if p := want[string(r.Key)]; r.Partition != p || len(r.Headers) != 1 || string(r.Headers[0].Value) != "00-trace" {
				t.Errorf("%q is in partition %d, not %d; headers %v", r.Key, r.Partition, p, r.Headers)
			}
			delete(want, string(r.Key))
		})
	}
}

func TestIntake_aChangeThatItsTopicNeverTakesFailsAlone(t *testing.T) {
	_, c := broker(t, kfake.SeedTopics(1, "small"))
	client := connect(t, c)
	takes(t, client, "small", "2000")
	rejected, err := openIntake(t, c, "small").Produce(t.Context(), "small", []kafka.Raw{
		{Value: []byte("a")}, {Value: []byte(strings.Repeat("b", 3000))}, {Value: []byte("c")},
	})
	if err != nil || rejected[0] != nil || rejected[2] != nil || fault.ReasonOf(rejected[1]) != fault.Oversize || !strings.Contains(rejected[1].Error(), "2000") {
		t.Errorf("%v %v", rejected, err)
	}
}

// takes has a topic take so many bytes.
func takes(t *testing.T, client *kgo.Client, topic, bytes string) {
	t.Helper()
	answers, err := kadm.NewClient(client).AlterTopicConfigs(t.Context(), []kadm.AlterConfig{{Name: "max.message.bytes", Value: &bytes}}, topic)
	if err == nil {
		_, err = answers.On(topic, func(r *kadm.AlterConfigsResponse) error { return r.Err })
	}
	if err != nil {
		t.Fatal(err)
	}
}

// The broker knows better than the client what the topic takes.
func TestIntake_aRefusedBatchCostsTheCulpritsAloneAndKeepsTheOrder(t *testing.T) {
	_, c := broker(t, kfake.SeedTopics(1, "items"))
	client := connect(t, c)
	in := openIntake(t, c, "items")
	takes(t, client, "items", "20000")
	large := make([]byte, 30_000)
	_, _ = rand.NewChaCha8([32]byte{}).Read(large) // does not shrink
	var changes []kafka.Raw
	culprits := map[int]bool{17: true, 18: true, 42: true, 99: true}
	for i := range 100 {
		changes = append(changes, kafka.Raw{Key: []byte("k"), Value: []byte(strconv.Itoa(i))})
		if culprits[i] {
			changes[i].Value = large
		}
	}
	rejected, err := in.Produce(t.Context(), "items", changes)
	if err != nil {
		t.Fatal(err)
	}
	for i, err := range rejected {
		if (fault.ReasonOf(err) == fault.Oversize) != culprits[i] || err != nil && !strings.Contains(err.Error(), "20000") {
			t.Errorf("change %d: %v", i, err)
		}
	}
	ends, err := kadm.NewClient(client).ListEndOffsets(t.Context(), "items")
	if err != nil {
		t.Fatal(err)
	}
	client.AddConsumePartitions(map[string]map[int32]kgo.Offset{"items": {0: kgo.NewOffset().AtStart()}})
	found := map[string]int64{} // where it stands last
	for at, end := int64(-1), ends["items"][0].Offset; at < end-1; {
		client.PollFetches(t.Context()).EachRecord(func(r *kgo.Record) { at, found[string(r.Value)] = r.Offset, r.Offset })
	}
	before := int64(-1)
	for i := range changes {
		if at, written := found[string(changes[i].Value)]; written == culprits[i] || written && at <= before {
			t.Errorf("change %d is at %d, the one before at %d", i, at, before)
		} else if written {
			before = at
		}
	}
}

func TestIntake_givesUpWhatIsNotAcknowledgedInTime(t *testing.T) {
	cluster, c := broker(t, kfake.SeedTopics(1, "items"))
	in := openIntake(t, c, "items")
	cluster.ControlKey(int16(kmsg.Produce), func(request kmsg.Request) (kmsg.Response, error, bool) {
		cluster.KeepControl()
		produce := request.(*kmsg.ProduceRequest)
		answer := produce.ResponseKind().(*kmsg.ProduceResponse)
		for _, topic := range produce.Topics {
			partition := kmsg.NewProduceResponseTopicPartition()
			partition.ErrorCode = kerr.NotEnoughReplicas.Code
			answer.Topics = append(answer.Topics, kmsg.ProduceResponseTopic{
				Topic: topic.Topic, TopicID: topic.TopicID, Partitions: []kmsg.ProduceResponseTopicPartition{partition},
			})
		}
		return answer, nil, true
	})
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if rejected, err := in.Produce(ctx, "items", []kafka.Raw{{Value: []byte("a")}}); err == nil || errors.Join(rejected...) != nil {
		t.Errorf("%v %v", rejected, err)
	}
}

func TestOpenIntake_waitsForItsTopics(t *testing.T) {
	_, c := broker(t)
	client := connect(t, c)
	opened := make(chan error, 1)
	go func() {
		in, err := kafka.OpenIntake(t.Context(), c, []string{"later"}, log)
		if err == nil {
			in.Close()
		}
		opened <- err
	}()
	select {
	case err := <-opened:
		t.Fatalf("opened without its topic: %v", err)
	case <-time.After(100 * time.Millisecond):
	}
	if _, err := kafka.CreateSources(t.Context(), client, []string{"later"}, layout); err != nil {
		t.Fatal(err)
	}
	if err := <-opened; err != nil {
		t.Error(err)
	}
}
