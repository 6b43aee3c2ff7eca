package writer

import (
	"slices"

	"github.com/freshet-io/freshet/libs/fault"
	"github.com/freshet-io/freshet/libs/record"
	"github.com/freshet-io/freshet/libs/stage"
	"github.com/freshet-io/freshet/libs/weaviate"
)

type place int

const (
	// nowhere: no record of the batch was taken, so nothing is to be done.
	nowhere place = iota
	// main: the item exists and is found.
	main
	// side: the item is deleted, hidden, lacks its vector or some of its columns, or is only known
	// by a dead letter. In the main collection keywords and filters would find it.
	side
)

// plan is the decision for one item. It is made without I/O, from what the index has and the
// records alone.
//
// A move puts its target first and deletes the other copy then. A kill in between leaves both;
// the redelivered record is taken again, and the plan says the same once more.
type plan struct {
	state  record.State   // after all records
	taken  []record.Taken // what each record did
	target place
	// other says that the index has a copy in the place that is not the target.
	other bool
	// inMain and inSide say where the index has copies before anything is done.
	inMain, inSide bool
	before         int64 // version of the row that the index has before anything is done
	// again says that a record was there before: what it caused may have been interrupted. It
	// concerns the item, so that a later record of the batch does not end it.
	again bool
	news  bool // a record was not there before
}

// fold applies records in their order to what the index has, and has complete make an item of what they merge into. Its
// error is that one's; the plan says then what each record did.
func fold(stored weaviate.Stored, records []rec, complete maker) (plan, error) {
	p := plan{state: stored.State.Copy(), taken: make([]record.Taken, len(records)), inMain: stored.Main, inSide: stored.Side, before: stored.State.Base}
	for i, r := range records {
		p.taken[i] = p.state.Take(r.apply)
	}
	if p.state.Merged() {
		if err := complete(&p.state); err != nil {
			return p, err
		}
		for i, r := range records { // it may be the vector of what was merged
			if p.state.TakeVector(r.apply) {
				p.taken[i] = record.TakenNew
			}
		}
	}
	p.place(stored)
	return p, nil
}

func (p *plan) place(stored weaviate.Stored) {
	for _, taken := range p.taken {
		switch taken {
		case record.TakenAgain:
			p.again = true
			p.target = side
		case record.TakenNew:
			p.news = true
			p.target = side
		case record.Stale, record.OutOfOrder:
		}
	}
	switch {
	case p.target == nowhere:
	case p.state.Complete():
		p.target, p.other = main, stored.Side
	default:
		p.other = stored.Main
		p.state.DropVector()
	}
}

// stands returns what the index has once the plan is carried out, without the row and the vector.
func (p *plan) stands() weaviate.Stored {
	s := weaviate.Stored{State: head(p.state), Main: p.target == main, Side: p.target == side}
	if p.target == nowhere {
		s.Main, s.Side = p.inMain, p.inSide
	}
	return s
}

type item struct {
	record.Item
	key     string
	stay    int // of the memory, when the batch began
	records []rec
	plan    plan
	had     *weaviate.Stored // what is remembered of it, or was found first
	whole   bool             // the plan was made from all that the index has, not only from what decides
	known   bool             // the index has, or will have, just what the plan says: it was not refused
	written bool             // by the last put
	unfound bool             // the index does not find it by its own vector, whatever was tried

	interrupted bool // an earlier put of it may have been: Weaviate must write all of it anew
	doubtful    bool // it is to be looked for when it is put
}

// fold makes the item's plan. Without the whole of what the index has it makes none where rows are merged: they cannot
// be merged with columns that were not read. Its error is complete's.
func (it *item) fold(stored weaviate.Stored, whole bool, complete maker) (err error) {
	it.whole, it.known, it.plan = whole, true, plan{}
	if !whole && it.merges(&stored.State) {
		return nil
	}
	it.plan, err = fold(stored, it.records, complete)
	return err
}

// isOverwritten reports whether the index has less of the item than this process has put there. A row that is gone is not
// less where a delete above it is there.
func (it *item) isOverwritten(stored *weaviate.Stored) bool {
	return it.had != nil && (max(stored.State.Base, stored.State.Floor) < it.had.State.Base || stored.State.Floor < it.had.State.Floor)
}

// leave has nothing done to the item, and what is remembered of it stay so.
func (it *item) leave() {
	it.whole, it.known = true, true
	it.plan = plan{state: it.had.State, taken: slices.Repeat([]record.Taken{record.Stale}, len(it.records)), inMain: it.had.Main, inSide: it.had.Side}
}

