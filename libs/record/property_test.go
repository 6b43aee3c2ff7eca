package record

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

var texts = []string{"a", "bb", "ccc"}

// anyChange draws a change of any kind at the given version. Those of the log have
// no source order: what reordering does to them is the next property's matter.
func anyChange(t *rapid.T, version int64) change {
	text := rapid.SampledFrom(texts).Draw(t, "text")
	kinds := []func() change{
		func() change { return upsert(version, text) },
		func() change { return upsert(version, text).bulk() },
		func() change { return upsert(version, text).explicit().from("cdc", uint64(version)) },
		// A text of its own: another record's vector of it would heal the row.
		func() change { return upsert(version, fmt.Sprintf("refused %d", version)).refused() },
		func() change { return remove(version) },
		func() change { return remove(version).explicit().from("http", uint64(version)) },
		func() change { return mark(version) },
		func() change { return partial(version, "x") },
		func() change { return partial(version, "x", "y").bulk() },
		func() change { return partial(version, "z").explicit() },
	}
	return rapid.SampledFrom(kinds).Draw(t, "kind")()
}

func changes(t *rapid.T) []change {
	versions := rapid.SliceOfNDistinct(rapid.Int64Range(1, 20), 1, 8, rapid.ID[int64]).Draw(t, "versions")
	list := make([]change, len(versions))
	for i, v := range versions {
		list[i] = anyChange(t, v)
	}
	return list
}

func take(list ...change) *State {
	s := &State{Sources: Orders{}}
	for _, c := range list {
		s.take(c)
	}
	return s
}

// take is Take as write does it: what was merged is made something of, with the record's vector if it fits.
func (s *State) take(c change) Taken {
	taken := s.Take(c.v)
	makeOf(s)
	if s.TakeVector(c.v) {
		return TakenNew
	}
	return taken
}

// makeOf makes the text of the columns of a merged item: it has the same one for a whole row.
func makeOf(s *State) {
	if s.Merged() {
		text := textOf(columns(s.Inputs))
		s.Make(false, text, Fingerprint("s", text), nil)
	}
}

// essence is what a reader of the item is told. The vector is part of it only where
// it is that of the row's text: an older one depends on what was there before.
func essence(s *State) string {
	c := *s
	if !c.holdsWanted() {
		c.Held, c.Space, c.Vector, c.Truncated, c.OriginalTokens = nil, "", nil, false, 0
	}
	return fingerprintOf(&c)
}

func TestTakeInAnyOrderGivesOneState(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		list := changes(t)
		shuffled := rapid.Permutation(list).Draw(t, "shuffled")
		if a, b := essence(take(list...)), essence(take(shuffled...)); a != b {
			t.Fatalf("in one order\n%s\nin another\n%s", a, b)
		}
	})
}

func TestTakeIsIdempotent(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		list := changes(t)
		s := take(list...)
		once := essence(s)
		for i, c := range list {
			if taken := s.take(c); taken != TakenAgain && taken != Stale {
				t.Fatalf("change %d redelivered: %v", i, taken)
			}
		}
		if again := essence(s); again != once {
			t.Fatalf("redelivered\n%s\nbefore\n%s", again, once)
		}
	})
}

// TestJudgeForetellsTake: a record that is called stale or out of order may be
// dropped, so it must change nothing, and any other must.
func TestJudgeForetellsTake(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := &State{Sources: Orders{}}
		for _, c := range append(changes(t), changes(t)...) {
			before := fingerprintOf(s)
			judged := s.Judge(c.v)
			if taken := s.take(c); taken != judged {
				t.Fatalf("Judge = %v, Take = %v", judged, taken)
			}
			changed := fingerprintOf(s) != before
			if (judged == Stale || judged == OutOfOrder) && changed {
				t.Fatalf("judged %v, and changed the state", judged)
			}
			if judged == TakenNew && !changed {
				t.Fatal("judged new, and changed nothing")
			}
		}
	})
}

// TestReplaysOfTheLiveLogConverge plays a log of two sources in order, in which a
// sleeping member appended old changes late, with bulk rows in between; then plays it
// again with every kind of repetition of a suffix.
func TestReplaysOfTheLiveLogConverge(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var live []change
		for version := range int64(rapid.IntRange(1, 10).Draw(t, "length")) {
			source := rapid.SampledFrom([]string{"cdc", "http"}).Draw(t, "source")
			order := uint64(version + 10)
			if rapid.IntRange(0, 3).Draw(t, "sleeper") == 0 {
				order = uint64(rapid.Int64Range(0, version+10).Draw(t, "late order"))
			}
			text := rapid.SampledFrom(texts).Draw(t, "text")
			c := rapid.SampledFrom([]change{upsert(version+1, text), remove(version + 1), mark(version + 1)}).Draw(t, "change")
			live = append(live, c.from(source, order))
		}
		straight := essence(take(live...))
		s := &State{Sources: Orders{}}
		for i := 0; i < len(live); i++ {
			s.take(live[i])
			if rapid.IntRange(0, 4).Draw(t, "kill") == 0 {
				for _, c := range live[rapid.IntRange(0, i).Draw(t, "committed") : i+1] {
					s.take(c)
				}
			}
		}
		if replayed := essence(s); replayed != straight {
			t.Fatalf("with replays\n%s\nwithout\n%s", replayed, straight)
		}
	})
}

