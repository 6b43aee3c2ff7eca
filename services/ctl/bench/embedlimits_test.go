package bench

import (
	"context"
	"fmt"
)

// embedRequests counts the requests for documents that wait.
func embedRequests(ctx context.Context, b *bed, provider *standIn) ([]Figure, error) {
	docs, err := b.documents(ctx, b.fresh(b.waiting))
	if err != nil {
		return nil, err
	}
	b.say("%d texts that wait, %d a request", len(docs), fullRequest)
	if _, err := b.embedWaiting(ctx, docs, nil, fmt.Sprintf("FRESHET_EMBED_BATCH_ITEMS=%d", fullRequest)); err != nil {
		return nil, err
	}
	least := float64(len(docs)) / fullRequest
	return []Figure{atMost(fmt.Sprintf("requests for %d texts that wait, %d a request", len(docs), fullRequest), "requests", float64(provider.requests.Load()), least, 1.05*least)}, nil
}

// embedLimits is about a provider that bounds what comes a minute, and says so. Both limits allow as many texts.
func embedLimits(ctx context.Context, b *bed, provider *standIn) (figures []Figure, err error) {
	const capacity = requestsPerMinute * aRequest / 60.0
	for _, bounds := range []string{"requests", "tokens"} {
		docs, err := b.documents(ctx, b.fresh(b.limited))
		if err != nil {
			return nil, err
		}
		l := &limits{requests: requestsPerMinute}
		if bounds == "tokens" {
			l = &limits{tokens: requestsPerMinute * aRequest * float64(tokensOf(textsOf(docs)...)) / float64(len(docs))}
		}
		provider.limits.Store(l)
		b.say("%d texts of a provider that bounds the %s of a minute", len(docs), bounds)
		embedded, err := b.embedWaiting(ctx, docs, nil, fmt.Sprintf("FRESHET_EMBED_BATCH_ITEMS=%d", aRequest))
		if err != nil {
			return nil, err
		}
		figures = append(figures, rate("capacity used of a provider that bounds the "+bounds+" of a minute", "texts/s", embedded.rate().perSecond, capacity, embedGoal))
	}
	provider.limits.Store(nil)
	return figures, nil
}
