package kafkatest

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"

	"github.com/freshet-io/freshet/libs/fake/local"
	"github.com/freshet-io/freshet/libs/fake/local/localtest"
	"github.com/freshet-io/freshet/libs/fault"
	"github.com/freshet-io/freshet/libs/kafka"
	"github.com/freshet-io/freshet/libs/service"
	"github.com/freshet-io/freshet/libs/telemetry"
)

// partitions is how many the topic source has.
const partitions = 4

func options(group string, p kafka.GroupProtocol) kafka.GroupOptions {
	return kafka.GroupOptions{Group: group, Topics: []string{"source"}, Protocol: p, SessionTimeout: 10 * time.Second, RebalanceTimeout: 20 * time.Second}
}

// consume opens a member of a group that ends with the test.
func consume(t *testing.T, c kafka.Config, o kafka.GroupOptions) *kgo.Client {
	t.Helper()
	client, err := kafka.Consumer(t.Context(), c, o, log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.CloseAllowingRebalance)
	return client
}

func TestConsumer_asksFromItsRackAndWithinItsLimits(t *testing.T) {
	cluster, c := broker(t, kfake.SeedTopics(1, "source"))
	c = load(t, c, "FRESHET_KAFKA_RACK=zone-a", "FRESHET_KAFKA_FETCH_MAX_PARTITION_BYTES=12345")
	asked := make(chan *kmsg.FetchRequest, 1)
	cluster.ControlKey(int16(kmsg.Fetch), func(request kmsg.Request) (kmsg.Response, error, bool) {
		cluster.KeepControl()
		if fetch := request.(*kmsg.FetchRequest); len(fetch.Topics) > 0 {
			select {
			case asked <- fetch:
			default:
			}
		}
		return nil, nil, false
	})
	client := consume(t, c, options("group", ""))
	for option, want := range map[string]any{"MaxConcurrentFetches": 8, "BrokerMaxReadBytes": int32(100 << 20), "MaxDecompressBatchBytes": 256 << 20} {
		if got := client.OptValue(option); got != want {
			t.Errorf("%s is %v, want %v", option, got, want)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	polled := make(chan struct{})
	go func() {
		defer close(polled)
		client.PollFetches(ctx)
		client.AllowRebalance()
	}()
	defer func() { cancel(); <-polled }()
	select {
	case fetch := <-asked:
		if fetch.Rack != "zone-a" || fetch.MaxBytes != 8<<20 || fetch.Topics[0].Partitions[0].PartitionMaxBytes != 12345 || fetch.IsolationLevel != 1 || fetch.MinBytes != 1 {
			t.Errorf("asked from rack %q for %d bytes, %d a partition, isolation %d", fetch.Rack, fetch.MaxBytes, fetch.Topics[0].Partitions[0].PartitionMaxBytes, fetch.IsolationLevel)
		}
	case <-ctx.Done():
		t.Error("nothing was fetched")
	}
}

func TestProducer_holdsNoMoreBytesThanItsLimit(t *testing.T) {
	_, c := broker(t)
	client := connect(t, load(t, c))
	if got := client.OptValue(kgo.MaxBufferedBytes); got != int64(32<<20) {
		t.Errorf("the bound is %v", got)
	}
}

func TestLimits_refusesWhatDoesNotGoTogether(t *testing.T) {
	for says, setting := range map[string]string{
		"at least 1":                        "FETCH_MAX_BYTES=0",
		"more than FRESHET_KAFKA_FETCH_MAX": "FETCH_MAX_PARTITION_BYTES=9000000",
		"BROKER_MAX_READ_BYTES":             "BROKER_MAX_READ_BYTES=1000",
		"hold the largest record":           "MAX_BUFFERED_BYTES=1000",
	} {
		var cfg struct{ Kafka kafka.Config }
		err := service.Load([]string{"FRESHET_KAFKA_BROKERS=b:9092", "FRESHET_KAFKA_" + setting}, &cfg)
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s gives %v", setting, err)
		}
	}
}

func TestMeters_showWhatTheClientsDoOnTheMetricsPage(t *testing.T) {
	_, c := broker(t)
	tel, err := telemetry.New(t.Context(), telemetry.Config{Exporter: "none"}, "test", "test")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tel.Close(t.Context()) }()
	c.Meters = tel.Meters
	client := connect(t, c)
	apply(t, client)
	if err := client.ProduceSync(t.Context(), &kgo.Record{Topic: topics.DocumentsLive(), Value: []byte("v")}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{
		`messaging_kafka_connects_count_total{node_id="0",outcome="success"}`,
		`messaging_kafka_produce_records_count_total{node_id="0",topic="t.documents.live"} 1`,
	} {
		awaitLine(t, tel.Handler(), line)
	}
}

// awaitLine asks for a page until it has the line: the client counts a batch after it
// has told of its acknowledgement.
func awaitLine(t *testing.T, handler http.Handler, line string) {
	t.Helper()
	deadline := time.After(10 * time.Second)
	for {
		page := httptest.NewRecorder()
		handler.ServeHTTP(page, httptest.NewRequest(http.MethodGet, "/metrics", nil))
		if strings.Contains(page.Body.String(), line) {
			return
		}
		select {
		case <-deadline:
			t.Errorf("no line %s in\n%s", line, page.Body)
			return
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// awaitShares polls the members until each partition of the topic is read by exactly
// one of them, and each member reads some.
func awaitShares(t *testing.T, producer *kgo.Client, members ...*kgo.Client) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for ctx.Err() == nil {
		for p := range int32(partitions) {
			if err := producer.ProduceSync(ctx, &kgo.Record{Topic: "source", Partition: p, Value: []byte("v")}).FirstErr(); err != nil {
				t.Fatal(err)
			}
		}
		idle, shares, all := false, 0, map[int32]bool{}
		for _, member := range members {
			mine := map[int32]bool{}
			wait, done := context.WithTimeout(ctx, time.Second)
			member.PollFetches(wait).EachRecord(func(r *kgo.Record) { mine[r.Partition], all[r.Partition] = true, true })
			done()
			member.AllowRebalance()
			shares += len(mine)
			idle = idle || len(mine) == 0
		}
		if !idle && shares == partitions && len(all) == partitions {
			return
		}
	}
	t.Fatal("the partitions were never shared by all members")
}

// groupType returns the protocol that the brokers say a group has.
func groupType(t *testing.T, client *kgo.Client, group string) string {
	t.Helper()
	for _, kind := range []string{"classic", "consumer"} {
		groups, err := kadm.NewClient(client).ListGroupsByType(t.Context(), []string{kind})
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := groups[group]; ok {
			return kind
		}
	}
	return ""
}

func TestGroupProtocol_membersShareByTheBrokersWord(t *testing.T) {
	_, c := broker(t, kfake.SeedTopics(partitions, "source"), kfake.BrokerConfigs(map[string]string{"group.consumer.heartbeat.interval.ms": "500"}))
	sharesByTheBroker(t, c)
}

func TestGroupProtocol_membersShareByTheBrokersWordOnApacheKafka(t *testing.T) {
	k := localtest.Kafka(t, local.KafkaOptions{})
	c := kafka.Config{Brokers: []string{k.Brokers}, ClientID: "test", MetadataMinAge: 50 * time.Millisecond}
	if _, err := kadm.NewClient(connect(t, c)).CreateTopic(t.Context(), partitions, 1, nil, "source"); err != nil {
		t.Fatal(err)
	}
	sharesByTheBroker(t, c)
	changesOver(t, c)
}

func sharesByTheBroker(t *testing.T, c kafka.Config) {
	t.Helper()
	producer := connect(t, c)
	first, second := consume(t, c, options("next", kafka.NextGeneration)), consume(t, c, options("next", kafka.NextGeneration))
	awaitShares(t, producer, first, second)
	if got := groupType(t, producer, "next"); got != "consumer" {
		t.Errorf("the group is of type %q", got)
	}
	together := options("together", kafka.NextGeneration)
	together.CoPartitioned = true
	awaitShares(t, producer, consume(t, c, together))
	if got := groupType(t, producer, "together"); got != "classic" {
		t.Errorf("a co-partitioned group is of type %q", got)
	}
}

// changesOver restarts the members of a group one by one with the other protocol, and back.
func changesOver(t *testing.T, c kafka.Config) {
	t.Helper()
	producer := connect(t, c)
	member := consume(t, c, options("change", kafka.Classic))
	awaitShares(t, producer, member)
	for _, to := range []kafka.GroupProtocol{kafka.NextGeneration, kafka.Classic} {
		next := consume(t, c, options("change", to))
		awaitShares(t, producer, member, next)
		member.CloseAllowingRebalance()
		awaitShares(t, producer, next)
		if got := groupType(t, producer, "change"); got != string(to) {
			t.Errorf("with members of %s the group is of type %q", to, got)
		}
		member = next
	}
}

func TestGroupProtocol_brokersThatDoNotServeItAreFatalAtTheStart(t *testing.T) {
	t.Run("too old", func(t *testing.T) {
		_, c := broker(t, kfake.SeedTopics(1, "source"), kfake.MaxVersions(kversion.V3_7_0()))
		refusesNextGeneration(t, c)
	})
	t.Run("told not to", func(t *testing.T) {
		cluster, c := broker(t, kfake.SeedTopics(1, "source"))
		cluster.ControlKey(int16(kmsg.ConsumerGroupHeartbeat), func(request kmsg.Request) (kmsg.Response, error, bool) {
			cluster.KeepControl()
			response := request.ResponseKind().(*kmsg.ConsumerGroupHeartbeatResponse)
			response.ErrorCode = kerr.UnsupportedVersion.Code
			return response, nil, true
		})
		refusesNextGeneration(t, c)
	})
}

func refusesNextGeneration(t *testing.T, c kafka.Config) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	_, err := kafka.Consumer(ctx, c, options("group", kafka.NextGeneration), log)
	if fault.ClassOf(err) != fault.Fatal || !strings.Contains(err.Error(), "FRESHET_GROUP_PROTOCOL") {
		t.Errorf("got %v", err)
	}
}
