package writer

import (
	"bytes"
	"context"
	"math"
	"slices"
	"sync"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"github.com/freshet-io/freshet/libs/record"
	"github.com/freshet-io/freshet/libs/stage"
	"github.com/freshet-io/freshet/libs/weaviate"
)

// memory keeps what the index has of items, as this process itself left it there or read it, so
// that it need not be read again: the least recently used states are dropped first.
//
// It may stand for a read because nothing else writes an item while its partition is owned here.
// So what it has of a partition is forgotten with each assignment of it, and before it is worked on once more: a
// call of the owner before may have landed meanwhile. That of others stays: it alone tells a row that lacks columns that such
// a call has landed over the item. A state is taken out while its item is worked
// on and comes back once everything that was done to it is acknowledged. After a call that failed,
// or an item that the index refused, nobody knows what is there, and nothing comes back.
//
// It keeps what decides about records, about 400 bytes an item, and not rows and vectors, which are
// 10,000: where those are to be written again, they are read (see item.lacks).
type memory struct {
	mu     sync.Mutex
	states *simplelru.LRU[string, weaviate.Stored]
	size   int // bytes, about
	limit  int

	partitions int32
	stays      map[int32]int // by partition: how often it was forgotten

	remembered, loaded int64 // items
}

// newMemory returns a memory of so many bytes; 0 remembers nothing.
func newMemory(limit int, partitions int32) *memory {
	m := &memory{limit: limit, partitions: partitions, stays: map[int32]int{}}
	m.states, _ = simplelru.NewLRU(math.MaxInt, func(key string, s weaviate.Stored) { m.size -= sizeOf(key, &s) }) // only a size below 1 fails
	return m
}

// forget drops what there is of partitions, of all where none is named, and what batches that are under way have yet to
// bring back.
func (m *memory) forget(partitions ...int32) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for p := range m.partitions {
		if len(partitions) == 0 || slices.Contains(partitions, p) {
			m.stays[p]++
		}
	}
	for _, key := range m.states.Keys() {
		if len(partitions) == 0 || slices.Contains(partitions, m.partition(key)) {
			m.states.Remove(key)
		}
	}
}

func (m *memory) partition(key string) int32 { return record.Partition([]byte(key), m.partitions) }

// stay names the time from the last time that an item's partition was forgotten to the next one.
func (m *memory) stay(key string) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.stays[m.partition(key)]
}

// recall folds the records of items onto the states that are remembered, and returns the items of
// which none is.
//
// The look at the ownership makes a state as good as a read of this moment: while the lease holds,
// nobody else writes. A process that slept through its session would decide by what another owner
// has long changed, and with nothing to put no later look would stop it. In doubt all is read: what is remembered then tells
// only what was put.
func (w *Writer) recall(ctx context.Context, items []*item) (unknown []*item, err error) {
	if err := stage.Owned(ctx); err != nil {
		return nil, err
	}
	known, states, unknown := w.memory.take(items)
	inDoubt := stage.InDoubt(ctx)
	for i, it := range known {
		it.had = &states[i]
		if inDoubt { // a call of the owner before may have brought a newer state since
			unknown = append(unknown, it)
			continue
		}
		if err := w.decide(ctx, it, states[i], false); err != nil {
			return nil, err
		}
	}
	return unknown, nil
}

// take takes the states of items out, those that it has, and returns the items that it has none of. Nobody else holds a
// state then, so that folding may change it.
func (m *memory) take(items []*item) (known []*item, states []weaviate.Stored, unknown []*item) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, it := range items {
		s, ok := m.states.Peek(it.key)
		if !ok {
			unknown = append(unknown, it)
			continue
		}
		m.states.Remove(it.key)
		known, states = append(known, it), append(states, s)
	}
	m.remembered += int64(len(known))
	m.loaded += int64(len(unknown))
	return known, states, unknown
}

// keep brings the states of items back that are known to stand so in the index.
func (m *memory) keep(items []*item) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, it := range items {
		if !it.known || it.stay != m.stays[m.partition(it.key)] {
			continue
		}
		s := it.plan.stands()
		m.size += sizeOf(it.key, &s)
		m.states.Add(it.key, s)
	}
	for m.size > m.limit {
		m.states.RemoveOldest()
	}
}

// drop forgets items that somebody else changes.
func (m *memory) drop(items []record.Item) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, it := range items {
		m.states.Remove(string(it.Key()))
	}
}

// counts returns how many items were remembered, and how many had to be loaded.
func (m *memory) counts() (remembered, loaded int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.remembered, m.loaded
}

// head returns a copy of what of a state decides about records. It shares nothing with the records
// of a batch, of which a handler may keep nothing.
func head(s record.State) record.State {
	s.Properties, s.Inputs, s.Recipe, s.Text, s.Origin, s.Vector = nil, nil, nil, "", nil, nil
	s.Wanted, s.Held = bytes.Clone(s.Wanted), bytes.Clone(s.Held)
	orders := make(record.Orders, len(s.Sources))
	for source, order := range s.Sources {
		orders[source] = slices.Clone(order)
	}
	s.Sources = orders
	return s
}

// overhead is about what a state takes beside what varies: itself and its entry in the list.
const overhead = 400

func sizeOf(key string, s *weaviate.Stored) int {
	size := overhead + len(key) + len(s.State.Wanted) + len(s.State.Held) + len(s.State.Space)
	for column := range s.State.Older {
		size += 50 + len(column)
	}
	for source, order := range s.State.Sources {
		size += 100 + len(source) + 8*len(order)
	}
	return size
}
