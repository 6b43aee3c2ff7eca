package bench

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/freshet-io/freshet/libs/record"
	"github.com/freshet-io/freshet/services/ctl/rig"
	"github.com/freshet-io/freshet/services/embed/embedder"
)

const (
	embedGoal = 0.9
	model     = "text-embedding-3-large"
	// embedDimensions is small, so that the stand-in and its vectors, which take the same
	// cores, are not what is measured.
	embedDimensions = 256
	aRequest        = 32 // texts: what text-embeddings-inference takes by default
	pacedRate       = 116
)

func openAISpace(dimensions int) string {
	return fmt.Sprintf("space: {provider: openai, model: %s, dimensions: %d}", model, dimensions)
}

// embed measures what share of a provider's capacity the embed service uses while
// documents wait, and how much time it adds to the provider's while they trickle in.
func embed(ctx context.Context, r run) (figures []Figure, err error) {
	provider, stop, err := startStandIn(ctx, embedDimensions)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, stop()) }()
	b, err := openBed(ctx, r, openAISpace(embedDimensions), true)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, b.close(ctx)) }()
	trickled := int(b.paced.Seconds() * pacedRate / 2)
	docs, err := b.documents(ctx, products(b.texts+trickled))
	if err != nil {
		return nil, err
	}
	waiting, trickle := docs[:b.texts], docs[b.texts:]
	texts := make([]string, len(waiting))
	for i, d := range waiting {
		texts[i] = d.GetText()
		if err := b.sendDocument(ctx, d); err != nil {
			return nil, err
		}
	}
	if err := b.client.Flush(ctx); err != nil {
		return nil, fmt.Errorf("sending %d documents: %w", len(waiting), err)
	}
	b.say("%d texts, %d a request, by a bare client, then by the embed service", len(texts), aRequest)
	capacity, err := provider.capacity(ctx, texts, aRequest)
	if err != nil {
		return nil, err
	}
	own, err := provider.latency(ctx, b.probes)
	if err != nil {
		return nil, err
	}
	var embedded *pace
	var total []time.Duration
	err = during(ctx, func(ctx context.Context) error {
		if embedded, err = b.growth(ctx, b.topics.VectorsLive(), 0, len(waiting)); err != nil {
			return err
		}
		b.say("%d documents, %d a second", trickled, pacedRate)
		total, err = b.trickleDocuments(ctx, trickle)
		return err
	}, serve(b, embedder.Run, "FRESHET_OPENAI_URL="+provider.url,
		"FRESHET_EMBED_OVERTAKE_AFTER=0", // each document is counted once
		fmt.Sprintf("FRESHET_EMBED_BATCH_ITEMS=%d", aRequest)))
	if err != nil {
		return nil, err
	}
	return []Figure{
		rate(fmt.Sprintf("a provider's capacity used, %d texts a request, %d at a time", aRequest, atATime), "texts/s", embedded.rate().perSecond, capacity, embedGoal),
		latency(fmt.Sprintf("added to the provider's own time at %d documents a second, p50", pacedRate), rig.Percentile(total, 50)-own, own, 0),
	}, nil
}

// sendDocument produces a document as ingest does, and does not wait.
func (b *bed) sendDocument(ctx context.Context, d *record.Document) error {
	value, err := d.Encode()
	if err != nil {
		return err
	}
	b.client.Produce(ctx, b.placed(b.topics.DocumentsLive(), d.Item(), value), nil)
	return nil
}

// trickleDocuments sends documents one by one and returns, sorted, how long each took
// until it could be read with its vector.
func (b *bed) trickleDocuments(ctx context.Context, docs []*record.Document) ([]time.Duration, error) {
	reader, err := b.readerFromEnd(ctx, b.topics.VectorsLive())
	if err != nil {
		return nil, err
	}
	defer reader.Close()
	var sent sync.Map // time, by key
	took := make([]time.Duration, 0, len(docs))
	err = during(ctx, func(ctx context.Context) error {
		for len(took) < len(docs) {
			fetches := reader.PollFetches(ctx)
			if err := fetches.Err0(); err != nil {
				return fmt.Errorf("reading vectors: %w", err)
			}
			now := time.Now()
			fetches.EachRecord(func(r *kgo.Record) {
				if at, ok := sent.Load(string(r.Key)); ok {
					took = append(took, now.Sub(at.(time.Time)))
				}
			})
		}
		return nil
	}, func(ctx context.Context) error {
		return paced(ctx, len(docs), pacedRate, func(i int) error {
			sent.Store(string(docs[i].Item().Key()), time.Now())
			return b.sendDocument(ctx, docs[i])
		})
	})
	slices.Sort(took)
	return took, err
}

// readerFromEnd reads what is added to a topic from now on. The caller closes it.
func (b *bed) readerFromEnd(ctx context.Context, topic string) (*kgo.Client, error) {
	ends, err := kadm.NewClient(b.client).ListEndOffsets(ctx, topic)
	if err := errors.Join(err, ends.Error()); err != nil {
		return nil, fmt.Errorf("reading the end of topic %s: %w", topic, err)
	}
	reader, err := kgo.NewClient(append(b.client.Opts(), kgo.ConsumePartitions(ends.KOffsets()))...)
	if err != nil {
		return nil, fmt.Errorf("opening a reader of topic %s: %w", topic, err)
	}
	return reader, nil
}
