package writer_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/freshet-io/freshet/libs/fault"
	"github.com/freshet-io/freshet/libs/record"
	"github.com/freshet-io/freshet/libs/weaviate"
)

// fakeIndex behaves as Weaviate does where it matters to the writer: a put replaces the whole
// object, an object with an unchanged vector skips the vector index, and an interrupted put stores
// without indexing. The acceptance suite runs on it and on the real one.
type fakeIndex struct {
	mu         sync.Mutex
	main, side map[string]fakeObject // by key
	calls      []string              // what was called, in order: "put 2"
	// interrupt, if not nil, is asked at each write: it may let it fail in one of the ways below.
	interrupt func(call int) failure
	reject    func(o weaviate.Object) error
	cuts      map[string]string // by key: another item, which the second put of this one cuts off in the vector index
	hidden    map[string]int    // by key: how many more puts leave the item cut off in the vector index
	blind     bool              // a search finds nothing
	searchErr error             // of a search; nil: it answers
	formers   bool              // of an object that is torn, reads by ids find the former self
	writes    int
	searches  int
	busy, top int   // calls at this moment, and at most
	status    error // what Unwritable says

	ledgers map[int32]weaviate.Ledger // by partition
	lost    map[int32]bool            // ledgers that an interrupted put has left where no filter finds them
	life    string
	buried  map[string]time.Time // by key: when the item was put aside
}

type fakeObject struct {
	state   record.State
	indexed bool
	// torn says that a put was interrupted before the row was written by which filters find the object: they
	// find nothing, and so do reads by ids, or its former self.
	torn   bool
	former *record.State
}

// seen returns what reads by id find of an object.
func (o fakeObject) seen() (record.State, bool) {
	switch {
	case !o.torn:
		return o.state, true
	case o.former == nil:
		return record.State{}, false
	}
	return *o.former, true
}

// there returns what a read finds that asks for the object by its id alone, where a filter finds none.
func (o fakeObject) there() (record.State, bool) {
	if seen, ok := o.seen(); ok {
		return seen, true
	}
	return o.state, true
}

// failure is a way for a write to fail.
type failure int

const (
	none     failure = iota
	before           // nothing happened
	halfway          // objects are stored and not in the vector index
	after            // all is done, the answer is lost
	silently         // only the first half is stored
)

var errInterrupted = errors.New("the call was interrupted")

func newFake() *fakeIndex {
	return &fakeIndex{main: map[string]fakeObject{}, side: map[string]fakeObject{}, ledgers: map[int32]weaviate.Ledger{}, buried: map[string]time.Time{}}
}

func (f *fakeIndex) enter(call string, n int) func() {
	f.mu.Lock()
	f.calls = append(f.calls, fmt.Sprintf("%s %d", call, n))
	f.busy++
	f.top = max(f.top, f.busy)
	return func() { f.busy--; f.mu.Unlock() }
}

func (f *fakeIndex) failure() failure {
	f.writes++
	if f.interrupt == nil {
		return none
	}
	return f.interrupt(f.writes)
}

func (f *fakeIndex) Load(_ context.Context, _ string, items []record.Item, whole bool) ([]weaviate.Stored, error) {
	return f.load(items, whole, fakeObject.seen)
}

func (f *fakeIndex) LoadHidden(_ context.Context, _ string, items []record.Item, whole bool) ([]weaviate.Stored, error) {
	return f.load(items, whole, fakeObject.there)
}

func (f *fakeIndex) load(items []record.Item, whole bool, see func(fakeObject) (record.State, bool)) ([]weaviate.Stored, error) {
	defer f.enter("load", len(items))()
	all := make([]weaviate.Stored, len(items))
	for i, it := range items {
		all[i].State.Sources = record.Orders{}
		if seen, ok := see(f.main[string(it.Key())]); ok && f.there(f.main, it) {
			all[i].Main, all[i].State = true, cloned(seen)
		}
		if seen, ok := see(f.side[string(it.Key())]); ok && f.there(f.side, it) {
			all[i].Side = true
			s := cloned(seen)
			all[i].State.Join(&s)
		}
		if s := &all[i].State; !whole {
			s.Properties, s.Inputs, s.Recipe, s.Text, s.Origin, s.Vector = nil, nil, nil, "", nil, nil
		}
	}
	return all, nil
}

func (*fakeIndex) there(in map[string]fakeObject, it record.Item) bool {
	_, ok := in[string(it.Key())]
	return ok
}

func cloned(s record.State) record.State {
	orders := record.Orders{}
	for source, order := range s.Sources {
		orders[source] = slices.Clone(order)
	}
	s.Sources, s.Wanted, s.Held, s.Vector = orders, slices.Clone(s.Wanted), slices.Clone(s.Held), slices.Clone(s.Vector)
	return s
}

func (f *fakeIndex) Put(ctx context.Context, _ string, objs []weaviate.Object) (map[int]error, error) {
	return f.put(ctx, "put", f.main, objs, true)
}

func (f *fakeIndex) PutSide(ctx context.Context, _ string, objs []weaviate.Object) (map[int]error, error) {
	return f.put(ctx, "put side", f.side, objs, false)
}

