// Package writer brings vectors into the index: it folds the records of each item onto the state
// that the index has, and moves the item to where it then belongs.
//
//	records ─▶ check ─▶ by item ─▶ load ─▶ fold ─▶ put ─▶ delete the other copy ─▶ outcomes
//	             │                            ▲      │
//	             ▼                            └──────┘ refused: the record's mark instead
//	       dead letter
//
// It owns the order of the writes of a batch and the guards against what Weaviate loses silently.
// It never decides which of two states is the newer one (record.State does), never retries (the
// stage does), and relies on being the only writer of the items of its partitions.
package writer

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/freshet-io/freshet/libs/fault"
	"github.com/freshet-io/freshet/libs/record"
	"github.com/freshet-io/freshet/libs/stage"
	"github.com/freshet-io/freshet/libs/weaviate"
)

// Collection is what a vector must fit.
type Collection struct {
	Space      string
	Dimensions int
}

// Config says what to write where.
type Config struct {
	Collections map[string]Collection // by logical name
	Recipes     Recipes               // of rows that lack columns
	InFlight    int                   // calls to the index at a time, of all partitions; 0 is 2
	Log         Log                   // of the versions; nil: they are taken as they come
	Partitions  int32                 // of the log; 0 is 1
	// Observe, if set, is told that a collection takes no writes, and each time why, and with nil
	// that it takes them again. ctx is of the batch that has found out.
	Observe    func(ctx context.Context, collection string, why error)
	Outage     bool // the index was away: it may have lost what it had acknowledged last
	Sample     *Sample
	Remembered int // bytes for the states of items, so that they are not read again; 0 is none
	// Doubt is after how long a call that failed has surely landed, or never will; 0: it is taken for one that has not.
	Doubt time.Duration
}

// Outcome is the fate of one record. What it emits asks embed for the vector of a text that was merged here.
type Outcome = stage.Outcome[*record.Document]

// Labels of outcomes.
const (
	Written    = "written"      // the row is in the index
	Completed  = "completed"    // the vector of a row that was there is in the index, or the news that there is none
	Waiting    = "waiting"      // the row is kept until the rest of its columns, or its vector, comes
	Hidden     = "hidden"       // the row is kept and not to be found
	Unfound    = "unfound"      // it is in the index, which does not find it by its own vector
	Deleted    = "deleted"      // the item is gone, a tombstone stays
	Marked     = "marked"       // the item shows that a newer change of it is a dead letter
	Superseded = "superseded"   // taken, and replaced by a later record of the batch
	Stale      = "stale"        // the index is newer
	OutOfOrder = "out-of-order" // appended late by a source that had moved on
	Skipped    = "skipped"      // a marker
)

// Writer is a stage.Handler. Its methods are safe for concurrent use, but each item must be in one
// call at a time: batches of one partition come one after the other.
type Writer struct {
	index       Index
	collections map[string]Collection
	recipes     Recipes
	inFlight    chan struct{}
	suspects    *suspects
	completions *completions
	log         Log
	partitions  int32
	versions    versions
	outages     outages
	breakers    map[string]*breaker // by collection
	memory      *memory
	late        lateCalls
	sample      *Sample // may be nil
}

// New returns a writer that is unsure of what the index finds, as after TakeOver.
func New(index Index, cfg Config) *Writer {
	if cfg.InFlight < 1 {
		cfg.InFlight = 2
	}
	cfg.Partitions = max(cfg.Partitions, 1)
	if cfg.Observe == nil {
		cfg.Observe = func(context.Context, string, error) {}
	}
	w := &Writer{
		index: index, collections: cfg.Collections, recipes: cfg.Recipes, inFlight: make(chan struct{}, cfg.InFlight),
		suspects: newSuspects(), completions: newCompletions(), sample: cfg.Sample,
		log: cfg.Log, partitions: cfg.Partitions, breakers: map[string]*breaker{}, memory: newMemory(cfg.Remembered, cfg.Partitions),
		versions: versions{ends: map[int32]int64{}, horizons: map[string]map[int32]int64{}},
		late:     lateCalls{bound: cfg.Doubt, items: map[string]*lateItem{}},
	}
	for name := range cfg.Collections {
		w.breakers[name] = &breaker{tell: func(ctx context.Context, why error) { cfg.Observe(ctx, name, why) }}
	}
	if cfg.Outage {
		w.outages.add()
	}
	w.TakeOver()
	return w
}

// TakeOver says that partitions were assigned, or that the index may have lost what it acknowledged:
// another owner may have written there, and a put may have been interrupted together with the process
// that made it. Nothing is remembered of them, or of all where none is named, and for a while every put changes its vector's
// bits (see nonce).
//
// The redelivered record alone does not show it: a newer one of the item may come first by the
// other lane, with the vector of the interrupted put, and the redelivered one is stale then.
func (w *Writer) TakeOver(partitions ...int32) {
	w.suspects.all()
	w.completions.takeOver()
	w.memory.forget(partitions...)
}

// Again says that records of partitions are worked on once more: a late call of another owner may have landed over
// what was put since. What this process has put completely needs no nonce for that, only a search.
func (w *Writer) Again(partitions ...int32) {
	w.suspects.shake()
	w.completions.takeOver()
	w.memory.forget(partitions...)
}

