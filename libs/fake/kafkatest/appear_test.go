package kafkatest

import (
	"net"
	"strconv"
	"sync/atomic"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// The controller answers when it has made a topic. A broker that has not heard of it yet would have the services that
// start right after, and ask this one, end with "topic … does not exist".
func TestApply_waitsUntilTheLastBrokerKnowsTheTopics(t *testing.T) {
	const slowNode, slowFor = 2, 5 // answers
	cluster, c := broker(t, kfake.NumBrokers(3))
	client := connect(t, c)
	var ignorant atomic.Int64
	cluster.ControlKey(int16(kmsg.Metadata), func(r kmsg.Request) (kmsg.Response, error, bool) {
		cluster.KeepControl()
		request := r.(*kmsg.MetadataRequest) //nolint:forcetypeassert // its key says so
		if cluster.CurrentNode() != slowNode || len(request.Topics) == 0 || ignorant.Load() == slowFor {
			return nil, nil, false
		}
		ignorant.Add(1)
		answer := request.ResponseKind().(*kmsg.MetadataResponse) //nolint:forcetypeassert // as above
		for i, address := range cluster.ListenAddrs() {
			answer.Brokers = append(answer.Brokers, node(t, int32(i), address)) //nolint:gosec // three
		}
		for _, asked := range request.Topics {
			topic := kmsg.NewMetadataResponseTopic()
			topic.Topic, topic.ErrorCode = asked.Topic, kerr.UnknownTopicOrPartition.Code
			answer.Topics = append(answer.Topics, topic)
		}
		return answer, nil, true
	})
	apply(t, client)
	if n := ignorant.Load(); n != slowFor {
		t.Errorf("Apply has returned when a broker had said %d of %d times that it knows no such topic", n, slowFor)
	}
}

func node(t *testing.T, id int32, address string) kmsg.MetadataResponseBroker {
	t.Helper()
	host, text, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.ParseInt(text, 10, 32)
	if err != nil {
		t.Fatal(err)
	}
	b := kmsg.NewMetadataResponseBroker()
	b.NodeID, b.Host, b.Port = id, host, int32(port)
	return b
}