func (f *fakeIndex) put(ctx context.Context, call string, to map[string]fakeObject, objs []weaviate.Object, vectors bool) (map[int]error, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	defer f.enter(call, len(objs))()
	fail := f.failure()
	if fail == before {
		return nil, errInterrupted
	}
	rejected := map[int]error{}
	for i, o := range objs {
		if err := f.refuse(o, vectors); err != nil {
			rejected[i] = err
			continue
		}
		if fail == silently && i >= (len(objs)+1)/2 {
			continue
		}
		key := string(o.Item.Key())
		had, ok := to[key]
		s := cloned(o.State)
		if !vectors {
			s.Vector = nil
		}
		o := fakeObject{state: s, indexed: fail != halfway}
		switch same := ok && bytes.Equal(had.state.Vector, s.Vector); {
		case same:
			o.indexed, o.torn, o.former = had.indexed, had.torn, had.former
		case fail == halfway:
			o.torn = true
			if seen, readable := had.seen(); f.formers && ok && readable {
				o.former = &seen
			}
		case f.hidden[key] > 0:
			f.hidden[key]--
			o.indexed = false
		}
		if cut, two := to[f.cuts[key]]; two && ok {
			cut.indexed = false
			to[f.cuts[key]] = cut
			delete(f.cuts, key)
		}
		to[key] = o
		if !vectors {
			f.buried[key] = time.Now()
		}
	}
	if fail != none {
		return nil, errInterrupted
	}
	return rejected, nil
}

func (f *fakeIndex) refuse(o weaviate.Object, vectors bool) error {
	switch {
	case f.reject != nil:
		return f.reject(o)
	case vectors && len(o.State.Vector) != 4*dimensions:
		return fault.Reject(fault.DimensionMismatch, "a vector of %d bytes", len(o.State.Vector))
	case !utf8.ValidString(o.State.Text):
		return fault.Reject(fault.IndexRejected, "the text is no UTF-8")
	}
	return nil
}

func (f *fakeIndex) DeleteMain(_ context.Context, _ string, items []record.Item, hidden bool) error {
	return f.remove("delete", f.main, items, hidden)
}

func (f *fakeIndex) DeleteSide(_ context.Context, _ string, items []record.Item, hidden bool) error {
	return f.remove("delete side", f.side, items, hidden)
}

func (f *fakeIndex) remove(call string, from map[string]fakeObject, items []record.Item, hidden bool) error {
	defer f.enter(call, len(items))()
	fail := f.failure()
	if fail == before {
		return errInterrupted
	}
	for i, it := range items {
		_, readable := from[string(it.Key())].seen()
		if (hidden || readable) && (fail != silently || i < (len(items)+1)/2) {
			delete(from, string(it.Key()))
		}
	}
	if fail != none {
		return errInterrupted
	}
	return nil
}

func (f *fakeIndex) SelfFound(_ context.Context, _ string, items []record.Item, states []record.State) ([]record.Item, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.searches++
	if f.searchErr != nil {
		return nil, f.searchErr
	}
	var missing []record.Item
	for i, it := range items {
		o, ok := f.main[string(it.Key())]
		seen, readable := o.seen()
		found := ok && readable && (o.indexed || o.former != nil) && !f.blind
		if found && states != nil {
			found = seen.Base == states[i].Base && bytes.Equal(seen.Held, states[i].Held)
		}
		if !found {
			missing = append(missing, it)
		}
	}
	return missing, nil
}

func (f *fakeIndex) Blind(context.Context, string, record.Item) (bool, error) { return f.blind, nil }

// has tells where the copies of an item are.
func (f *fakeIndex) has(it record.Item) (main, side bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	_, main = f.main[string(it.Key())]
	_, side = f.side[string(it.Key())]
	return main, side
}

func (f *fakeIndex) Ledgers(_ context.Context, _ string, partitions []int32) (map[int32]weaviate.Ledger, error) {
	defer f.enter("ledgers", len(partitions))()
	found := map[int32]weaviate.Ledger{}
	for _, p := range partitions {
		if l, ok := f.ledgers[p]; ok && !f.lost[p] {
			found[p] = l
		}
	}
	return found, nil
}

func (f *fakeIndex) Life(context.Context) string { return f.life }

func (f *fakeIndex) NewLedger(ctx context.Context, collection string, partition int32, l weaviate.Ledger) error {
	f.mu.Lock()
	delete(f.lost, partition)
	f.mu.Unlock()
	return f.PutLedger(ctx, collection, partition, l)
}

func (f *fakeIndex) PutLedger(_ context.Context, _ string, partition int32, l weaviate.Ledger) error {
	defer f.enter("put ledger", 1)()
	f.ledgers[partition] = l
	return nil
}

func (f *fakeIndex) Tombstones(_ context.Context, _ string, partition int32, before time.Time, limit int) ([]weaviate.Tombstone, error) {
	defer f.enter("tombstones", limit)()
	var found []weaviate.Tombstone
	for key, o := range f.side {
		item, err := record.ParseKey([]byte(key))
		dead := !o.state.Live() && o.state.Floor > 0 && o.state.Failed == nil && f.buried[key].Before(before)
		if err == nil && dead && record.Partition([]byte(key), spec(collection).Partitions) == partition && len(found) < limit {
			found = append(found, weaviate.Tombstone{Item: item, Floor: o.state.Floor})
		}
	}
	return found, nil
}
