package chaos

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	reason "github.com/freshet-io/freshet/libs/fault"
	"github.com/freshet-io/freshet/libs/record"
	"github.com/freshet-io/freshet/libs/weaviate"
)

// index is a stand-in for Weaviate with the history of each item. A put replaces the
// whole object; nothing is compared.
type index struct {
	trouble *trouble
	now     func() time.Duration

	mu         sync.Mutex
	main, side map[string]record.State // by item key
	history    map[string][]moment     // by item key
	ledgers    map[int32]weaviate.Ledger
	landing    sync.WaitGroup // writes that failed and land later
}

// moment is an item as it was after a write.
type moment struct {
	at    time.Duration
	by    string
	call  string
	state record.State // of both copies, joined
	main  bool
	late  bool // by a process that stood still when it was about to make the call
	// lingered: to the process the call had failed a while ago.
	lingered bool
}

// indexView is the index as one process reaches it.
type indexView struct {
	*index
	by *process
}

// enter is the way to the index: a killed process's call has no effect. late says that
// the process stood still meanwhile.
func (v *indexView) enter(ctx context.Context, write bool) (late bool, err error) {
	takes, since := v.trouble.takes(), v.now() // it may stand still already here, after it has asked whether it may
	if err := v.by.gate.pass(ctx); err != nil {
		return false, err
	}
	if err := wait(ctx, takes); err != nil {
		return false, err
	}
	pass := v.by.gate.pass
	if write {
		pass = v.by.gate.passMidway
	}
	if err := pass(ctx); err != nil {
		return false, err
	}
	waited := v.now() - since
	if waited > deadline {
		return false, errLate
	}
	return waited > takes, v.fails()
}

func (v *indexView) fails() error {
	if v.trouble.hits(unwritten) && v.trouble.toss() {
		return errors.New("503 from the index")
	}
	return nil
}

// leave is the way back, on which an answer may be lost.
func (v *indexView) leave(ctx context.Context) error {
	if err := wait(ctx, v.trouble.takes()); err != nil {
		return err
	}
	if v.trouble.hits(unwritten) {
		return errors.New("the index's answer is lost")
	}
	return v.by.gate.pass(ctx)
}

func (v *indexView) Lookup(ctx context.Context, collection string, items []record.Item) ([]record.State, error) {
	stored, err := v.Load(ctx, collection, items, true)
	if err != nil {
		return nil, err
	}
	states := make([]record.State, len(stored))
	for i, s := range stored {
		states[i] = s.State
	}
	return states, nil
}

func (v *indexView) Load(ctx context.Context, _ string, items []record.Item, whole bool) ([]weaviate.Stored, error) {
	if _, err := v.enter(ctx, false); err != nil {
		return nil, err
	}
	v.mu.Lock()
	all := make([]weaviate.Stored, len(items))
	for i, it := range items {
		key := string(it.Key())
		_, all[i].Main = v.main[key]
		_, all[i].Side = v.side[key]
		all[i].State = v.joined(key)
		if s := &all[i].State; !whole {
			s.Properties, s.Inputs, s.Recipe, s.Text, s.Origin, s.Vector = nil, nil, nil, "", nil, nil
		}
	}
	v.mu.Unlock()
	return all, v.leave(ctx)
}

func (v *indexView) LoadHidden(ctx context.Context, collection string, items []record.Item, whole bool) ([]weaviate.Stored, error) {
	return v.Load(ctx, collection, items, whole) // it hides nothing
}

func (*indexView) Blind(context.Context, string, record.Item) (bool, error) { return false, nil }

// joined returns what is known of an item; x.mu is held.
func (x *index) joined(key string) record.State {
	state := record.State{Sources: record.Orders{}}
	if s, ok := x.main[key]; ok {
		state = cloned(s)
	}
	if s, ok := x.side[key]; ok {
		state.Join(&s)
	}
	return state
}

func cloned(s record.State) record.State {
	s.Sources = maps.Clone(s.Sources)
	s.Vector = slices.Clone(s.Vector)
	return s
}

func (v *indexView) Put(ctx context.Context, _ string, objs []weaviate.Object) (map[int]error, error) {
	return v.put(ctx, "put", v.main, objs)
}

func (v *indexView) PutSide(ctx context.Context, _ string, objs []weaviate.Object) (map[int]error, error) {
	return v.put(ctx, "put aside", v.side, objs)
}

func (v *indexView) put(ctx context.Context, call string, to map[string]record.State, objs []weaviate.Object) (map[int]error, error) {
	late, err := v.enter(ctx, true)
	if err != nil {
		return nil, err
	}
	for _, o := range objs {
		if strings.Contains(o.State.Text, wordIndexDies) {
			panic(wordIndexDies)
		}
	}
	if v.lingers(func() { v.store(call, to, objs, true, true) }) {
		return nil, errLingers
	}
	return v.store(call, to, objs, late, false), v.leave(ctx)
}

var errLingers = errors.New("the index's answer is lost, and the call is not over")

// lingers reports whether a write fails now and lands later, within a call's deadline.
func (v *indexView) lingers(write func()) bool {
	if !v.trouble.hits(lingering) {
		return false
	}
	d := v.trouble.within(deadline)
	v.landing.Go(func() {
		time.Sleep(d)
		write()
	})
	return true
}

func (v *indexView) store(call string, to map[string]record.State, objs []weaviate.Object, late, lingered bool) map[int]error {
	v.mu.Lock()
	defer v.mu.Unlock()
	rejected := map[int]error{}
	for i, o := range objs {
		if strings.Contains(o.State.Text, wordIndexRefuses) {
			rejected[i] = reason.Reject(reason.IndexRejected, "the object is refused")
			continue
		}
		state := cloned(o.State)
		if call != "put" {
			state.Vector = nil
		}
		key := string(o.Item.Key())
		to[key] = state
		v.note(call, key, v.by.name, late, lingered)
	}
	return rejected
}

func (x *index) note(call, key, by string, late, lingered bool) {
	_, main := x.main[key]
	x.history[key] = append(x.history[key], moment{at: x.now(), by: by, call: call, state: x.joined(key), main: main, late: late, lingered: lingered})
}

func (v *indexView) DeleteMain(ctx context.Context, _ string, items []record.Item, _ bool) error {
	return v.remove(ctx, "delete", v.main, items)
}

func (v *indexView) DeleteSide(ctx context.Context, _ string, items []record.Item, _ bool) error {
	return v.remove(ctx, "delete aside", v.side, items)
}

func (v *indexView) remove(ctx context.Context, call string, from map[string]record.State, items []record.Item) error {
	late, err := v.enter(ctx, true)
	if err != nil {
		return err
	}
	if v.lingers(func() { v.erase(call, from, items, true, true) }) {
		return errLingers
	}
	v.erase(call, from, items, late, false)
	return v.leave(ctx)
}

func (v *indexView) erase(call string, from map[string]record.State, items []record.Item, late, lingered bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, it := range items {
		key := string(it.Key())
		delete(from, key)
		v.note(call, key, v.by.name, late, lingered)
	}
}

func (v *indexView) SelfFound(ctx context.Context, _ string, _ []record.Item, _ []record.State) ([]record.Item, error) {
	if _, err := v.enter(ctx, false); err != nil {
		return nil, err
	}
	return nil, v.leave(ctx)
}

func (*indexView) Unwritable(context.Context, string) (cause, err error) { return nil, nil }
