package inspect

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/freshet-io/freshet/libs/kafka"
	"github.com/freshet-io/freshet/libs/record"
)

func TestMoney_theLedgerIsReadOnceAndThenFromWhereItStood(t *testing.T) {
	i := &Inspector{}
	i.cfg.Topics.Prefix = "t"
	broker, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, i.cfg.Topics.Costs()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(broker.Close)
	i.own = newCluster(kafka.Config{Brokers: broker.ListenAddrs(), ClientID: "test", MetadataMinAge: 50 * time.Millisecond})
	t.Cleanup(i.own.end)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	client, err := i.own.get(ctx)
	if err != nil {
		t.Fatal(err)
	}
	var first atomic.Int64 // the lowest offset that was fetched
	broker.ControlKey(int16(kmsg.Fetch), func(request kmsg.Request) (kmsg.Response, error, bool) {
		broker.KeepControl()
		for _, topic := range request.(*kmsg.FetchRequest).Topics {
			first.Store(min(first.Load(), topic.Partitions[0].FetchOffset))
		}
		return nil, nil, false
	})
	midnight := time.Date(2026, 11, 30, 0, 0, 0, 0, time.UTC)
	spends := func(hour int, paid int64) {
		t.Helper()
		entry := &record.Cost{
			Hour: midnight.Add(time.Duration(hour) * time.Hour), Collection: "Product", Replica: "a", Currency: "EUR", Price: 1e6,
			Tenants: map[string]record.Tokens{"": {Paid: paid}},
		}
		value, err := entry.Encode()
		if err != nil {
			t.Fatal(err)
		}
		r := &kgo.Record{Topic: i.cfg.Topics.Costs(), Key: []byte(entry.Key()), Value: value, Timestamp: entry.Hour}
		if err := client.ProduceSync(ctx, r).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	w := window{earlier: &look{at: midnight.Add(5 * time.Hour)}, now: &look{at: midnight.Add(6 * time.Hour)}}
	for _, step := range []struct {
		hour  int
		paid  int64
		today float64
		from  int64
	}{{3, 10, 10, 0}, {4, 5, 15, 1}, {4, 7, 17, 2}} { // the last one replaces the one before
		spends(step.hour, step.paid)
		first.Store(1000)
		m, err := i.money(ctx, w)
		if err != nil || m.Today != step.today || m.Currency != "EUR" {
			t.Fatalf("after hour %d: %+v, %v; want %g today", step.hour, m, err, step.today)
		}
		if first.Load() < step.from {
			t.Errorf("after hour %d the ledger is read from %d on, want from %d", step.hour, first.Load(), step.from)
		}
	}
	w.now = &look{at: midnight.Add(30 * time.Hour)}
	if m, err := i.money(ctx, w); err != nil || m.Today != 0 {
		t.Errorf("the next day begins with %+v, %v", m, err)
	}
}
