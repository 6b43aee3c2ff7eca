package writer

import (
	"context"
	"fmt"
	"sync"

	"github.com/freshet-io/freshet/libs/fault"
	"github.com/freshet-io/freshet/libs/record"
	"github.com/freshet-io/freshet/libs/weaviate"
)

// Log is what a writer asks of the log that versions count.
type Log interface {
	// End returns the highest version that a partition has given.
	End(ctx context.Context, partition int32) (int64, error)
	// Open returns a version that every bulk row which may still come to a partition reaches.
	Open(ctx context.Context, partition int32) (int64, error)
}

type versions struct {
	mu       sync.Mutex
	ends     map[int32]int64            // that the log has given, at least
	horizons map[string]map[int32]int64 // by collection: of tombstones that were swept
}

// saw takes note of a version that the log has given.
func (v *versions) saw(partition int32, version int64) int64 {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.ends[partition] = max(v.ends[partition], version)
	return v.ends[partition]
}

func (w *Writer) horizon(collection string, partition int32) int64 {
	w.versions.mu.Lock()
	defer w.versions.mu.Unlock()
	return w.versions.horizons[collection][partition]
}

func (w *Writer) setHorizon(collection string, partition int32, version int64) {
	w.versions.mu.Lock()
	defer w.versions.mu.Unlock()
	if w.versions.horizons[collection] == nil {
		w.versions.horizons[collection] = map[int32]int64{}
	}
	w.versions.horizons[collection][partition] = version
}

// vet looks at what the index has of an item before records are folded onto it. Its error is fatal
// where the index has a version that the log has not given: all that is new would lose against it.
// A record that may be older than a delete whose tombstone is gone becomes a dead letter.
func (w *Writer) vet(ctx context.Context, it *item, stored *weaviate.Stored) error {
	if w.log == nil {
		return nil
	}
	partition := record.Partition([]byte(it.key), w.partitions)
	state := &stored.State
	if state.Base == 0 && state.Floor == 0 {
		it.doubt(w.horizon(it.Collection, partition))
	}
	newest := max(state.Base, state.Floor, state.Failed.GetVersion())
	known := int64(0)
	for i := range it.records {
		if r := it.records[i].from; r.GetVersionOrigin() == record.VersionOrigin_VERSION_ORIGIN_LOG {
			known = max(known, r.GetVersion())
		}
	}
	if newest <= w.versions.saw(partition, known) {
		return nil
	}
	end, err := w.log.End(ctx, partition)
	if err != nil {
		return fmt.Errorf("asking for the end of the log: %w", err)
	}
	if newest <= w.versions.saw(partition, end) {
		return nil
	}
	return fault.Halt("item %s has version %d in the index, and the log of live documents has given %d at most in partition %d: it was cut, restored or made anew, and what is new would count as old; stop all services and run `freshet epoch raise --log-went-back`", it, newest, end, partition)
}

// doubt refuses the records of an unknown item that are not above the horizon: the item may have
// been deleted since. They leave no mark, which would let the item look like a known one.
func (it *item) doubt(horizon int64) {
	for i := range it.records {
		r := &it.records[i]
		switch op := r.from.GetDocument().GetOp(); {
		case r.from.GetVersion() > horizon || op == record.Op_OP_COMPLETION_REQUEST:
		case op == record.Op_OP_DELETE, op == record.Op_OP_FAILED, r.refuse != nil:
			r.apply = nil // a tombstone below the horizon would make the item a known one, too
		default:
			r.apply = nil
			r.refuse = fault.Reject(fault.BelowHorizon, "version %d of an unknown item is not above the horizon %d of its partition: the item may have been deleted, and its tombstone swept", r.from.GetVersion(), horizon)
		}
	}
}
