package bench

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	pb "github.com/weaviate/weaviate/grpc/generated/protocol/v1"
	"golang.org/x/sync/errgroup"

	"github.com/freshet-io/freshet/libs/record"
	"github.com/freshet-io/freshet/services/ctl/catalogue"
	"github.com/freshet-io/freshet/services/ctl/rig"
	"github.com/freshet-io/freshet/services/embed/embedder"
	"github.com/freshet-io/freshet/services/ingest/ingester"
	"github.com/freshet-io/freshet/services/write/writer"
)

const (
	e2eGoal       = 5 * time.Second // of the 99th percentile
	e2eDimensions = 3072
	newTextEvery  = 5  // of the changes; the others are of a price
	sampleEvery   = 14 // of the changes: it has no factor with newTextEvery
	searchPoll    = 20 * time.Millisecond
)

// e2e measures the time from the moment a change is produced until a search by the
// item's own vector finds the item with that change, while changes come at a steady
// rate, against asking the provider, putting the item and finding it, one by one.
func e2e(ctx context.Context, r run) (figures []Figure, err error) {
	provider, stop, err := startStandIn(ctx, e2eDimensions)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, stop()) }()
	b, err := openBed(ctx, r, openAISpace(e2eDimensions), true)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, b.close(ctx)) }()
	list := products(b.items)
	b.say("%d items by a bare client, then %d changes, one by one", b.items, b.probes)
	floor, err := b.bareFreshness(ctx, provider, list)
	if err != nil {
		return nil, err
	}
	var took []time.Duration
	err = during(ctx, func(ctx context.Context) error {
		b.say("%d items by the services", b.items)
		for _, p := range list {
			b.change(ctx, catalogue.Change{After: &p})
		}
		if err := b.awaitArrived(ctx, len(list)); err != nil {
			return err
		}
		b.say("changes for %s, %d a second", b.paced, pacedRate)
		took, err = b.trickleChanges(ctx, list)
		return err
	}, serve(b, ingester.Run), serve(b, embedder.Run, "FRESHET_OPENAI_URL="+provider.url), serve(b, writer.Run))
	if err != nil {
		return nil, err
	}
	for _, p := range []struct {
		percent int
		goal    time.Duration
	}{{50, 0}, {95, 0}, {99, e2eGoal}} {
		name := fmt.Sprintf("change to searchable at %d/s, a fifth of them new texts, p%d", pacedRate, p.percent)
		figures = append(figures, latency(name, rig.Percentile(took, p.percent), rig.Percentile(floor, p.percent), p.goal))
	}
	return figures, nil
}

// change produces a change as a connector does, and does not wait.
func (b *bed) change(ctx context.Context, c catalogue.Change) {
	key, value := c.Envelope(time.Now())
	b.client.Produce(ctx, &kgo.Record{Topic: catalogue.Topic, Partition: record.Partition(key, partitions), Key: key, Value: value}, nil)
}

// next changes a product for the ith time: its stock tells that this change is seen.
func next(p *catalogue.Product, i int) {
	p.Stock = i + 1
	if i%newTextEvery != 0 {
		p.Price++
		return
	}
	p.Description = fmt.Sprintf("In its revision %d. %s", i, p.Description)
}

// trickleChanges changes the items in turn and returns, sorted, how long a sample of the
// changes took to be found.
func (b *bed) trickleChanges(ctx context.Context, list []catalogue.Product) ([]time.Duration, error) {
	var mu sync.Mutex
	var took []time.Duration
	now := slices.Clone(list)
	watches, ctx := errgroup.WithContext(ctx)
	err := paced(ctx, int(b.paced.Seconds()*pacedRate), pacedRate, func(i int) error {
		p := &now[i%len(now)]
		before := *p
		next(p, i)
		after := *p
		start := time.Now()
		b.change(ctx, catalogue.Change{Before: &before, After: &after})
		if i%sampleEvery != 0 {
			return nil
		}
		watches.Go(func() error {
			if err := b.awaitFound(ctx, collection, after); err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			took = append(took, time.Since(start))
			return nil
		})
		return nil
	})
	err = errors.Join(err, watches.Wait())
	slices.Sort(took)
	return took, err
}

// awaitFound waits until a search by the product's own vector finds it with the stock
// that it has now.
func (b *bed) awaitFound(ctx context.Context, in string, p catalogue.Product) error {
	vector := vectorOf(p.Text(), e2eDimensions)
	err := rig.Poll(ctx, bound, searchPoll, func(ctx context.Context) (bool, error) {
		hits, err := b.index.Search(ctx, in, "", vector, 1, nil)
		if err != nil || len(hits) == 0 || hits[0].Item.ID[0] != strconv.FormatInt(p.ID, 10) {
			return false, err
		}
		for _, property := range hits[0].Properties {
			if property.GetName() == "stock" {
				return property.GetValue().GetInteger() >= int64(p.Stock), nil
			}
		}
		return false, nil
	})
	if err != nil {
		return fmt.Errorf("looking for product %d by its vector: %w", p.ID, err)
	}
	return nil
}

// bareFreshness is the floor: as many items in the index, and then for one change after
// the other the provider where the text is new, one put, and the search that finds it.
func (b *bed) bareFreshness(ctx context.Context, provider *standIn, list []catalogue.Product) ([]time.Duration, error) {
	client, err := b.bareClient(ctx)
	if err != nil {
		return nil, err
	}
	all, err := b.putRequests(ctx, client, list)
	if err != nil {
		return nil, err
	}
	if _, err := client.putAll(ctx, all); err != nil {
		return nil, err
	}
	changed := slices.Clone(list[:b.probes])
	for i := range changed {
		next(&changed[i], i)
	}
	again, err := b.putRequests(ctx, client, changed)
	if err != nil {
		return nil, err
	}
	var objects []*pb.BatchObject
	for _, request := range again {
		objects = append(objects, request.GetObjects()...)
	}
	return timed(len(changed), func(i int) error {
		if i%newTextEvery == 0 {
			if err := provider.ask(ctx, []string{changed[i].Text()}); err != nil {
				return err
			}
		}
		if err := client.put(ctx, &pb.BatchObjectsRequest{Objects: objects[i : i+1]}); err != nil {
			return err
		}
		return b.awaitFound(ctx, bareCollection, changed[i])
	})
}

func (b *bed) putRequests(ctx context.Context, client *bare, list []catalogue.Product) ([]*pb.BatchObjectsRequest, error) {
	docs, err := b.documents(ctx, list)
	if err != nil {
		return nil, err
	}
	return b.batches(ctx, client, b.vectors(docs))
}
