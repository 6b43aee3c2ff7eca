package record

import (
	"bytes"
	"cmp"
)

// State is all that is known of one item. It is a last-writer-wins register per
// field, with a floor: Floor is the version of the last delete, and a field is
// taken where its version is higher than the field's and above the floor.
//
// Sources that send whole rows need one number for all fields, Base. Taking is
// commutative, associative and idempotent, so that lanes, redeliveries and
// redrives need no order among themselves; no rule ever compares contents.
//
// The vector is not a field of its own order: Wanted names the text that the item
// should have the vector of, Held the text of the vector that it has.
type State struct {
	Base    int64 // version of all fields; 0 where no whole row was taken
	Floor   int64 // version of the last delete; 0 where there was none
	Sources Orders

	Wanted []byte // fingerprint of the text of Base
	Held   []byte // fingerprint of Vector; empty where there is none
	Space  string // of Vector

	Properties     []*Property
	Inputs         []byte
	Recipe         []byte
	Text           string
	Origin         *Origin
	Failed         *Failure // nil where no newer change is a dead letter
	Truncated      bool
	OriginalTokens int64
	Vector         []byte // little-endian float32; empty where it was not loaded
}

// Taken says what a record did to a state.
type Taken int

// What Take can answer.
const (
	// TakenNew: the record set something, if only a source's order or a vector that
	// was still wanted.
	TakenNew Taken = iota
	// TakenAgain: the record is the one that set the state. It changes nothing, but a
	// kill may have interrupted what it caused, so that must be finished.
	TakenAgain
	// Stale: the state is newer than the record in everything that it carries.
	Stale
	// OutOfOrder: the record was appended late by a source that had moved on.
	OutOfOrder
)

// Live reports whether the item exists: its row is newer than its last delete.
func (s *State) Live() bool { return s.Base > s.Floor }

// Complete reports whether the item can be searched for: it exists and has a vector.
func (s *State) Complete() bool { return s.Live() && len(s.Held) > 0 }

// Judge says what Take would do with v, and changes nothing.
func (s *State) Judge(v *Vector) Taken {
	if !v.GetDocument().GetOp().setsState() {
		return Stale
	}
	taken := s.judgeVersion(v)
	switch {
	case taken == TakenNew && s.late(v):
		return OutOfOrder
	case s.wants(v):
		return TakenNew
	case s.Sources.raisedBy(v.GetDocument().GetSources()):
		// Also where a bulk row has overtaken the change: without its order an older one
		// that its source appends late would not be recognised.
		return TakenNew
	}
	return taken
}

// setsState reports whether this build can apply records of the op to a state.
func (o Op) setsState() bool { return o == Op_OP_UPSERT || o == Op_OP_DELETE || o == Op_OP_FAILED }

// judgeVersion compares v's version with that of what it would set. At the floor
// a row loses: otherwise a row and a delete of one bulk stamp would depend on
// which of them came last. A failed mark loses to a row or delete of its own
// version: that is its dead letter, redriven.
func (s *State) judgeVersion(v *Vector) Taken {
	var barrier, have int64
	switch v.GetDocument().GetOp() { //nolint:exhaustive // the others set no state
	case Op_OP_UPSERT:
		barrier, have = s.Floor, s.Base
	case Op_OP_DELETE:
		have = s.Floor
	case Op_OP_FAILED:
		barrier, have = max(s.Base, s.Floor), s.Failed.GetVersion()
	}
	switch version := v.GetVersion(); {
	case version <= barrier || version < have:
		return Stale
	case version == have:
		return TakenAgain
	default:
		return TakenNew
	}
}

// late reports whether v was appended after a newer change of its own source.
//
// The order of a failed mark may come once more, as the change itself: ingest was
// stopped between the mark and its letter, and is able to read the change now. The
// mark of a change that the index refused has its version too: write was stopped.
func (s *State) late(v *Vector) bool {
	if o := v.GetVersionOrigin(); o == VersionOrigin_VERSION_ORIGIN_STAMP || o == VersionOrigin_VERSION_ORIGIN_EXPLICIT {
		return false
	}
	marked := s.Failed.GetVersion() > s.Base && v.GetVersion() >= s.Failed.GetVersion()
	for _, so := range v.GetDocument().GetSources() {
		if c := s.Sources.Compare(so); c < 0 || c == 0 && !marked {
			return true
		}
	}
	return false
}

// wants reports whether v brings the vector that the item still lacks. Its version
// does not matter: the fingerprint says that it is of the item's present text.
func (s *State) wants(v *Vector) bool {
	return v.GetDocument().GetOp() == Op_OP_UPSERT && len(v.GetVector()) > 0 &&
		bytes.Equal(v.GetFingerprint(), s.Wanted) && !s.holdsWanted()
}