// TestBulkRowsMayLandAnywhereInTheLiveStream: the lanes need no order between them.
func TestBulkRowsMayLandAnywhereInTheLiveStream(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		lanes := [2][]change{}
		for version := range int64(10) {
			text := rapid.SampledFrom(texts).Draw(t, "text")
			order := uint64(version + 1)
			switch rapid.IntRange(0, 3).Draw(t, "lane") {
			case 0:
				lanes[0] = append(lanes[0], upsert(version+1, text).from("cdc", order))
			case 1:
				lanes[0] = append(lanes[0], remove(version+1).from("cdc", order))
			case 2:
				lanes[1] = append(lanes[1], upsert(version+1, text).bulk())
			case 3:
				lanes[1] = append(lanes[1], remove(version+1).bulk())
			}
		}
		var first string
		for i := range 4 {
			mixed := interleave(t, lanes[0], rapid.Permutation(lanes[1]).Draw(t, "bulk"))
			if got := essence(take(mixed...)); i == 0 {
				first = got
			} else if got != first {
				t.Fatalf("lanes mixed one way\n%s\nanother way\n%s", first, got)
			}
		}
	})
}

func interleave(t *rapid.T, a, b []change) []change {
	var mixed []change
	for len(a)+len(b) > 0 {
		if len(b) == 0 || len(a) > 0 && rapid.Bool().Draw(t, "live first") {
			mixed, a = append(mixed, a[0]), a[1:]
		} else {
			mixed, b = append(mixed, b[0]), b[1:]
		}
	}
	return mixed
}

// copies draws states that know different parts of one history.
func copies(t *rapid.T, n int) []*State {
	history := changes(t)
	for i := range history {
		if history[i].v.GetDocument().GetOp() == Op_OP_UPSERT && rapid.Bool().Draw(t, "pending twin") {
			twin := upsert(history[i].v.GetVersion(), history[i].v.GetDocument().GetText()).bulk().pending()
			history = append(history, twin)
		}
	}
	states := make([]*State, n)
	for i := range states {
		known := slices.DeleteFunc(rapid.Permutation(history).Draw(t, "history"), func(change) bool { return rapid.Bool().Draw(t, "unknown") })
		states[i] = take(known...)
	}
	return states
}

func joined(states ...*State) string {
	s := *states[0]
	for _, other := range states[1:] {
		s.Join(other)
		makeOf(&s)
	}
	return fingerprintOf(&s)
}

func TestJoinIsCommutativeAssociativeAndIdempotent(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := copies(t, 3)
		if a, b := joined(c[0], c[1]), joined(c[1], c[0]); a != b {
			t.Fatalf("not commutative\n%s\n%s", a, b)
		}
		right := *c[1]
		right.Join(c[2])
		makeOf(&right)
		if a, b := joined(c[0], c[1], c[2]), joined(c[0], &right); a != b {
			t.Fatalf("not associative\n%s\n%s", a, b)
		}
		ab := *c[0]
		ab.Join(c[1])
		makeOf(&ab)
		if a, b := joined(c[0], c[0]), fingerprintOf(c[0]); a != b {
			t.Fatalf("joined with itself\n%s\nbefore\n%s", a, b)
		}
		if a, b := joined(&ab, c[1]), fingerprintOf(&ab); a != b {
			t.Fatalf("joined again\n%s\nbefore\n%s", a, b)
		}
	})
}

// TestJoinKnowsWhatBothCopiesKnow: joining what two copies took is taking all of it.
func TestJoinKnowsWhatBothCopiesKnow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		list := changes(t)
		cut := rapid.IntRange(0, len(list)).Draw(t, "cut")
		s := take(list[:cut]...)
		s.Join(take(list[cut:]...))
		all := take(list...)
		if s.Base != all.Base || s.Floor != all.Floor || describeSources(s) != describeSources(all) || describeColumns(s) != describeColumns(all) {
			t.Fatalf("joined\n%s\nall in one\n%s", fingerprintOf(s), fingerprintOf(all))
		}
	})
}

// describeColumns leaves out what is no column of these tests' rows.
func describeColumns(s *State) string {
	in := columns(s.Inputs)
	return fmt.Sprint(in["x"], in["y"], in["z"], s.Older)
}

func describeSources(s *State) string { return fingerprintOf(&State{Sources: s.Sources}) }
