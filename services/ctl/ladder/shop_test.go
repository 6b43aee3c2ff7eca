package ladder_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/freshet-io/freshet/libs/kafka"
	"github.com/freshet-io/freshet/libs/record"
	"github.com/freshet-io/freshet/libs/service"
	"github.com/freshet-io/freshet/libs/weaviate"
	"github.com/freshet-io/freshet/services/ctl/catalogue"
	"github.com/freshet-io/freshet/services/ctl/rig"
)

const (
	collection       = "Product"
	sourceTopic      = "shop.catalog.products"
	sourcePartitions = 6
	products         = 240
	perSecond        = 40 // changes
)

// shop is a table that keeps changing, and what the index must have of it.
type shop struct {
	t        *testing.T
	client   *kgo.Client
	weaviate weaviate.Config
	topics   kafka.Topics
	table    *catalogue.Shop
	ids      []int64
	sent     int
	index    *weaviate.Client // opened when there are collections
}

func newShop(t *testing.T, s *servers) *shop {
	t.Helper()
	var cfg struct {
		Kafka    kafka.Config
		Topics   kafka.Topics `inline:"true"`
		Weaviate weaviate.Config
	}
	if err := service.Load([]string{
		"FRESHET_KAFKA_BROKERS=" + s.kafka, "FRESHET_WEAVIATE_URL=http://" + s.rest, "FRESHET_WEAVIATE_GRPC=" + s.grpc, "FRESHET_WEAVIATE_API_KEY=" + s.weaviateKey,
	}, &cfg); err != nil {
		t.Fatal(err)
	}
	client, err := cfg.Kafka.Connect(t.Context(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	created, err := kadm.NewClient(client).CreateTopics(t.Context(), sourcePartitions, 1, nil, sourceTopic)
	if err := errors.Join(err, created.Error()); err != nil {
		t.Fatal(err)
	}
	h := &shop{t: t, client: client, weaviate: cfg.Weaviate, topics: cfg.Topics}
	var sold []catalogue.Product
	for _, p := range catalogue.Products() {
		if p.Active && len(sold) < products {
			sold = append(sold, p)
			h.ids = append(h.ids, p.ID)
		}
	}
	h.table = catalogue.NewShop(1, sold)
	return h
}

func (h *shop) send(ctx context.Context, c catalogue.Change) error {
	h.sent++
	key, value := c.Envelope(time.Now())
	return rig.Send(ctx, h.client, &kgo.Record{Topic: sourceTopic, Key: key, Value: value})
}

// fill sends each product as it is.
func (h *shop) fill() error {
	for _, id := range h.ids {
		p, _ := h.table.Product(id)
		if err := h.send(h.t.Context(), catalogue.Change{After: &p}); err != nil {
			return err
		}
	}
	return nil
}

// trickle sends changes by chance until ctx ends.
func (h *shop) trickle(ctx context.Context) error {
	tick := time.NewTicker(time.Second / perSecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		// A change that the table has is sent, whatever has ended.
		if err := h.send(context.WithoutCancel(ctx), h.table.Next()); err != nil {
			return err
		}
	}
}

// compare waits until the index has all of the table as it is, and nothing that was deleted, each found by its own vector.
func (h *shop) compare() error {
	if h.index == nil {
		index, err := weaviate.Open(h.t.Context(), h.weaviate)
		if err != nil {
			return err
		}
		h.t.Cleanup(func() { _ = index.Close() })
		h.index = index
	}
	if err := await(h.differs); err != nil {
		return err
	}
	letters, err := rig.Records(h.t.Context(), h.client, h.topics.DeadLetters())
	if err == nil && letters > 0 {
		err = fmt.Errorf("%d dead letters", letters)
	}
	return err
}

func (h *shop) differs() error {
	var items, live []record.Item
	for _, id := range h.ids {
		items = append(items, record.Item{Collection: collection, ID: []string{strconv.FormatInt(id, 10)}})
	}
	ctx, cancel := context.WithTimeout(h.t.Context(), time.Minute)
	defer cancel()
	if _, err := h.index.Describe(ctx, collection); err != nil {
		return err
	}
	stored, err := h.index.Load(ctx, collection, items, true)
	if err != nil {
		return err
	}
	var wrong []error
	for i, s := range stored {
		want, sold := h.table.Product(h.ids[i])
		if sold {
			live = append(live, items[i])
		}
		if err := difference(want, sold, s); err != nil {
			wrong = append(wrong, fmt.Errorf("product %d %w", h.ids[i], err))
		}
	}
	if len(wrong) > 0 {
		return fmt.Errorf("%d of %d products are not as they were sent: %w", len(wrong), len(items), errors.Join(wrong[:min(len(wrong), 5)]...))
	}
	missing, err := h.index.SelfFound(ctx, collection, live, nil)
	if err == nil && len(missing) > 0 {
		err = fmt.Errorf("%d products are not found by their own vectors", len(missing))
	}
	return err
}

func difference(want catalogue.Product, sold bool, s weaviate.Stored) error {
	switch {
	case !sold && s.State.Live():
		return errors.New("is deleted and still there")
	case !sold:
		return nil
	case !s.Main || !s.State.Complete():
		return errors.New("is not there")
	case s.State.Text != want.Text():
		return fmt.Errorf("has the text %q, want %q", s.State.Text, want.Text())
	case !bytes.Equal(s.State.Held, s.State.Wanted):
		return errors.New("has the vector of another text")
	}
	got := map[string]string{}
	for _, p := range s.State.Properties {
		got[p.GetName()] = p.GetValue().Display()
	}
	price, err := strconv.ParseFloat(got["price"], 64)
	wanted, wantedErr := strconv.ParseFloat(want.Price.String(), 64)
	if err != nil || wantedErr != nil || price != wanted || got["stock"] != strconv.Itoa(want.Stock) {
		return fmt.Errorf("has price %s and stock %s, want %s and %d", got["price"], got["stock"], want.Price, want.Stock)
	}
	return nil
}
