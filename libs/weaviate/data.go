package weaviate

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	pb "github.com/weaviate/weaviate/grpc/generated/protocol/v1"
	"golang.org/x/sync/errgroup"
	"google.golang.org/protobuf/proto"

	"github.com/freshet-io/freshet/libs/fault"
	"github.com/freshet-io/freshet/libs/record"
)

const (
	// putItems and putBytes bound one put: beyond 100 objects a call gets no faster, and the server
	// takes 100 MB at most.
	putItems = 100
	putBytes = 16 << 20
)

// Stored is what the index has of an item.
type Stored struct {
	State record.State // of both copies; State.Sources is never nil
	Main  bool         // there is a copy in the main collection
	Side  bool         // there is a copy in the side collection
}

// Load returns what the index has of items, in their order, whatever state their moves between the
// two collections are in. Where whole is false, it leaves out what does not decide about records:
// the vector, the properties, and what the row was made of. Items must differ. Only where nobody
// moves an item meanwhile is one that is in neither collection an unknown one.
func (c *Client) Load(ctx context.Context, name string, items []record.Item, whole bool) ([]Stored, error) {
	return c.load(ctx, name, items, reading{properties: whole, vectors: whole})
}

// LoadHidden is Load that also sees what an interrupted put has left where no filter finds it: an object whose row of
// the id is gone, be it that of before or the new one. To Load such an item is an unknown one, or in one place only. It
// asks for each item that a filter does not find by its id.
func (c *Client) LoadHidden(ctx context.Context, name string, items []record.Item, whole bool) ([]Stored, error) {
	return c.load(ctx, name, items, reading{properties: whole, vectors: whole, hidden: true})
}

func (c *Client) load(ctx context.Context, name string, items []record.Item, read reading) ([]Stored, error) {
	b, err := c.named(name)
	if err != nil {
		return nil, err
	}
	inMain, inSide, err := c.copies(ctx, b, items, read)
	if err != nil {
		return nil, err
	}
	all := make([]Stored, len(items))
	for i, item := range items {
		all[i] = storedOf(inMain, inSide, item.UUID())
	}
	return all, nil
}

// kept is what a collection has of an item, and when Weaviate stored that, in milliseconds since 1970, where it was asked for.
type kept struct {
	record.State

	at int64
}

// copies reads items in both collections, by their ids.
func (c *Client) copies(ctx context.Context, b *collection, items []record.Item, read reading) (inMain, inSide map[uuid.UUID]kept, err error) {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() (err error) {
		inMain, err = c.get(ctx, b, b.spec.Class(), items, read)
		return err
	})
	group.Go(func() (err error) {
		read := read
		read.vectors = false
		inSide, err = c.get(ctx, b.side(), b.spec.SideClass(), items, read)
		return err
	})
	err = group.Wait()
	return inMain, inSide, err
}

func storedOf(inMain, inSide map[uuid.UUID]kept, id uuid.UUID) Stored {
	stored := Stored{State: record.State{Sources: record.Orders{}}}
	if k, ok := inMain[id]; ok {
		stored.State, stored.Main = k.State, true
	}
	if k, ok := inSide[id]; ok {
		stored.State.Join(&k.State)
		stored.Side = true
	}
	return stored
}

// Lookup returns the states of items with their vectors, in their order; an item that the index
// does not have has the zero state. Others may write the items meanwhile.
func (c *Client) Lookup(ctx context.Context, name string, items []record.Item) ([]record.State, error) {
	stored, err := c.Load(ctx, name, items, true)
	if err != nil {
		return nil, err
	}
	states := make([]record.State, len(stored))
	var absent []record.Item
	var places []int
	for i := range stored {
		if states[i] = stored[i].State; !stored[i].Main && !stored[i].Side {
			absent, places = append(absent, items[i]), append(places, i)
		}
	}
	if len(absent) == 0 {
		return states, nil
	}
	// An item that is moved just now may be seen in neither collection: in the one that it comes
	// to, before it is there, and in the other, when it is gone. Now that move is over.
	if stored, err = c.Load(ctx, name, absent, true); err != nil {
		return nil, err
	}
	for i, place := range places {
		states[place] = stored[i].State
	}
	return states, nil
}

// Put writes whole objects with their vectors to the main collection; what was there of them is
// replaced. rejected holds, by index of objs, permanent faults of single objects: all others are
// written then. With an error nothing counts as written, and any object may be stored without
// being found by a search: its next put must change the vector's bits.
//
// The call is not cancelled with ctx, it ends within a minute.
func (c *Client) Put(ctx context.Context, name string, objs []Object) (rejected map[int]error, err error) {
	b, err := c.named(name)
	if err != nil {
		return nil, err
	}
	return c.put(ctx, b, b.spec.Class(), objs, func(o Object) (*pb.BatchObject, error) {
		if err := b.checkVector(o.State.Vector); err != nil {
			return nil, err
		}
		encoded, err := b.encode(o, b.spec.Class())
		if err == nil {
			b.setVector(encoded, o.State.Vector)
		}
		return encoded, err
	})
}

