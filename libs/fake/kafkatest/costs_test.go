package kafkatest

import (
	"context"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/freshet-io/freshet/libs/kafka"
	"github.com/freshet-io/freshet/libs/record"
)

func costs(t *testing.T, client *kgo.Client, from time.Time) *kafka.Costs {
	t.Helper()
	c, err := kafka.OpenCosts(t.Context(), client, topics, from)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// paid reads what is new, and returns the tokens by replica and hour; the last entry of a key counts.
func paid(t *testing.T, c *kafka.Costs) map[string]int64 {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second) // one that waits for what does not come fails here
	defer cancel()
	all, err := c.Read(ctx)
	if err != nil {
		t.Fatal(err)
	}
	tokens := map[string]int64{}
	for _, cost := range all {
		tokens[cost.Replica+cost.Hour.Format("15")] = cost.Paid()
	}
	return tokens
}

func TestCosts_areReadOnceByEachReplicaAndAreThereAfterARestart(t *testing.T) {
	_, c := broker(t)
	client := connect(t, c)
	apply(t, client)
	today := time.Now().UTC().Truncate(24 * time.Hour)
	put := func(ledger *kafka.Costs, replica string, hour int, paid int64) {
		t.Helper()
		cost := &record.Cost{
			Hour: today.Add(time.Duration(hour) * time.Hour), Collection: "Product", Pipeline: "products", Replica: replica,
			Tenants: map[string]record.Tokens{"": {Paid: paid - 1}, "shop": {Paid: 1}},
		}
		if err := ledger.Put(t.Context(), []*record.Cost{cost}); err != nil {
			t.Fatal(err)
		}
	}
	a, b := costs(t, client, today), costs(t, client, today)
	expect := func(ledger *kafka.Costs, want map[string]int64) {
		t.Helper()
		if got := paid(t, ledger); !maps.Equal(got, want) {
			t.Errorf("read %v, want %v", got, want)
		}
	}
	expect(a, map[string]int64{})
	put(a, "a", 3, 10)
	put(b, "b", 3, 5)
	expect(a, map[string]int64{"a03": 10, "b03": 5})
	put(b, "b", 3, 7)
	put(b, "b", 4, 1)
	expect(a, map[string]int64{"b03": 7, "b04": 1})
	expect(b, map[string]int64{"a03": 10, "b03": 7, "b04": 1})
	expect(b, map[string]int64{})
	expect(costs(t, client, today), map[string]int64{"a03": 10, "b03": 7, "b04": 1}) // after a restart
	expect(costs(t, client, today.Add(48*time.Hour)), map[string]int64{})            // nothing is as young
}

func TestCosts_saysThatTheTopicIsMissing(t *testing.T) {
	_, c := broker(t)
	if _, err := kafka.OpenCosts(t.Context(), connect(t, c), topics, time.Now()); err == nil || !strings.Contains(err.Error(), "freshet topics apply") {
		t.Error(err)
	}
}
