package bench

import (
	"context"
	"fmt"
	"math"

	"github.com/freshet-io/freshet/services/ctl/catalogue"
	"github.com/freshet-io/freshet/services/embed/embedder"
	"github.com/freshet-io/freshet/services/write/writer"
)

const (
	paidGoal    = 1.01
	dayChanges  = 10_000_000
	priceOf1M   = 0.13 // of the model
	changesEach = 5    // of an item: one text and then prices, four of five
)

// embedPrices counts what is paid for where most changes are of prices, while the write service fills the index.
func embedPrices(ctx context.Context, b *bed, provider *standIn) ([]Figure, error) {
	list := b.fresh(b.waiting / changesEach)
	var unique, all int64
	changes := 0
	err := during(ctx, func(ctx context.Context) error {
		b.say("%d changes of %d items, four of five of a price", changesEach*len(list), len(list))
		for range changesEach {
			docs, err := b.documents(ctx, list)
			if err != nil {
				return err
			}
			tokens := tokensOf(textsOf(docs)...)
			unique, all, changes = max(unique, tokens), all+tokens, changes+len(docs)
			if err := b.sendDocuments(ctx, docs); err != nil {
				return err
			}
			raisePrices(list)
		}
		return b.awaitCommitted(ctx, "-embed", b.topics.DocumentsLive())
	}, serve(b, embedder.Run), serve(b, writer.Run))
	if err != nil {
		return nil, err
	}
	paid, requests := float64(provider.tokens.Load()), float64(provider.requests.Load())
	aDay := dayChanges / float64(changes)
	without := math.Ceil(float64(changes) / (float64(len(list)) / requests)) // as many texts in each
	return []Figure{
		atMost("tokens paid for, four of five changes of a price, against those of different texts", "tokens", paid, float64(unique), paidGoal*float64(unique)),
		atMost("a day of 10 million such changes, against a call for each: requests", "requests", aDay*requests, aDay*without, 0),
		atMost("tokens", "million", aDay*paid/1e6, aDay*float64(all)/1e6, 0),
		atMost(fmt.Sprintf("money at %g a million", priceOf1M), "USD", aDay*paid/1e6*priceOf1M, aDay*float64(all)/1e6*priceOf1M, 0),
	}, nil
}

func raisePrices(list []catalogue.Product) {
	for i := range list {
		list[i].Price++
	}
}
