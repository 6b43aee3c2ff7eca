package kafkatest

import (
	"fmt"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/freshet-io/freshet/libs/kafka"
)

func TestScan_aBrokerThatGivesNothingMoreIsNotTheEnd(t *testing.T) {
	cluster, c := broker(t, kfake.SeedTopics(1, "source"))
	client := connect(t, c)
	for i := range 3 {
		if err := client.ProduceSync(t.Context(), &kgo.Record{Topic: "source", Value: fmt.Append(nil, i)}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	scan := func() (read int, err error) {
		err = kafka.Scan(t.Context(), c, []kafka.Span{{Topic: "source", From: 0, To: 3}}, log, func(*kgo.Record) bool {
			read++
			return true
		})
		return read, err
	}
	if read, err := scan(); read != 3 || err != nil {
		t.Fatalf("%d records, %v; want 3", read, err)
	}
	cluster.ControlKey(int16(kmsg.Fetch), func(request kmsg.Request) (kmsg.Response, error, bool) {
		cluster.KeepControl()
		return request.ResponseKind(), nil, true // as a broker that throttles
	})
	if read, err := scan(); err == nil || !strings.Contains(err.Error(), "source/0") {
		t.Errorf("%d of 3 records are read, and the error is %v", read, err)
	}
}
