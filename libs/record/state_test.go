package record

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
)

// change builds the Vector of a test's change step by step.
type change struct{ v *Vector }

func newChange(op Op, version int64) change {
	return change{v: &Vector{
		Document:      &Document{Op: op, Collection: "Product", Id: []string{"1"}},
		Version:       version,
		VersionOrigin: VersionOrigin_VERSION_ORIGIN_LOG,
		State:         VectorState_VECTOR_STATE_NONE,
	}}
}

func upsert(version int64, text string) change {
	c := newChange(Op_OP_UPSERT, version)
	c.v.Document.Text = text
	c.v.Document.Inputs = fmt.Appendf(nil, `{"text":%q,"x":%d,"y":%d,"z":%d}`, text, version, version, version)
	c.v.Document.Properties = []*Property{{Name: "version", Value: &Value{Kind: &Value_Integer{Integer: version}}}}
	c.v.Space, c.v.Fingerprint = "s", Fingerprint("s", text)
	c.v.Vector, c.v.State = AppendVector(nil, []float32{float32(len(text)), 1}), VectorState_VECTOR_STATE_PRESENT
	return c
}

// partial is a row without some of its columns, of text, x, y and z.
func partial(version int64, without ...string) change {
	c := newChange(Op_OP_PARTIAL, version)
	digits := strconv.FormatInt(version, 10)
	row := inputs{"text": fmt.Sprintf("%q", fmt.Sprint("partial ", version)), "x": digits, "y": digits, "z": digits}
	for _, column := range without {
		delete(row, column)
	}
	c.v.Document.Inputs, c.v.Document.Unavailable, c.v.State = row.encode(), without, VectorState_VECTOR_STATE_PARTIAL
	return c
}

// textOf makes a text of the columns: of x, and of what the row is called.
func textOf(in inputs) string { return in["text"] + " " + in["x"] }

func remove(version int64) change { return newChange(Op_OP_DELETE, version) }

func mark(version int64) change {
	c := newChange(Op_OP_FAILED, version)
	c.v.Document.Failed = &Failure{Reason: "field-type"}
	return c
}

func (c change) from(source string, order ...uint64) change {
	c.v.Document.Sources = append(c.v.Document.Sources, &SourceOrder{Source: source, Order: order})
	return c
}

func (c change) pending() change {
	c.v.Vector, c.v.State = nil, VectorState_VECTOR_STATE_PENDING
	return c
}

func (c change) refused() change {
	c.v.Vector, c.v.State, c.v.FailedReason = nil, VectorState_VECTOR_STATE_FAILED, "oversize"
	return c
}

func (c change) bulk() change {
	c.v.VersionOrigin = VersionOrigin_VERSION_ORIGIN_STAMP
	return c
}

func (c change) explicit() change {
	c.v.VersionOrigin = VersionOrigin_VERSION_ORIGIN_EXPLICIT
	return c
}

// describe writes a state as one line: what a test expects of it.
func describe(s *State) string {
	line := "gone"
	if s.Live() {
		line = fmt.Sprintf("row %d %q", s.Base, s.Text)
		switch {
		case s.holdsWanted():
			line += " found"
		case len(s.Held) > 0:
			line += " found by an older text"
		default:
			line += " without vector"
		}
	}
	if s.Floor > 0 {
		line += fmt.Sprintf(", floor %d", s.Floor)
	}
	if s.Failed != nil {
		line += fmt.Sprintf(", %s at %d", s.Failed.GetReason(), s.Failed.GetVersion())
	}
	return line
}

