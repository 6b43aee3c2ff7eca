package writer

import (
	"context"

	"github.com/freshet-io/freshet/libs/record"
	"github.com/freshet-io/freshet/libs/weaviate"
)

// Index is what the writer asks of an index, in this version Weaviate. testContract holds what
// it relies on: an index that passes can take Weaviate's place, and no stage will notice.
//
// A logical collection has two places: main, where items are searched for, and side, which no
// search sees, for tombstones, marks, and items that lack their vector. An item may have a copy in
// each for the time of a move. Items and objects of one call differ, and so do those of calls at
// the same time; those of one item come one after the other.
//
// An error says that nothing of the call counts: any part of it may have happened, and may still
// happen within a minute. Its class (package fault) says whether to try again: it is transient
// unless nothing but a person can help, and never permanent, which only single objects are. A call
// that changes something looks at ctx before it begins, and is not cancelled once it has begun. An
// index keeps nothing of what it was given, and what it returns belongs to the caller.
type Index interface {
	// Load returns what the index has of items, in their order: the join of both copies, and where
	// they are; for an item that it does not have, a state whose Sources is not nil. It sees every
	// put and delete that was acknowledged before, and may miss an item whose put has failed. With whole false it may leave out Properties,
	// Inputs, Recipe, Text, Origin and Vector.
	Load(ctx context.Context, collection string, items []record.Item, whole bool) ([]weaviate.Stored, error)
	// LoadHidden is Load that also sees what a put that failed has left there and Load does not find.
	LoadHidden(ctx context.Context, collection string, items []record.Item, whole bool) ([]weaviate.Stored, error)
	// Put writes objects with their vectors to the main place, each wholly: nothing of what was
	// there stays. When it returns, they are found by a search, unless their vector is bit for bit
	// that of a put that failed. rejected holds, by place in objs, why the index will never take an
	// object: a permanent fault. All others are written then.
	Put(ctx context.Context, collection string, objs []weaviate.Object) (rejected map[int]error, err error)
	// PutSide writes objects without their vectors to the side place; else it is as Put.
	PutSide(ctx context.Context, collection string, objs []weaviate.Object) (rejected map[int]error, err error)
	// DeleteMain deletes the main copies of items. That there is none is no error. With hidden, also
	// what a put that failed has left there and Load does not find.
	DeleteMain(ctx context.Context, collection string, items []record.Item, hidden bool) error
	// DeleteSide deletes the side copies of items as DeleteMain does.
	DeleteSide(ctx context.Context, collection string, items []record.Item, hidden bool) error
	// SelfFound searches the main place for each item by the vector that is stored there, and returns
	// those that are not found, in their order: also those that are not there. states, if not nil, says
	// by item of which version and vector (Base, Held) it must be found: an older self is none.
	SelfFound(ctx context.Context, collection string, items []record.Item, states []record.State) (missing []record.Item, err error)
	// Blind reports whether a search of the main place finds nothing at all, by the vector of an item that is stored there.
	Blind(ctx context.Context, collection string, item record.Item) (bool, error)
	// Unwritable says why the index takes no writes of a collection, in a line that says what to do,
	// as far as it knows itself; nil where it knows of nothing, or, with an error, could not be asked.
	// It answers within seconds.
	Unwritable(ctx context.Context, collection string) (cause, err error)
}