// Handle implements stage.Handler. An error means that nothing of the batch counts as written.
func (w *Writer) Handle(ctx context.Context, batch []*record.Vector) ([]Outcome, error) {
	outcomes := make([]Outcome, len(batch))
	for _, items := range w.sort(batch, outcomes) {
		if err := w.guarded(ctx, items); err != nil {
			return nil, err
		}
		for _, it := range items {
			w.report(it, outcomes) //nolint:contextcheck // the sample that it feeds belongs to no batch
		}
	}
	return outcomes, nil
}

// sort gives markers and records of unknown collections their outcome, and returns the others by
// collection and item, each in the order of the batch.
func (w *Writer) sort(batch []*record.Vector, outcomes []Outcome) [][]*item {
	var collections [][]*item
	place := map[string]int{} // of a collection
	known := map[string]*item{}
	for i, v := range batch {
		name := v.GetDocument().GetCollection()
		if v.GetDocument().GetOp() == record.Op_OP_MARKER {
			outcomes[i] = stage.Skip[*record.Document](Skipped)
			continue
		}
		collection, ok := w.collections[name]
		if !ok {
			outcomes[i] = stage.Reject[*record.Document](fault.Reject(fault.IndexRejected, "collection %q is not in the pipeline file", name))
			continue
		}
		if _, ok := place[name]; !ok {
			place[name] = len(collections)
			collections = append(collections, nil)
		}
		id := v.GetDocument().Item()
		key := string(id.Key())
		if known[key] == nil {
			known[key] = &item{Item: id, key: key, stay: w.memory.stay(key)}
			collections[place[name]] = append(collections[place[name]], known[key])
		}
		known[key].add(i, v, check(v, collection))
	}
	return collections
}

// write brings items of one collection to their places. A record that the index refuses is
// replaced by its mark and its item written again, so that what came before it is not lost.
func (w *Writer) write(ctx context.Context, items []*item) error {
	for len(items) > 0 {
		if err := w.load(ctx, items); err != nil {
			return err
		}
		refused, err := w.apply(ctx, items)
		if err != nil {
			return err
		}
		w.memory.keep(items)
		w.late.leave(items)
		items = refused
	}
	return nil
}

// load folds the items' records onto their states: those that are remembered, or what is read. Rows
// and vectors are read only where they are to be written again.
func (w *Writer) load(ctx context.Context, items []*item) error {
	unknown, err := w.recall(ctx, items)
	if err != nil {
		return err
	}
	if err := w.loadSome(ctx, unknown, false); err != nil {
		return err
	}
	return w.loadSome(ctx, only(items, (*item).lacks), true)
}

// loadSome reads items, and those in doubt also where no filter finds them. A whole row with its vector needs
// no more than a filter finds: it replaces what may be there, or the interrupted put comes again and does.
func (w *Writer) loadSome(ctx context.Context, items []*item, whole bool) error {
	var plain, hidden []*item
	comesAgain := stage.ComesAgain(ctx)
	for _, it := range items {
		if !it.bringsAll() && w.suspects.hides(it.key, comesAgain) {
			hidden = append(hidden, it)
		} else {
			plain = append(plain, it)
		}
	}
	if err := w.loadBy(ctx, w.index.Load, plain, whole); err != nil {
		return err
	}
	return w.loadBy(ctx, w.index.LoadHidden, hidden, whole)
}

type loadCall func(ctx context.Context, collection string, items []record.Item, whole bool) ([]weaviate.Stored, error)

func (w *Writer) loadBy(ctx context.Context, load loadCall, items []*item, whole bool) error {
	if len(items) == 0 {
		return nil
	}
	stored, err := asked(ctx, w, func() ([]weaviate.Stored, error) { return load(ctx, items[0].Collection, ids(items), whole) })
	if err != nil {
		return fmt.Errorf("loading %d items: %w", len(items), err)
	}
	inDoubt := stage.InDoubt(ctx)
	for i, it := range items {
		left := w.late.left(it.key, &stored[i])
		it.had = cmp.Or(it.had, left, &stored[i])
		// A late call has replaced what was put since. Merged with that, a row would lack its columns for good: its order
		// would have their own rows be late ones when they come once more.
		if (inDoubt || left != nil) && it.isOverwritten(&stored[i]) {
			it.leave()
			w.late.land(it.key)
			continue
		}
		if err := w.decide(ctx, it, stored[i], whole); err != nil {
			return err
		}
	}
	return nil
}

// call makes one call to the index when one of its places is free. The look at the
// ownership comes last: a process that slept through its session must not go on with a
// state that it read before.
func (w *Writer) call(ctx context.Context, f func() error) error {
	select {
	case w.inFlight <- struct{}{}:
	case <-ctx.Done():
		return fmt.Errorf("waiting for a call to the index: %w", ctx.Err())
	}
	defer func() { <-w.inFlight }()
	if err := stage.Owned(ctx); err != nil {
		return err
	}
	if err := admitted(ctx); err != nil {
		return err
	}
	err := f()
	if err != nil {
		w.suspects.shake()
		if !weaviate.Answered(err) {
			w.outages.add()
		}
	}
	return err
}

// asked is call for what is answered.
func asked[T any](ctx context.Context, w *Writer, f func() (T, error)) (answer T, err error) {
	err = w.call(ctx, func() (err error) { answer, err = f(); return err })
	return answer, err
}

func each[T, U any](list []T, of func(T) U) []U {
	all := make([]U, len(list))
	for i, one := range list {
		all[i] = of(one)
	}
	return all
}

func ids(items []*item) []record.Item {
	return each(items, func(it *item) record.Item { return it.Item })
}