func TestTake(t *testing.T) {
	type step struct {
		change change
		taken  Taken
	}
	tests := map[string]struct {
		steps []step
		want  string
	}{
		"delete then create: the new item is not buried by the old delete": {
			[]step{{upsert(1, "a"), TakenNew}, {remove(2), TakenNew}, {upsert(3, "b"), TakenNew}},
			`row 3 "b" found, floor 2`,
		},
		"delete redelivered after the item was created again": {
			[]step{{remove(2), TakenNew}, {upsert(3, "b"), TakenNew}, {remove(2), TakenAgain}},
			`row 3 "b" found, floor 2`,
		},
		"row from before the delete is redelivered: it stays deleted": {
			[]step{{upsert(1, "a"), TakenNew}, {remove(2), TakenNew}, {upsert(1, "a"), Stale}},
			`gone, floor 2`,
		},
		"slow bulk row lands after a delete: not resurrected": {
			[]step{{remove(5), TakenNew}, {upsert(4, "a").bulk(), Stale}},
			`gone, floor 5`,
		},
		"reconcile deletes with the stamp of the row: the delete wins": {
			[]step{{upsert(4, "a").bulk(), TakenNew}, {remove(4).bulk(), TakenNew}},
			`gone, floor 4`,
		},
		"row with the stamp of a delete comes last: the delete wins all the same": {
			[]step{{remove(4).bulk(), TakenNew}, {upsert(4, "a").bulk(), Stale}},
			`gone, floor 4`,
		},
		"redelivery: taken again, to finish what a kill interrupted": {
			[]step{{upsert(1, "a"), TakenNew}, {upsert(1, "a"), TakenAgain}},
			`row 1 "a" found`,
		},
		"delete redelivered: taken again, to finish the move": {
			[]step{{remove(2), TakenNew}, {remove(2), TakenAgain}},
			`gone, floor 2`,
		},
		"redelivery of an overtaken row is stale, not out of order": {
			[]step{{upsert(1, "a").from("cdc", 1), TakenNew}, {upsert(2, "b").from("cdc", 2), TakenNew}, {upsert(1, "a").from("cdc", 1), Stale}},
			`row 2 "b" found`,
		},
		"bulk row overtaken by the live stream": {
			[]step{{upsert(5, "live"), TakenNew}, {upsert(4, "bulk").bulk(), Stale}},
			`row 5 "live" found`,
		},
		"bulk row of a settled marker beats older live state": {
			[]step{{upsert(5, "live").from("cdc", 9), TakenNew}, {upsert(6, "bulk").bulk(), TakenNew}},
			`row 6 "bulk" found`,
		},
		"old change appended late: highest version, lower order, dropped": {
			[]step{{upsert(1, "new").from("cdc", 7), TakenNew}, {upsert(2, "old").from("cdc", 6), OutOfOrder}},
			`row 1 "new" found`,
		},
		"old delete appended late does not remove the item": {
			[]step{{upsert(1, "new").from("cdc", 7), TakenNew}, {remove(2).from("cdc", 6), OutOfOrder}},
			`row 1 "new" found`,
		},
		"the same change appended twice: equal order under another version": {
			[]step{{upsert(1, "a").from("cdc", 7), TakenNew}, {upsert(2, "a").from("cdc", 7), OutOfOrder}},
			`row 1 "a" found`,
		},
		"late change of a source after another source has written": {
			[]step{{upsert(1, "a").from("cdc", 7), TakenNew}, {upsert(2, "b").from("http", 1), TakenNew}, {upsert(3, "old").from("cdc", 6), OutOfOrder}},
			`row 2 "b" found`,
		},
		"late change after a bulk row overtook the newer one": {
			[]step{{upsert(6, "bulk").bulk(), TakenNew}, {upsert(5, "new").from("cdc", 7), TakenNew}, {upsert(8, "old").from("cdc", 6), OutOfOrder}},
			`row 6 "bulk" found`,
		},
		"bulk row is judged by its stamp alone": {
			[]step{{upsert(5, "live").from("cdc", 9), TakenNew}, {upsert(6, "bulk").from("cdc", 3).bulk(), TakenNew}},
			`row 6 "bulk" found`,
		},
		"late change after a delete: the tombstone keeps the order": {
			[]step{{remove(1).from("cdc", 7), TakenNew}, {upsert(2, "old").from("cdc", 6), OutOfOrder}},
			`gone, floor 1`,
		},
		"deliberate replay: the rewind number makes its orders newer": {
			[]step{{upsert(1, "a").from("cdc", 0, 7), TakenNew}, {upsert(2, "a2").from("cdc", 1, 3), TakenNew}},
			`row 2 "a2" found`,
		},
		"redriven letter, whose mark had its version and order": {
			[]step{{upsert(1, "a").from("cdc", 1), TakenNew}, {mark(2).from("cdc", 2), TakenNew}, {upsert(2, "b").from("cdc", 2).explicit(), TakenNew}},
			`row 2 "b" found`,
		},
		"redriven letter, when a newer row has come": {
			[]step{{mark(2).from("cdc", 2), TakenNew}, {upsert(3, "c").from("cdc", 3), TakenNew}, {upsert(2, "b").from("cdc", 2).explicit(), Stale}},
			`row 3 "c" found`,
		},
		"letter of a change that was appended late is redriven: it loses to the newer one of its source": {
			[]step{
				{upsert(1, "new").from("cdc", 7, 0), TakenNew},
				{mark(2).from("cdc", 6, 0), OutOfOrder},
				{upsert(2, "old").from("cdc", 6, 0).explicit(), OutOfOrder},
			},
			`row 1 "new" found`,
		},
		"letter of a delete that was appended late is redriven: the item stays": {
			[]step{{upsert(1, "new").from("cdc", 7, 0), TakenNew}, {remove(2).from("cdc", 6, 0).explicit(), OutOfOrder}},
			`row 1 "new" found`,
		},
		"letter was appended late, and its mark says no order": {
			[]step{
				{upsert(1, "new").from("column", 7, 0), TakenNew},
				{mark(2).from("cdc", 6, 0), TakenNew},
				{upsert(2, "old").from("column", 6, 0).explicit(), OutOfOrder},
			},
			`row 1 "new" found, field-type at 2`,
		},
		"letter is redriven below the mark of a newer change of its source": {
			[]step{
				{mark(2).from("cdc", 6, 0), TakenNew},
				{mark(3).from("cdc", 7, 0), TakenNew},
				{upsert(2, "b").from("cdc", 6, 0).explicit(), TakenNew},
				{upsert(2, "b").from("cdc", 6, 0).explicit(), TakenAgain},
			},
			`row 2 "b" found, field-type at 3`,
		},
		"letter has another place in its record than its mark": {
			[]step{{mark(2).from("cdc", 6, 1), TakenNew}, {upsert(2, "b").from("cdc", 6, 0).explicit(), TakenNew}},
			`row 2 "b" found`,
		},
		"dead letter marks an item that shows an older state": {
			[]step{{upsert(1, "a"), TakenNew}, {mark(2), TakenNew}},
			`row 1 "a" found, field-type at 2`,
		},
		"dead letter of an item that was never seen": {
			[]step{{mark(2), TakenNew}},
			`gone, field-type at 2`,
		},
		"newer row clears the mark": {
			[]step{{mark(2), TakenNew}, {upsert(3, "b"), TakenNew}},
			`row 3 "b" found`,
		},
		"older row does not clear the mark": {
			[]step{{mark(3), TakenNew}, {upsert(2, "b").bulk(), TakenNew}},
			`row 2 "b" found, field-type at 3`,
		},
		"newer delete clears the mark": {
			[]step{{mark(2), TakenNew}, {remove(3), TakenNew}},
			`gone, floor 3`,
		},
		"mark redelivered after its letter was redriven: not marked again": {
			[]step{{mark(2), TakenNew}, {upsert(2, "b").explicit(), TakenNew}, {mark(2), Stale}},
			`row 2 "b" found`,
		},
		"mark redelivered after its letter was redriven as a delete: not marked again": {
			[]step{{mark(2), TakenNew}, {remove(2).explicit(), TakenNew}, {mark(2), Stale}},
			`gone, floor 2`,
		},
		"text refused below a newer mark: the newer mark stays": {
			[]step{{mark(3), TakenNew}, {upsert(2, "b").bulk().refused(), TakenNew}},
			`row 2 "b" without vector, field-type at 3`,
		},
		"ingest stopped between mark and letter, and can read the change now": {
			[]step{{upsert(1, "a").from("cdc", 1), TakenNew}, {mark(2).from("cdc", 2), TakenNew}, {upsert(3, "b").from("cdc", 2), TakenNew}},
			`row 3 "b" found`,
		},
		"write stopped between mark and letter: the change that it refused is judged again": {
			[]step{{upsert(1, "a").from("cdc", 1), TakenNew}, {mark(2).from("cdc", 2), TakenNew}, {upsert(2, "b").from("cdc", 2), TakenNew}},
			`row 2 "b" found`,
		},
		"repeated change was dropped, is replayed after a mark of another source: dropped again": {
			[]step{{upsert(1, "a").from("cdc", 7), TakenNew}, {upsert(2, "a").from("cdc", 7), OutOfOrder}, {mark(3).from("http", 1), TakenNew}, {upsert(2, "a").from("cdc", 7), OutOfOrder}},
			`row 1 "a" found, field-type at 3`,
		},
		"older change appended late after a mark": {
			[]step{{mark(2).from("cdc", 2), TakenNew}, {upsert(3, "old").from("cdc", 1), OutOfOrder}},
			`gone, field-type at 2`,
		},
		"provider away: properties are fresh, the old vector serves until the new one follows": {
			[]step{{upsert(1, "a"), TakenNew}, {upsert(2, "b").pending(), TakenNew}},
			`row 2 "b" found by an older text`,
		},
		"the vector follows under the stored version": {
			[]step{{upsert(2, "b").pending(), TakenNew}, {upsert(2, "b"), TakenNew}, {upsert(2, "b"), TakenAgain}},
			`row 2 "b" found`,
		},
		"vector of the wanted text comes with an older record": {
			[]step{{upsert(2, "a").pending(), TakenNew}, {upsert(1, "a"), TakenNew}},
			`row 2 "a" found`,
		},
		"vector of another text does not come with an older record": {
			[]step{{upsert(2, "b").pending(), TakenNew}, {upsert(1, "a"), Stale}},
			`row 2 "b" without vector`,
		},
		"price changed, text did not, provider away: still found": {
			[]step{{upsert(1, "a"), TakenNew}, {upsert(2, "a").pending(), TakenNew}},
			`row 2 "a" found`,
		},
		"text refused: properties are written, the item is marked": {
			[]step{{upsert(1, "a"), TakenNew}, {upsert(2, "b").refused(), TakenNew}},
			`row 2 "b" found by an older text, oversize at 2`,
		},
		"refused text is redriven: its vector clears the mark": {
			[]step{{upsert(2, "b").refused(), TakenNew}, {upsert(2, "b").explicit(), TakenNew}},
			`row 2 "b" found`,
		},
		"refusal redelivered after the redrive: not marked again": {
			[]step{{upsert(2, "b").refused(), TakenNew}, {upsert(2, "b").explicit(), TakenNew}, {upsert(2, "b").refused(), TakenAgain}},
			`row 2 "b" found`,
		},
		"delete below the row raises only the floor": {
			[]step{{upsert(5, "a"), TakenNew}, {remove(3).bulk(), TakenNew}},
			`row 5 "a" found, floor 3`,
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s := State{Sources: Orders{}}
			for i, st := range tt.steps {
				if judged := s.Judge(st.change.v); judged != st.taken {
					t.Errorf("step %d: Judge = %v, want %v", i, judged, st.taken)
				}
				if taken := s.Take(st.change.v); taken != st.taken {
					t.Errorf("step %d: Take = %v, want %v", i, taken, st.taken)
				}
			}
			if got := describe(&s); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

func TestTakeAgainTakesTheRecordsOwnVector(t *testing.T) {
	s := State{Sources: Orders{}}
	s.Take(upsert(1, "a").v)
	s.Vector = AppendVector(nil, []float32{1.0000001, 1}) // as stored, with a nonce
	again := upsert(1, "a")
	s.Take(again.v)
	if !bytes.Equal(s.Vector, again.v.GetVector()) {
		t.Errorf("vector = %x, want the record's %x", s.Vector, again.v.GetVector())
	}
}

func TestJudgeChangesNothing(t *testing.T) {
	s := State{Sources: Orders{}}
	s.Take(upsert(1, "a").from("cdc", 1).v)
	before := fingerprintOf(&s)
	for _, c := range []change{upsert(2, "b").from("cdc", 2), remove(3).from("cdc", 3), mark(4), upsert(1, "a").pending()} {
		s.Judge(c.v)
	}
	if after := fingerprintOf(&s); after != before {
		t.Errorf("state after Judge\n%s\nbefore\n%s", after, before)
	}
}

func TestOpsThatSetNoStateAreNeverTaken(t *testing.T) {
	for _, op := range []Op{Op_OP_UNSPECIFIED, Op_OP_COMPLETION_REQUEST, Op_OP_MARKER, 99} {
		s := State{Sources: Orders{}}
		if taken := s.Take(newChange(op, 5).from("cdc", 5).v); taken != Stale || len(s.Sources) > 0 {
			t.Errorf("%v: taken %v, sources %v", op, taken, s.Sources)
		}
	}
}

func TestJoinOfTwoCopiesAfterAnInterruptedMove(t *testing.T) {
	state := func(changes ...change) *State {
		s := &State{Sources: Orders{}}
		for _, c := range changes {
			s.Take(c.v)
		}
		return s
	}
	tests := map[string]struct {
		main, side *State
		want       string
	}{
		"killed between tombstone and delete: the object loses": {
			state(upsert(1, "a")), state(remove(2)), `gone, floor 2`,
		},
		"killed between tombstone and delete of a row at the floor": {
			state(upsert(4, "a").bulk()), state(remove(4).bulk()), `gone, floor 4`,
		},
		"created again, tombstone not yet removed: the object wins": {
			state(remove(2), upsert(3, "b")), state(remove(2)), `row 3 "b" found, floor 2`,
		},
		"object knows no floor, the tombstone below it does": {
			state(upsert(3, "b")), state(remove(2)), `row 3 "b" found, floor 2`,
		},
		"stub became object, stub not yet removed: the stub loses the tie": {
			state(upsert(3, "b")), state(upsert(3, "b").pending()), `row 3 "b" found`,
		},
		"copy with an older text's vector loses the tie": {
			state(upsert(1, "a"), upsert(3, "b").pending()), state(upsert(3, "b")), `row 3 "b" found`,
		},
		"newer row hidden, object not yet removed: the newer one wins": {
			state(upsert(1, "a")), state(upsert(2, "b").pending()), `row 2 "b" without vector`,
		},
		"mark in the side collection, row in the main one": {
			state(upsert(1, "a")), state(mark(2)), `row 1 "a" found, field-type at 2`,
		},
		"mark in the side collection is older than the row": {
			state(upsert(3, "a")), state(mark(2)), `row 3 "a" found`,
		},
		"mark in the side collection is of the row, redriven": {
			state(upsert(2, "a").pending()), state(mark(2)), `row 2 "a" without vector`,
		},
		"stub was refused, the object has the vector": {
			state(upsert(2, "a")), state(upsert(2, "a").refused()), `row 2 "a" found`,
		},
		"mark below the tombstone": {
			state(mark(1)), state(remove(2)), `gone, floor 2`,
		},
		"nothing but a mark on both sides": {
			state(mark(1)), state(mark(2)), `gone, field-type at 2`,
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			for _, order := range [][2]*State{{tt.main, tt.side}, {tt.side, tt.main}} {
				s, other := *order[0], fingerprintOf(order[1])
				s.Join(order[1])
				if got := describe(&s); got != tt.want {
					t.Errorf("got  %s\nwant %s", got, tt.want)
				}
				if fingerprintOf(order[1]) != other {
					t.Error("Join changed the other copy")
				}
			}
		})
	}
}

func TestJoinKeepsTheOrdersOfBothCopies(t *testing.T) {
	object, tombstone := State{Sources: Orders{}}, State{Sources: Orders{}}
	object.Take(upsert(3, "b").from("cdc", 7).v)
	tombstone.Take(remove(2).from("http", 4).v)
	object.Join(&tombstone)
	if taken := object.Take(upsert(9, "old").from("http", 3).v); taken != OutOfOrder {
		t.Errorf("late change of the tombstone's source: %v, want out of order", taken)
	}
	if _, changed := tombstone.Sources["cdc"]; changed {
		t.Error("Join changed the other copy's sources")
	}
}

// fingerprintOf writes all of a state as text, so that two states can be compared.
func fingerprintOf(s *State) string {
	var b strings.Builder
	fmt.Fprintf(&b, "older %v hidden %t unmade %t\n", s.Older, s.Hidden, s.unmade)
	fmt.Fprintf(&b, "base %d floor %d wanted %x held %x space %s recipe %x inputs %s text %q truncated %t tokens %d vector %x\n",
		s.Base, s.Floor, s.Wanted, s.Held, s.Space, s.Recipe, s.Inputs, s.Text, s.Truncated, s.OriginalTokens, s.Vector)
	fmt.Fprintf(&b, "failed %d %s\n", s.Failed.GetVersion(), s.Failed.GetReason())
	for _, so := range s.Sources.List() {
		fmt.Fprintf(&b, "source %s %s\n", so.GetSource(), FormatOrder(so.GetOrder()))
	}
	for _, p := range s.Properties {
		bytes, err := proto.MarshalOptions{Deterministic: true}.Marshal(p)
		fmt.Fprintf(&b, "property %x %v\n", bytes, err)
	}
	return b.String()
}

// A whole row says all: what was merged before it is not to be made any more.
func TestTake_aWholeRowBehindAMergedOneIsMade(t *testing.T) {
	for _, before := range [][]change{
		{upsert(1, "a"), partial(7, "x")},
		{upsert(5, "a"), partial(3, "x"), partial(7, "x", "y")},
	} {
		s := &State{Sources: Orders{}}
		for _, c := range append(before, upsert(8, "b")) { // in one fold: write makes what was merged behind the last one
			s.Take(c.v)
		}
		if s.Merged() || s.Text != "b" || !s.Complete() {
			t.Errorf("it is to be made anew: %s", essence(s))
		}
	}
}