// holdsWanted reports whether the vector is that of the row's text.
func (s *State) holdsWanted() bool { return len(s.Held) > 0 && bytes.Equal(s.Held, s.Wanted) }

// Take applies v to s and says what it did. A batch of records of one item is
// folded by taking each in turn. s.Sources must not be nil.
func (s *State) Take(v *Vector) Taken {
	taken := s.Judge(v)
	if taken != TakenNew && taken != TakenAgain {
		return taken
	}
	s.Sources.Take(v.GetDocument().GetSources())
	if s.judgeVersion(v) != Stale {
		s.set(v)
	}
	if s.wants(v) {
		s.takeVector(v)
	}
	return taken
}

// set lets v set what its op is about.
func (s *State) set(v *Vector) {
	switch v.GetDocument().GetOp() { //nolint:exhaustive // the others set no state
	case Op_OP_UPSERT:
		s.takeRow(v)
	case Op_OP_DELETE:
		s.takeDelete(v.GetVersion())
	case Op_OP_FAILED:
		s.Failed = &Failure{Version: v.GetVersion(), Reason: v.GetDocument().GetFailed().GetReason()}
	}
}

func (s *State) takeRow(v *Vector) {
	d := v.GetDocument()
	s.Base = v.GetVersion()
	s.Wanted = v.GetFingerprint()
	s.Properties, s.Inputs, s.Recipe, s.Text, s.Origin = d.GetProperties(), d.GetInputs(), d.GetRecipe(), d.GetText(), d.GetOrigin()
	if s.Failed.GetVersion() <= s.Base {
		s.Failed = nil
	}
	switch {
	case len(v.GetVector()) > 0:
		// Also by a redelivery: a nonce may have changed the lowest bits of the stored
		// one, and the record's own bytes are as good.
		s.takeVector(v)
	case v.GetState() == VectorState_VECTOR_STATE_FAILED && s.Failed == nil && !s.holdsWanted():
		s.Failed = &Failure{Version: s.Base, Reason: v.GetFailedReason()}
	}
}

// takeVector takes the vector of the row's text. It clears the mark of a text that
// could not be embedded; that of a newer change stays.
func (s *State) takeVector(v *Vector) {
	s.Held, s.Space, s.Vector = v.GetFingerprint(), v.GetSpace(), v.GetVector()
	s.Truncated, s.OriginalTokens = v.GetTruncated(), v.GetOriginalTokens()
	if s.Failed.GetVersion() <= s.Base {
		s.Failed = nil
	}
}

// takeDelete raises the floor and drops what is below it. A row above it stays.
func (s *State) takeDelete(version int64) {
	s.Floor = version
	if s.Live() {
		return
	}
	s.bury()
}

// bury drops everything that is below the floor.
func (s *State) bury() {
	failed := s.Failed
	if failed.GetVersion() <= s.Floor {
		failed = nil
	}
	*s = State{Floor: s.Floor, Sources: s.Sources, Failed: failed}
}

// Join adds to s what another copy of the same item knows: the newer row, the
// higher floor, the higher orders. Two copies exist where a kill interrupted a
// move between the main and the side collection. The vector goes with its row.
// other is not changed.
func (s *State) Join(other *State) {
	joined, loser := *s, other
	if s.compareRow(other) < 0 {
		joined, loser = *other, s
	}
	joined.Floor = max(s.Floor, other.Floor)
	joined.Sources = Orders{}
	joined.Sources.Take(s.Sources.List())
	joined.Sources.Take(other.Sources.List())
	// A mark at the row's own version belongs to that copy of the row: it says that its
	// text could not be embedded.
	if loser.Failed.GetVersion() > joined.Base && compareFailure(loser.Failed, joined.Failed) > 0 {
		joined.Failed = loser.Failed
	}
	if !joined.Live() {
		joined.bury()
	}
	*s = joined
}

// compareRow orders the copies of a row: the newer one is higher; of one version,
// that which has its vector (a stub loses), then any that has one. What follows
// only makes the order total, so that Join does not depend on its own order.
func (s *State) compareRow(other *State) int {
	return cmp.Or(
		cmp.Compare(s.Base, other.Base),
		compareBool(s.holdsWanted(), other.holdsWanted()),
		compareBool(len(s.Held) > 0, len(other.Held) > 0),
		bytes.Compare(s.Held, other.Held),
		compareFailure(s.Failed, other.Failed),
	)
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	default:
		return -1
	}
}

func compareFailure(a, b *Failure) int {
	return cmp.Or(cmp.Compare(a.GetVersion(), b.GetVersion()), cmp.Compare(a.GetReason(), b.GetReason()))
}