// PutSide writes whole objects without vectors to the side collection. It answers as Put does.
func (c *Client) PutSide(ctx context.Context, name string, objs []Object) (rejected map[int]error, err error) {
	b, err := c.named(name)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	b = b.side()
	return c.put(ctx, b, b.spec.SideClass(), objs, func(o Object) (*pb.BatchObject, error) {
		encoded, err := b.encode(o, b.spec.SideClass())
		if err == nil && !o.State.Live() && o.State.Floor > 0 {
			tombstone(encoded, now)
		}
		return encoded, err
	})
}

func (c *Client) put(ctx context.Context, b *collection, class string, objs []Object, encode func(Object) (*pb.BatchObject, error)) (map[int]error, error) {
	rejected := map[int]error{}
	var request put
	send := func() error {
		err := c.send(ctx, b, class, request, rejected)
		request = put{}
		return err
	}
	for i, o := range objs {
		encoded, err := encode(o)
		if err != nil {
			rejected[i] = err
			continue
		}
		size := sizeOf(o)
		if len(request.objects) == putItems || request.bytes+size > putBytes && request.bytes > 0 {
			if err := send(); err != nil {
				return nil, err
			}
		}
		request.objects, request.index, request.bytes = append(request.objects, encoded), append(request.index, i), request.bytes+size
	}
	if err := send(); err != nil {
		return nil, err
	}
	return rejected, nil
}

// sizeOf returns about the size of an encoded object, in bytes. To count it exactly takes as long
// as to encode it, and the bound is far below the server's.
func sizeOf(o Object) int {
	size := 2048 + len(o.State.Vector) + len(o.State.Inputs) + len(o.State.Text)
	for _, p := range o.State.Properties {
		size += 2 * proto.Size(p) // numbers are longer in lists
	}
	return size
}

// put is one request: its objects, their indexes in the caller's list, and its size.
type put struct {
	objects []*pb.BatchObject
	index   []int
	bytes   int
}

func (c *Client) send(ctx context.Context, b *collection, class string, p put, rejected map[int]error) error {
	if len(p.objects) == 0 {
		return nil
	}
	sending, cancel, err := c.uncancelled(ctx)
	if err != nil {
		return err
	}
	defer cancel()
	doing := fmt.Sprintf("writing %d objects to %s", len(p.objects), class)
	reply, err := c.grpc.BatchObjects(sending, &pb.BatchObjectsRequest{Objects: p.objects, ConsistencyLevel: b.level()})
	if tooLarge(err) {
		return c.sendLess(ctx, b, class, p, rejected)
	}
	if err != nil {
		return classify(doing, err)
	}
	for _, e := range reply.GetErrors() {
		// A shard that turned read-only or a full disk reports the first object and keeps silent
		// about the others: unless the object itself is at fault, none counts as written.
		at := int(e.GetIndex())
		if !invalid.MatchString(e.GetError()) || at < 0 || at >= len(p.index) {
			return classify(doing, objectError(e.GetError()))
		}
		rejected[p.index[at]] = fault.Reject(fault.IndexRejected, "Weaviate refuses the object: %w", objectError(e.GetError()))
	}
	if class != b.spec.Class() {
		return nil
	}
	return c.flush(ctx, b, p.written(rejected))
}

// sendLess writes objects whose request is larger than the server takes, in halves. One that is
// too large alone is refused.
func (c *Client) sendLess(ctx context.Context, b *collection, class string, p put, rejected map[int]error) error {
	n := len(p.objects)
	if n == 1 {
		rejected[p.index[0]] = fault.Reject(fault.IndexRejected, "the object of %d bytes is larger than a message to Weaviate may be (GRPC_MAX_MESSAGE_SIZE there)", proto.Size(p.objects[0]))
		return nil
	}
	first := put{objects: p.objects[:n/2], index: p.index[:n/2]}
	if err := c.send(ctx, b, class, first, rejected); err != nil {
		return err
	}
	return c.send(ctx, b, class, put{objects: p.objects[n/2:], index: p.index[n/2:]}, rejected)
}

// objectError is Weaviate's text about one object of a batch.
type objectError string

func (e objectError) Error() string { return string(e) }

// DeleteMain deletes items of the main collection; absent ones are no error. With hidden, it deletes
// them one by one, and so also what an interrupted put has stored where no read by ids finds it.
func (c *Client) DeleteMain(ctx context.Context, name string, items []record.Item, hidden bool) error {
	b, err := c.named(name)
	if err != nil {
		return err
	}
	return c.remove(ctx, b, b.spec.Class(), items, hidden)
}

// DeleteSide deletes items of the side collection as DeleteMain does.
func (c *Client) DeleteSide(ctx context.Context, name string, items []record.Item, hidden bool) error {
	b, err := c.named(name)
	if err != nil {
		return err
	}
	return c.remove(ctx, b.side(), b.spec.SideClass(), items, hidden)
}

// uncancelled returns a context for a call that is never cancelled once it has begun, or an
// error where it must not begin.
func (c *Client) uncancelled(ctx context.Context) (context.Context, context.CancelFunc, error) {
	if err := ctx.Err(); err != nil {
		return nil, nil, fmt.Errorf("beginning a write: %w", err)
	}
	if c.before != nil {
		if err := c.before(ctx); err != nil {
			return nil, nil, fmt.Errorf("beginning a write: %w", err)
		}
	}
	free, cancel := context.WithTimeout(context.WithoutCancel(ctx), callLimit)
	return free, cancel, nil
}
