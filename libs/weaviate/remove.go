package weaviate

import (
	"context"
	"fmt"
	"net/http"

	pb "github.com/weaviate/weaviate/grpc/generated/protocol/v1"
	"golang.org/x/sync/errgroup"

	"github.com/freshet-io/freshet/libs/fault"
	"github.com/freshet-io/freshet/libs/record"
)

func (c *Client) remove(ctx context.Context, b *collection, class string, items []record.Item, hidden bool) error {
	for _, some := range b.parts(items) {
		remove := c.removeSome
		if b.replicated || hidden {
			remove = c.removeEach
		}
		if err := remove(ctx, class, some); err != nil {
			return err
		}
	}
	return nil
}

func (c *Client) removeSome(ctx context.Context, class string, some part) error {
	ctx, cancel, err := c.uncancelled(ctx)
	if err != nil {
		return err
	}
	defer cancel()
	doing := fmt.Sprintf("deleting %d objects of %s", len(some.items), class)
	request := &pb.BatchDeleteRequest{Collection: class, Filters: withIDs(some.items), Verbose: true}
	if some.tenant != "" {
		request.Tenant = &some.tenant
	}
	reply, err := c.grpc.BatchDelete(ctx, request)
	if noTenant(err) {
		return nil // so there is nothing of it
	}
	if err != nil {
		return classify(doing, err)
	}
	for _, o := range reply.GetObjects() {
		if !o.GetSuccessful() {
			return classify(doing, objectError(o.GetError()))
		}
	}
	if reply.GetFailed() > 0 || reply.GetSuccessful() < reply.GetMatches() {
		return fmt.Errorf("%s: %d of %d failed", doing, reply.GetFailed(), reply.GetMatches())
	}
	return nil
}

// removeEach deletes objects one by one: deleting by a filter asks for the row of the id, which an
// interrupted put may have left out, and where there are several copies some of them, passes over
// those that do not answer, and leaves an object alone that these lack.
func (c *Client) removeEach(ctx context.Context, class string, some part) error {
	return some.each(ctx, func(ctx context.Context, item record.Item) error {
		ctx, cancel, err := c.uncancelled(ctx)
		if err != nil {
			return err
		}
		defer cancel()
		err = c.call(ctx, http.MethodDelete, some.path(class, item.UUID()), nil, nil)
		if fault.StatusOf(err) == http.StatusNotFound || noTenant(err) {
			return nil
		}
		return err
	})
}

// copiesCalls bounds the calls for single objects at a time.
const copiesCalls = 8

// each calls f for the items of a part, several at a time.
func (p part) each(ctx context.Context, f func(context.Context, record.Item) error) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(copiesCalls)
	for _, item := range p.items {
		group.Go(func() error { return f(ctx, item) })
	}
	return group.Wait()
}
