package weaviate

import (
	"context"
	"slices"

	pb "github.com/weaviate/weaviate/grpc/generated/protocol/v1"
)

// flush has the vector index write the log of a request that was acknowledged. A kill -9 of Weaviate
// loses the end of it otherwise: objects that are stored, acknowledged and never found.
//
// Weaviate 1.35 flushes the log of a batch when it has handed the vectors to the workers that put
// them into the index, and then waits for these (shard_write_batch_objects.go, flushWALs before
// wg.Wait). Up to 32 KB of the log stay in memory until the next batch. An object that is put
// once more as it is changes nothing, and is such a batch; one of them does for each shard. A tenant
// is a shard; else which one an object is in is Weaviate's secret. With ASYNC_INDEXING it is not needed.
func (c *Client) flush(ctx context.Context, b *collection, objects []*pb.BatchObject) error {
	switch {
	case len(objects) == 0:
		return nil
	case b.tenants:
		objects = oneOfEachTenant(objects)
	case len(objects) > 1 && c.shards(ctx, b) == 1:
		objects = objects[:1]
	}
	// It is the end of a call that has begun, so that it is not kept back because ctx has ended.
	ctx, cancel, err := c.uncancelled(context.WithoutCancel(ctx))
	if err != nil {
		return err
	}
	defer cancel()
	doing := "flushing the vector index of " + b.spec.Class()
	reply, err := c.grpc.BatchObjects(ctx, &pb.BatchObjectsRequest{Objects: objects, ConsistencyLevel: b.level()})
	if err != nil {
		return classify(doing, err)
	}
	for _, e := range reply.GetErrors() {
		return classify(doing, objectError(e.GetError()))
	}
	return nil
}

func oneOfEachTenant(objects []*pb.BatchObject) []*pb.BatchObject {
	seen := map[string]bool{}
	return slices.DeleteFunc(slices.Clone(objects), func(o *pb.BatchObject) bool {
		again := seen[o.GetTenant()]
		seen[o.GetTenant()] = true
		return again
	})
}

// written returns the objects of a request that were not rejected.
func (p put) written(rejected map[int]error) []*pb.BatchObject {
	var list []*pb.BatchObject
	for i, o := range p.objects {
		if rejected[p.index[i]] == nil {
			list = append(list, o)
		}
	}
	return list
}
