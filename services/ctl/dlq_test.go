package main

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/freshet-io/freshet/libs/fake"
	"github.com/freshet-io/freshet/libs/fault"
	"github.com/freshet-io/freshet/libs/service"
	"github.com/freshet-io/freshet/services/ctl/events"
	"github.com/freshet-io/freshet/services/ctl/inspect"
)

func TestPrintLetters_namesThePlaceThatWhyTakes(t *testing.T) {
	letters := []inspect.Letter{{Stage: "ingest", Reason: "field-type", Item: "Product/4711", Source: "shop.catalog.products/1/8714", Text: "field-type: no number", Partition: 3, Offset: 12}}
	var out strings.Builder
	if err := printLetters(&out, "freshet.deadletters", letters, "table"); err != nil {
		t.Fatal(err)
	}
	if lines := strings.Split(out.String(), "\n"); !strings.HasPrefix(lines[1], "freshet.deadletters/3/12  ") || lines[2] != "  Product/4711 of shop.catalog.products/1/8714: no number" {
		t.Error(out.String())
	}
}

func TestDlqList_refusesAReasonThatThereIsNot(t *testing.T) {
	for _, reason := range append([]fault.Reason{""}, fault.Reasons...) {
		if err := checkReason(string(reason)); err != nil {
			t.Error(err)
		}
	}
	cmd := dlqCommand()
	cmd.SetArgs([]string{"list", "--reason", "nope"})
	cmd.SilenceUsage, cmd.SilenceErrors = true, true
	if err := cmd.ExecuteContext(t.Context()); err == nil || !strings.Contains(err.Error(), "nope") || !strings.Contains(err.Error(), string(fault.FieldType)) {
		t.Errorf("it says %v", err)
	}
}

func TestRedrive_wantsToKnowWhichLetters(t *testing.T) {
	for _, args := range [][]string{{}, {"freshet.deadletters/0/1", "--all"}, {"--reason", "field-type", "--all"}, {"--reason", "nope"}} {
		cmd := dlqCommand()
		cmd.SetArgs(append([]string{"redrive"}, args...))
		cmd.SilenceUsage, cmd.SilenceErrors = true, true
		if err := cmd.ExecuteContext(t.Context()); err == nil || !strings.Contains(err.Error(), "--reason") {
			t.Errorf("%q: it says %v", args, err)
		}
	}
}

// A Kafka that goes away in the middle must not hold whoever stops the command, nor hide from them that it is away.
func TestRedrive_endsWithAKafkaThatGoesAway(t *testing.T) {
	broker, err := fake.StartBroker(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer broker.Close()
	var cfg cluster
	if err := service.Load([]string{"FRESHET_KAFKA_BROKERS=" + broker.Brokers()}, &cfg); err != nil {
		t.Fatal(err)
	}
	client, err := producer(t.Context(), cfg.Kafka, cfg.Topics)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if created, err := kadm.NewClient(client).CreateTopics(t.Context(), 1, 1, nil, "there"); err != nil || created.Error() != nil {
		t.Fatal(err, created.Error())
	}
	if err := sendOne(t.Context(), client, &kgo.Record{Topic: "there"}); err != nil {
		t.Fatal(err)
	}
	broker.Close()
	ctx, stop := context.WithTimeout(t.Context(), time.Second)
	defer stop()
	if err := sendOne(ctx, client, &kgo.Record{Topic: "there"}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("it says %v", err)
	}
}

// What it prints is what plan reads: bytes stay what they are, and null stays null.
func TestShow_printsWhatPlanReads(t *testing.T) {
	for name, r := range map[string]*kgo.Record{
		"texts":   {Key: []byte(`{"id":1}`), Value: []byte(`{"name":"<a> \u2028"}`)},
		"bytes":   {Key: []byte{0, 1, 255}, Value: []byte{0, 0, 0, 0, 7, 254}},
		"nothing": {Key: []byte("k")},
		"empty":   {Key: []byte{}, Value: []byte{}},
	} {
		var out strings.Builder
		r.Topic, r.Partition, r.Offset = "shop", 3, 12
		if err := writeRecord(&out, r); err != nil {
			t.Fatal(err)
		}
		err := events.Read("-", strings.NewReader(out.String()), nil, func(e events.Event) error {
			got := e.Record
			if got.Topic != "shop" || got.Partition != 3 || got.Offset != 12 || string(got.Key) != string(r.Key) || string(got.Value) != string(r.Value) || (got.Value == nil) != (r.Value == nil) {
				t.Errorf("%s: %s is read as %+v", name, out.String(), got)
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	}
}