// merges reports whether rows are merged: a record has only some columns, or may bring what an earlier one left out.
func (it *item) merges(s *record.State) bool {
	return len(s.Older) > 0 || slices.ContainsFunc(it.records, func(r rec) bool { return r.apply.GetDocument().GetOp() == record.Op_OP_PARTIAL })
}

// bringsAll reports whether all records are whole rows to be found, with their vectors.
func (it *item) bringsAll() bool {
	return !slices.ContainsFunc(it.records, func(r rec) bool {
		d := r.apply.GetDocument()
		return d.GetOp() != record.Op_OP_UPSERT || d.GetHidden() || len(r.apply.GetVector()) == 0
	})
}

// lacks reports whether the item needs what the index has and was not read: to be merged with, or to be written again,
// its vector, or a row that none of the records sets.
func (it *item) lacks() bool {
	p := &it.plan
	switch {
	case it.whole:
		return false
	case p.taken == nil:
		return true
	case p.target == nowhere:
		return false
	case p.target == main && len(p.state.Vector) == 0:
		return true
	}
	return p.state.Live() && !slices.ContainsFunc(it.records, func(r rec) bool { return it.setsRow(&r) })
}

type rec struct {
	at     int            // in the batch
	from   *record.Vector // as it came
	apply  *record.Vector // what is folded: itself, or its mark
	refuse error          // why it is a dead letter
}

// add appends a record; one that is refused counts by its mark.
func (it *item) add(at int, v *record.Vector, refuse error) {
	r := rec{at: at, from: v, apply: v}
	if refuse != nil {
		r.reject(refuse)
	}
	it.records = append(it.records, r)
}

func (r *rec) reject(err error) {
	r.refuse, r.apply = err, r.from.Mark(string(fault.ReasonOf(err)))
}

// reject makes the record a dead letter that gave the item the state which the index refuses: the
// one that set the row, else the last one taken. It reports whether there is one left to blame.
func (it *item) reject(err error) bool {
	blame := -1
	for i := range it.records {
		r := &it.records[i]
		if r.refuse != nil || it.plan.taken[i] != record.TakenNew && it.plan.taken[i] != record.TakenAgain {
			continue
		}
		blame = i
		if it.setsRow(r) {
			break
		}
	}
	if blame < 0 {
		return false
	}
	it.records[blame].reject(err)
	return true
}

// setsRow reports whether the item's newest row is the record's.
func (it *item) setsRow(r *rec) bool {
	return r.apply.GetDocument().GetOp().IsRow() && r.apply.GetVersion() == it.plan.state.Base
}

// report gives the item's records their outcomes, and what they ask of embed.
func (w *Writer) report(it *item, outcomes []Outcome) {
	for i := range it.records {
		r := &it.records[i]
		if r.refuse != nil {
			outcomes[r.at] = stage.Reject[*record.Document](r.refuse)
			continue
		}
		label := it.label(r, it.plan.taken[i])
		switch label {
		case Written, Completed, Deleted, Hidden, Superseded:
			outcomes[r.at] = stage.Done[*record.Document](label)
		default:
			outcomes[r.at] = stage.Skip[*record.Document](label)
		}
		outcomes[r.at].Again, outcomes[r.at].Measured = it.plan.taken[i] != record.TakenNew, w.sample.take(it, r.from, label)
	}
	if at, request := w.completions.of(it); request != nil {
		outcomes[at].Out = append(outcomes[at].Out, request)
	}
}

func (it *item) label(r *rec, taken record.Taken) string {
	switch taken {
	case record.Stale:
		return Stale
	case record.OutOfOrder:
		return OutOfOrder
	case record.TakenNew, record.TakenAgain:
	}
	state := &it.plan.state
	switch op := r.apply.GetDocument().GetOp(); {
	case op == record.Op_OP_FAILED:
		return Marked
	case op == record.Op_OP_COMPLETION_REQUEST:
		return Completed
	case op == record.Op_OP_DELETE && !state.Live() && r.apply.GetVersion() == state.Floor:
		return Deleted
	case !it.setsRow(r):
		return Superseded
	case state.Hidden:
		return Hidden
	case it.plan.target == side:
		return Waiting
	case it.unfound:
		return Unfound
	case taken == record.TakenNew && it.plan.inMain && r.apply.GetVersion() == it.plan.before: // the row came before
		return Completed
	}
	return Written
}
