package bench

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/freshet-io/freshet/libs/record"
	"github.com/freshet-io/freshet/services/ctl/rig"
	"github.com/freshet-io/freshet/services/embed/embedder"
)

const (
	embedGoal = 0.95
	addedGoal = 10 * time.Millisecond
	model     = "text-embedding-3-large"
	// embedDimensions is small, so that the stand-in and its vectors, which take the same
	// cores, are not what is measured.
	embedDimensions   = 256
	aRequest          = 32 // texts: what text-embeddings-inference takes by default
	fullRequest       = 100
	pacedRate         = 116
	requestsPerMinute = 600 // that the stand-in allows where it has limits, or as many tokens
)

func openAISpace(dimensions int) string {
	return fmt.Sprintf("space: {provider: openai, model: %s, dimensions: %d}", model, dimensions)
}

// embed measures what share of a provider's capacity the embed service uses while documents wait, how much time it adds to
// the provider's while they trickle in, what it pays for, and the memory that it takes.
func embed(ctx context.Context, r run) ([]Figure, error) {
	small, err := embedParts(ctx, r, embedDimensions, embedPrices, embedConnections, embedRequests, embedLimits)
	if err != nil {
		return nil, err
	}
	large, err := embedParts(ctx, r, largeDimensions, embedLarge, embedResident)
	return append(small, large...), err
}

// embedPart measures one thing, with documents that no part before had.
type embedPart func(context.Context, *bed, *standIn) ([]Figure, error)

// embedParts measures one after the other, on the same servers.
func embedParts(ctx context.Context, r run, dimensions int, parts ...embedPart) (figures []Figure, err error) {
	provider, stop, err := startStandIn(ctx, dimensions)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, stop()) }()
	b, err := openBed(ctx, r, openAISpace(dimensions), true)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, b.close(ctx)) }()
	b.environ = append(b.environ, "FRESHET_OPENAI_URL="+provider.url, "FRESHET_EMBED_OVERTAKE_AFTER=0") // each document is counted once
	for _, part := range parts {
		provider.requests.Store(0)
		provider.tokens.Store(0)
		more, err := part(ctx, b, provider)
		if err != nil {
			return nil, err
		}
		figures = append(figures, more...)
	}
	return figures, nil
}

// embedConnections is about a provider that serves so many requests at a time.
func embedConnections(ctx context.Context, b *bed, provider *standIn) ([]Figure, error) {
	trickled := int(b.paced.Seconds() * pacedRate / 2)
	docs, err := b.documents(ctx, b.fresh(b.texts+trickled))
	if err != nil {
		return nil, err
	}
	waiting, trickle := docs[:b.texts], docs[b.texts:]
	b.say("%d texts, %d a request, by a bare client, then by the embed service", len(waiting), aRequest)
	capacity, err := provider.capacity(ctx, textsOf(waiting), aRequest)
	if err != nil {
		return nil, err
	}
	own, err := provider.latency(ctx, b.probes)
	if err != nil {
		return nil, err
	}
	var total []time.Duration
	embedded, err := b.embedWaiting(ctx, waiting, func(ctx context.Context) error {
		b.say("%d documents, %d a second", trickled, pacedRate)
		total, err = b.trickle(ctx, b.topics.VectorsLive(), pacedRate, keysOf(trickle), func(i int) error {
			return b.sendDocuments(ctx, trickle[i:i+1])
		})
		return err
	}, fmt.Sprintf("FRESHET_EMBED_BATCH_ITEMS=%d", aRequest))
	if err != nil {
		return nil, err
	}
	return []Figure{
		rate(fmt.Sprintf("a provider's capacity used, %d texts a request, %d at a time", aRequest, atATime), "texts/s", embedded.rate().perSecond, capacity, embedGoal),
		latency(fmt.Sprintf("added to the provider's own time at %d documents a second, p50", pacedRate), rig.Percentile(total, 50)-own, own, addedGoal),
	}, nil
}

// embedWaiting has documents embedded that wait when the service starts, and returns the pace. then runs while the service
// does, after that; nil does nothing.
func (b *bed) embedWaiting(ctx context.Context, docs []*record.Document, then work, environ ...string) (*pace, error) {
	before, err := b.size(ctx, b.topics.VectorsLive())
	if err != nil {
		return nil, err
	}
	if err := b.sendDocuments(ctx, docs); err != nil {
		return nil, err
	}
	if err := b.client.Flush(ctx); err != nil {
		return nil, fmt.Errorf("sending %d documents: %w", len(docs), err)
	}
	var embedded *pace
	err = during(ctx, func(ctx context.Context) (err error) {
		if embedded, err = b.growth(ctx, b.topics.VectorsLive(), before, len(docs)); err == nil && then != nil {
			err = then(ctx)
		}
		return err
	}, serve(b, embedder.Run, environ...))
	return embedded, err
}

func textsOf(docs []*record.Document) []string {
	texts := make([]string, len(docs))
	for i, d := range docs {
		texts[i] = d.GetText()
	}
	return texts
}

func keysOf(docs []*record.Document) []string {
	keys := make([]string, len(docs))
	for i, d := range docs {
		keys[i] = string(d.Item().Key())
	}
	return keys
}

// sendDocuments produces documents as ingest does, and does not wait.
func (b *bed) sendDocuments(ctx context.Context, docs []*record.Document) error {
	for _, d := range docs {
		value, err := d.Encode()
		if err != nil {
			return err
		}
		b.client.Produce(ctx, b.placed(b.topics.DocumentsLive(), d.Item(), value), nil)
	}
	return nil
}
