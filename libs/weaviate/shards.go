package weaviate

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/weaviate/weaviate/entities/models"
)

// shardsLimit bounds the question for the status of shards: it is asked when something is wrong.
const shardsLimit = 5 * time.Second

// Unwritable returns what Weaviate itself says of why it does not take the writes of a collection,
// a line that says what to do: which of its shards are not at work. cause is nil where it knows
// of nothing, or could not be asked within 5 s, of which err tells. The readiness of Weaviate says
// nothing of it: a read-only server is ready.
func (c *Client) Unwritable(ctx context.Context, name string) (cause, err error) {
	b, err := c.named(name)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, shardsLimit)
	defer cancel()
	var all []string
	for _, class := range []string{b.spec.Class(), b.spec.SideClass()} {
		shards, err := c.schema.ShardsGetter().WithClassName(class).Do(ctx)
		if err != nil {
			return nil, classifyREST("asking for the shards of collection "+class, err)
		}
		for _, s := range shards {
			if trouble := troubleOf(class, s); trouble != "" {
				all = append(all, trouble)
			}
		}
	}
	if len(all) == 0 {
		return nil, nil
	}
	return errors.New(strings.Join(all, "; ")), nil
}

// troubleOf returns "" for a shard that takes writes.
func troubleOf(class string, s *models.ShardStatusGetResponse) string {
	switch s.Status {
	case "READY", "INDEXING", "LAZY_LOADING":
		return ""
	case "READONLY":
		// Weaviate 1.35 that went read-only by itself watches its disk no more, and one whose disk
		// was full goes on failing with "no space left on device" when it is set READY again.
		return fmt.Sprintf("shard %s of collection %s is READONLY: free the disk, then restart Weaviate; if somebody has set it READONLY, set it READY", s.Name, class)
	}
	return fmt.Sprintf("shard %s of collection %s is %s", s.Name, class, s.Status)
}

// shards returns how many shards the main collection has, 0 where that is not known. It is fixed
// when a collection is made.
func (c *Client) shards(ctx context.Context, b *collection) int {
	if n := b.shards.Load(); n > 0 {
		return int(n)
	}
	ctx, cancel := context.WithTimeout(ctx, shardsLimit)
	defer cancel()
	list, err := c.schema.ShardsGetter().WithClassName(b.spec.Class()).Do(ctx)
	if err != nil {
		return 0
	}
	b.shards.Store(int32(len(list))) //nolint:gosec // few
	return len(list)
}
