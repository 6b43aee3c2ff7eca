package console_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/freshet-io/freshet/libs/pipeline"
	"github.com/freshet-io/freshet/libs/record"
	"github.com/freshet-io/freshet/libs/weaviate"
	"github.com/freshet-io/freshet/services/ctl/catalogue"
	"github.com/freshet-io/freshet/services/ctl/console"
	"github.com/freshet-io/freshet/services/ctl/finder"
	"github.com/freshet-io/freshet/services/ctl/inspect"
)

// fixture is an installation that is told what to answer: all that a page can be shown, also what no server here does.
type fixture struct {
	mu       sync.Mutex
	looks    int
	trouble  []inspect.Cause
	unknown  []string
	failing  error  // of everything
	said     string // of letters and records, in the place of what they say
	products []catalogue.Product
	changes  []console.Change
	searched []finder.Query
}

func newFixture() *fixture { return &fixture{products: catalogue.Products()[:40]} }

func (*fixture) Parse(text, _, _ string) (inspect.Subject, error) {
	if text == "" {
		return inspect.Subject{}, errors.New("say which item")
	}
	if parts := strings.Split(text, "/"); len(parts) == 3 {
		return inspect.Subject{Place: &inspect.Place{Topic: parts[0]}}, nil
	}
	return inspect.Subject{Item: &record.Item{Collection: "Product", ID: strings.Split(text, "+")}}, nil
}

func (f *fixture) product(id string) *catalogue.Product {
	for i := range f.products {
		if number(f.products[i].ID) == id {
			return &f.products[i]
		}
	}
	return nil
}

var looked = time.Date(2026, time.November, 30, 17, 42, 7, 0, time.UTC)

func (f *fixture) Item(_ context.Context, s inspect.Subject) (inspect.Item, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.failing != nil {
		return inspect.Item{}, f.failing
	}
	if s.Place != nil {
		return f.letterItem(), nil
	}
	id := s.Item.ID[0]
	p := f.product(id)
	if p == nil {
		return inspect.Item{
			At: looked, Subject: id, Item: &inspect.ItemName{Collection: "Product", ID: s.Item.ID, UUID: "0b4c", Partition: 2}, Index: &inspect.Index{Standing: inspect.Absent},
			Causes: []inspect.Cause{{Code: inspect.CauseNotInSource, Summary: "No change of it is in the source topics.", Do: "Look whether the producer sends it: freshet plan --sample shows what a record becomes."}},
		}, nil
	}
	start := looked.Add(-41 * time.Second)
	paid := true
	hops := []inspect.Hop{
		{Name: "source lag", Took: inspect.Seconds(3 * time.Millisecond)},
		{Name: "process", Stage: "ingest", Took: inspect.Seconds(2 * time.Millisecond)},
		{Name: "queue", Took: inspect.Seconds(5 * time.Millisecond)},
		{Name: "embeddings", Stage: "embed", Took: inspect.Seconds(61 * time.Millisecond)},
		{Name: "queue", Took: inspect.Seconds(4 * time.Millisecond)},
		{Name: "write", Stage: "write", Took: inspect.Seconds(12 * time.Millisecond)},
	}
	var all time.Duration
	for i := range hops {
		hops[i].Start = start.Add(all)
		hops[i].Share = time.Duration(hops[i].Took).Seconds() / 0.087
		all += time.Duration(hops[i].Took)
	}
	return inspect.Item{
		At: looked, Subject: id,
		Item: &inspect.ItemName{Collection: "Product", ID: []string{id}, UUID: "5f1d0c7e-9f6e-5d0a-8d0d-6a0a5a1d2b3c", Partition: 4},
		Index: &inspect.Index{
			Standing: inspect.Searchable, Class: "Product_g1", Generation: 1, Version: 18422, Text: p.Text(),
			Fingerprint: "9d1c4be07a52f3aa41c4be07a52f3aa4", VectorOf: "9d1c4be07a52f3aa41c4be07a52f3aa4", Tokens: 46, CommittedAt: start, UpdatedAt: start.Add(all),
			Origin: &inspect.Place{Topic: catalogue.Topic, Partition: 1, Offset: 9120},
			Properties: []inspect.Property{
				{Name: "name", Value: p.Name},
				{Name: "brand", Value: p.Brand},
				{Name: "category", Value: strings.Join(p.CategoryPath, ", ")},
				{Name: "price", Value: p.Price.String()},
				{Name: "stock", Value: strconv.Itoa(p.Stock)},
				{Name: "updated_at", Value: start.Format(time.RFC3339)},
			},
		},
		Timeline: &inspect.Timeline{Version: 18422, Of: inspect.Place{Topic: "freshet.vectors.live", Partition: 4, Offset: 771}, Start: start, End: start.Add(all), Done: true, Hops: hops, Unsplit: "only its trace, where it has one, tells how much of the last part was the queue before write, and how much the write itself; a batch of write takes 9ms now (median)"},
		Cost:     &inspect.Cost{Tokens: 46, Counted: true, Paid: &paid, Money: 0.00000598, Currency: "USD"},
		TraceID:  "4bf92f3577b34da6a3ce929d0e0e4736",
		Causes:   []inspect.Cause{{Code: inspect.CauseNotInSource, Summary: "It is up to date: the index has the newest change that is in the source topics.", Detail: "That change was searchable 87 ms after its commit."}},
	}, nil
}

