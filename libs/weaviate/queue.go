package weaviate

import (
	"context"
	"net/http"
	"time"

	"github.com/weaviate/weaviate/entities/models"
)

const (
	// queueLimit bounds the wait for vectors that are queued, queueEvery is between two looks.
	queueLimit = 5 * time.Second
	queueEvery = 100 * time.Millisecond
)

// awaitIndexed waits until Weaviate has put the vectors that it acknowledged into its vector index,
// for 5 s at most: with ASYNC_INDEXING they queue. It reports whether there were any; not where
// Weaviate does not say, to a key without the right to read nodes for one.
func (c *Client) awaitIndexed(ctx context.Context, b *collection) (waited bool) {
	ctx, cancel := context.WithTimeout(ctx, queueLimit)
	defer cancel()
	for c.queued(ctx, b) > 0 {
		waited = true
		select {
		case <-time.After(queueEvery):
		case <-ctx.Done():
		}
	}
	return waited
}

// queued returns how many vectors of a collection wait to be indexed, 0 where that is not known.
func (c *Client) queued(ctx context.Context, b *collection) (n int64) {
	var nodes models.NodesStatusResponse
	if err := c.call(ctx, http.MethodGet, "nodes/"+b.spec.Class()+"?output=verbose", nil, &nodes); err != nil {
		return 0
	}
	for _, node := range nodes.Nodes {
		for _, shard := range node.Shards {
			n += shard.VectorQueueLength
		}
	}
	return n
}