func (f *fixture) letterItem() inspect.Item {
	return inspect.Item{
		At: looked, Subject: "shop.catalog.products/1/8714",
		Item: &inspect.ItemName{Collection: "Product", ID: []string{"1003"}, UUID: "77a1", Partition: 1},
		Record: &inspect.Record{
			Place: inspect.Place{Topic: "shop.catalog.products", Partition: 1, Offset: 8714}, Timestamp: looked.Add(-3 * time.Minute),
			Key: `{"id":1003}`, Value: f.said + `{"before":null,"after":{"id":1003,"name":"Alder Kettle","price":"twelve"},"op":"u"}`,
			Headers: map[string]string{"traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00" + f.said},
			Said:    f.said + "field-type: price: \"twelve\" is no number",
		},
		Causes: []inspect.Cause{{Code: inspect.CauseDeadLetter, Summary: "Its newest change cannot be used: price is \"twelve\", which is no number.", Do: "Correct the row at its source: the next change of it takes this one's place."}},
	}
}

func (f *fixture) Status(context.Context) (inspect.Status, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.failing != nil {
		return inspect.Status{}, f.failing
	}
	f.looks++
	wave := 5 + 1.6*math.Sin(float64(f.looks)/3) + 0.6*math.Sin(float64(f.looks)*1.7)
	ms := func(n int) inspect.Seconds { return inspect.Seconds(time.Duration(n) * time.Millisecond) }
	s := inspect.Status{
		At: looked.Add(time.Duration(f.looks) * 2 * time.Second), Window: ms(2000),
		Stages: []inspect.Stage{
			{Name: "ingest", Group: "freshet-ingest", Members: 1, Topics: []string{"shop.catalog.products"}, Partitions: 3, Rate: wave, Replicas: 1},
			{Name: "embed", Group: "freshet-embed", Members: 1, Topics: []string{"freshet.documents.live"}, Partitions: 6, Lag: 2, LagTime: ms(12), Rate: wave * 0.98, Replicas: 1},
			{Name: "embed-bulk", Group: "freshet-embed-bulk", Members: 1, Topics: []string{"freshet.documents.bulk"}, Partitions: 6, Replicas: 1},
			{Name: "write", Group: "freshet-write", Members: 1, Topics: []string{"freshet.vectors.live", "freshet.vectors.bulk"}, Partitions: 12, Rate: wave * 1.01, Replicas: 1},
		},
		Freshness: []inspect.Freshness{
			{Collection: "Product", To: "acknowledged", Items: 18422, P50: ms(8), P95: ms(52), P99: ms(94), Window: ms(60000)},
			{Collection: "Product", To: "searchable", Items: 190, P50: ms(11), P95: ms(61), P99: ms(103), Window: ms(60000)},
		},
		Provider: &inspect.Provider{Endpoints: []inspect.Endpoint{{Role: "first", Gate: "open", Keys: 1, Requests: 3000}}, Requests: 1.2, Tokens: 54, Saved: 171},
		Money:    &inspect.Money{Currency: "USD", PerHour: 0.0253, Today: 0.41, Saved: 1.29, Budget: 25},
		Index:    []inspect.IndexState{{Collection: "Product", Class: "Product_g1", Writable: new(true)}},
		Letters: &inspect.LetterCounts{Since: looked.Add(-24 * time.Hour), Total: 9, Kept: 14, Counts: []inspect.LetterCount{
			{Stage: "ingest", Reason: "field-type", Count: 5, Last: looked.Add(-3 * time.Minute)},
			{Stage: "ingest", Reason: "malformed", Count: 3, Last: looked.Add(-2 * time.Hour)},
			{Stage: "embed", Reason: "oversize", Count: 1, Last: looked.Add(-5 * time.Hour)},
		}},
		Services: []inspect.Service{{Address: "127.0.0.1:9091", Stages: []string{"ingest", "embed", "write"}, Ready: true}},
		Trouble:  slices.Clone(f.trouble),
		Unknown:  slices.Clone(f.unknown),
	}
	if len(f.trouble) > 0 { // nobody runs write
		write := &s.Stages[3]
		write.Members, write.Rate, write.Lag, write.LagTime = 0, 0, 14_120, inspect.Seconds(95*time.Second)
		s.Services = append(s.Services, inspect.Service{Address: "10.4.0.17:9090", Says: "connection refused"})
	}
	if len(f.unknown) > 0 { // Weaviate does not answer
		s.Index[0].Class, s.Index[0].Writable = "", nil
	}
	return s, nil
}

func (f *fixture) Letters(_ context.Context, reason string, limit int) ([]inspect.Letter, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.failing != nil {
		return nil, f.failing
	}
	letters := []inspect.Letter{
		{At: looked.Add(-3 * time.Minute), Stage: "ingest", Reason: "field-type", Item: "Product 1003", Source: "shop.catalog.products/1/8714", Text: f.said + `price: "twelve" is no number`},
		{At: looked.Add(-2 * time.Hour), Stage: "ingest", Reason: "malformed", Source: "shop.catalog.products/0/8123", Text: "the value is no JSON: unexpected end of input at byte 211"},
		{At: looked.Add(-5 * time.Hour), Stage: "embed", Reason: "oversize", Item: "Product 1020", Source: "freshet.documents.live/3/412", Text: "the text has 9,812 tokens, the model takes 8,192"},
	}
	letters = slices.DeleteFunc(letters, func(l inspect.Letter) bool { return reason != "" && l.Reason != reason })
	return letters[:min(limit, len(letters))], nil
}

func (f *fixture) Find(_ context.Context, q finder.Query) ([]weaviate.Hit, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.searched = append(f.searched, q)
	if f.failing != nil {
		return nil, f.failing
	}
	var hits []weaviate.Hit
	for i, p := range f.products[:min(q.Limit, len(f.products))] {
		hits = append(hits, weaviate.Hit{Item: record.Item{Collection: "Product", ID: []string{number(p.ID)}}, Distance: 0.48 + float64(i)*0.011, Properties: []*record.Property{
			{Name: "name", Value: text(p.Name)},
			{Name: "brand", Value: text(p.Brand)},
			{Name: "category", Value: text(strings.Join(p.CategoryPath, ", "))},
			{Name: "price", Value: text(p.Price.String())},
			{Name: "stock", Value: text(strconv.Itoa(p.Stock))},
		}})
	}
	return hits, nil
}

func number(id int64) string { return strconv.FormatInt(id, 10) }

func text(s string) *record.Value { return &record.Value{Kind: &record.Value_Text{Text: s}} }

func (*fixture) Collection() string { return "Product" }

func (f *fixture) Change(_ context.Context, c console.Change) (console.Seen, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.changes = append(f.changes, c)
	f.product(c.ID).Name = c.Name
	_, _ = fmt.Sscan(strings.Replace(c.Price, ".", "", 1), &f.product(c.ID).Price)
	return console.Seen{Took: inspect.Seconds(87 * time.Millisecond), By: "found first by the meaning of its text, where price = " + c.Price}, nil
}

func (f *fixture) set(change func(*fixture)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change(f)
}

func (f *fixture) console() console.Console {
	file, err := pipeline.Parse(catalogue.PipelineFile())
	if err != nil {
		panic(err)
	}
	return console.Console{Facts: f, Finder: f, Shop: f, File: file}
}
