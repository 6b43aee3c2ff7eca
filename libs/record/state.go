package record

import (
	"bytes"
	"cmp"
	"maps"
	"slices"
)

// State is all that is known of one item. It is a last-writer-wins register per
// field, with a floor: Floor is the version of the last delete, and a field is
// taken where its version is higher than the field's and above the floor. The
// fields are the columns in Inputs; text, properties and Hidden are made of them.
//
// Sources that send whole rows need one number for all fields, Base. Where the
// newest row came without some of its columns, Older has their versions. Taking is
// commutative, associative and idempotent, so that lanes, redeliveries and
// redrives need no order among themselves; no rule ever compares contents.
//
// The vector is not a field of its own order: Wanted names the text that the item
// should have the vector of, Held the text of the vector that it has.
type State struct {
	Base    int64 // version of the newest row; 0 where none was taken
	Floor   int64 // version of the last delete; 0 where there was none
	Sources Orders
	Older   Older // versions of the columns that are older than Base; nil where the newest row had all

	Wanted []byte // fingerprint of the item's text; empty where it has none yet
	Held   []byte // fingerprint of Vector; empty where there is none
	Space  string // of Vector

	Hidden         bool // kept, and not to be found
	Properties     []*Property
	Inputs         []byte // JSON object
	Recipe         []byte // of Base
	Text           string
	Origin         *Origin
	Failed         *Failure // nil where no newer change is a dead letter
	Truncated      bool
	OriginalTokens int64
	Vector         []byte // little-endian float32; empty where it was not loaded

	unmade bool // Inputs were merged, and nothing is made of them yet
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

// Copy returns a state that may be changed without changing s.
func (s *State) Copy() State {
	c := *s
	c.Sources = maps.Clone(s.Sources)
	return c
}

// Live reports whether the item exists: its row is newer than its last delete.
func (s *State) Live() bool { return s.Base > s.Floor }

// Known reports whether the item exists with all of its columns.
func (s *State) Known() bool { return s.Live() && !s.Older.unknown() }

// Complete reports whether the item can be searched for: it exists, may be found, all
// of it is known and it has a vector.
func (s *State) Complete() bool { return s.Known() && !s.Hidden && len(s.Held) > 0 }

// Judge says what Take would do with v, and changes nothing.
func (s *State) Judge(v *Vector) Taken {
	if !v.GetDocument().GetOp().setsState() {
		return s.judgeCompletion(v)
	}
	taken := s.judgeVersion(v)
	switch {
	case taken == TakenNew && s.late(v):
		return OutOfOrder
	case s.wants(v), s.asksFor(v) && s.cannotHave(v):
		return TakenNew
	case s.Sources.raisedBy(v.GetDocument().GetSources()):
		// Also where a bulk row has overtaken the change: without its order an older one
		// that its source appends late would not be recognised.
		return TakenNew
	}
	return taken
}

// setsState reports whether this build can apply records of the op to a state.
func (o Op) setsState() bool { return o.IsRow() || o == Op_OP_DELETE || o == Op_OP_FAILED }

// IsRow reports whether records of the op carry columns.
func (o Op) IsRow() bool { return o == Op_OP_UPSERT || o == Op_OP_PARTIAL }

// judgeVersion compares v's version with that of what it would set. At the floor
// a row loses: otherwise a row and a delete of one bulk stamp would depend on
// which of them came last. A failed mark loses to a row or delete of its own
// version: that is its dead letter, redriven.
func (s *State) judgeVersion(v *Vector) Taken {
	var barrier, have int64
	switch v.GetDocument().GetOp() { //nolint:exhaustive // the others set no state
	case Op_OP_UPSERT, Op_OP_PARTIAL:
		barrier, have = s.Floor, s.Base
		if v.GetVersion() > barrier && v.GetVersion() < have {
			return s.Older.judge(v)
		}
	case Op_OP_DELETE:
		have = s.Floor
	case Op_OP_FAILED:
		if barrier = s.settled(); !s.Refused() {
			have = s.Failed.GetVersion()
		}
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
	if v.GetVersionOrigin() == VersionOrigin_VERSION_ORIGIN_STAMP {
		return false
	}
	if v.isRedriven() {
		return s.lateLetter(v)
	}
	marked := s.Failed != nil && !s.Failed.GetText() && v.GetVersion() >= s.Failed.GetVersion()
	for _, so := range v.GetDocument().GetSources() {
		if c := s.Sources.Compare(so); c < 0 || c == 0 && !marked {
			return true
		}
	}
	return false
}

// lateLetter is late for a redriven letter. It may stand below the marks of newer letters,
// whose orders were taken. But whatever is taken leaves a row, a floor or a mark of its
// version, or above it: where none is above the letter's, a newer change of its source is
// below it, and the letter has its version only for having been appended late.
func (s *State) lateLetter(v *Vector) bool {
	return v.GetVersion() >= max(s.Base, s.Floor, s.Failed.GetVersion()) && slices.ContainsFunc(v.GetDocument().GetSources(), s.Sources.passed)
}

func (v *Vector) isRedriven() bool {
	return v.GetVersionOrigin() == VersionOrigin_VERSION_ORIGIN_EXPLICIT
}

// settled returns the version up to which the state has everything: what is at or below
// it is in the item, or replaced.
func (s *State) settled() int64 { return max(s.Floor, s.Older.least(s.Base)) }

// judgeCompletion compares a vector that write asked for with the text that is wanted.
// Where it is held already the record may be the one that brought it: as any other of
// an equal version it may have to finish what a kill interrupted.
func (s *State) judgeCompletion(v *Vector) Taken {
	switch asked := v.GetDocument().GetOp() == Op_OP_COMPLETION_REQUEST && s.asksFor(v); {
	case !asked:
		return Stale
	case s.wants(v), s.cannotHave(v):
		return TakenNew
	case s.holdsWanted() && len(v.GetVector()) > 0:
		return TakenAgain
	}
	return Stale
}

// asksFor reports whether v is about the item's present text. Its version does not
// matter: the fingerprint says so.
func (s *State) asksFor(v *Vector) bool {
	return s.Live() && !s.unmade && len(s.Wanted) > 0 && bytes.Equal(v.GetFingerprint(), s.Wanted)
}

// wants reports whether v brings the vector that the item still lacks.
func (s *State) wants(v *Vector) bool {
	return s.asksFor(v) && len(v.GetVector()) > 0 && !s.holdsWanted()
}

// cannotHave reports whether v is the news that the item's text cannot be embedded.
func (s *State) cannotHave(v *Vector) bool {
	return v.GetState() == VectorState_VECTOR_STATE_FAILED && s.Failed == nil && !s.holdsWanted()
}

// Refused reports whether the item's own text could not be embedded.
func (s *State) Refused() bool { return s.Failed.GetText() }

// Lacks reports whether the item waits for the vector of its text.
func (s *State) Lacks() bool {
	return s.Known() && !s.Hidden && len(s.Wanted) > 0 && !s.holdsWanted() && !s.Refused()
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
	if v.GetDocument().GetOp().setsState() && s.judgeVersion(v) != Stale {
		s.set(v)
	}
	s.TakeVector(v)
	return taken
}

// TakeVector takes v's vector, or the news that there will be none, where the item
// waits for it, and reports whether it did.
func (s *State) TakeVector(v *Vector) bool {
	switch {
	case s.wants(v):
		s.takeVector(v)
	case s.asksFor(v) && s.cannotHave(v):
		s.Failed = &Failure{Version: s.Base, Reason: v.GetFailedReason(), Text: true}
	default:
		return false
	}
	return true
}

func (s *State) set(v *Vector) {
	switch v.GetDocument().GetOp() { //nolint:exhaustive // the others set no state
	case Op_OP_UPSERT:
		s.takeRow(v)
	case Op_OP_PARTIAL:
		s.merge(v)
	case Op_OP_DELETE:
		s.Floor = v.GetVersion()
		s.bury()
	case Op_OP_FAILED:
		s.Failed = &Failure{Version: v.GetVersion(), Reason: v.GetDocument().GetFailed().GetReason()}
	}
}

func (s *State) takeRow(v *Vector) {
	if v.GetVersion() < s.Base {
		s.merge(v)
		return
	}
	d := v.GetDocument()
	s.renew(v)
	s.Base, s.Older, s.unmade = v.GetVersion(), nil, false
	s.Wanted, s.Hidden = v.GetFingerprint(), d.GetHidden()
	s.Properties, s.Inputs, s.Recipe, s.Text, s.Origin = d.GetProperties(), d.GetInputs(), d.GetRecipe(), d.GetText(), d.GetOrigin()
	s.overtake()
	if len(v.GetVector()) > 0 {
		// Also by a redelivery: a nonce may have changed the lowest bits of the stored
		// one, and the record's own bytes are as good.
		s.takeVector(v)
	}
}

// renew has the mark of a text that could not be embedded stay only where a row comes that has the same text and does
// not say itself what becomes of it: its vector is pending. It is the mark of that row then.
func (s *State) renew(v *Vector) {
	switch {
	case !s.Refused():
	case v.GetState() == VectorState_VECTOR_STATE_PENDING && bytes.Equal(v.GetFingerprint(), s.Wanted):
		s.Failed = &Failure{Version: v.GetVersion(), Reason: s.Failed.GetReason(), Text: true}
	default:
		s.Failed = nil
	}
}

// clear removes the mark of a dead letter that the item has overtaken, and that of a
// text that is not the item's any more.
func (s *State) clear() {
	if s.Refused() || s.Failed.GetVersion() <= s.settled() {
		s.Failed = nil
	}
}

// overtake removes the mark of a dead letter that the item has overtaken.
func (s *State) overtake() {
	if !s.Refused() || !s.Live() {
		s.clear()
	}
}

func (s *State) takeVector(v *Vector) {
	s.Held, s.Space, s.Vector = v.GetFingerprint(), v.GetSpace(), v.GetVector()
	s.Truncated, s.OriginalTokens = v.GetTruncated(), v.GetOriginalTokens()
	s.clear()
}

// DropVector forgets the vector of an item that cannot be found.
func (s *State) DropVector() {
	s.Held, s.Space, s.Vector, s.Truncated, s.OriginalTokens = nil, "", nil, false, 0
}

// bury drops everything that is at or below the floor. A row above it stays.
func (s *State) bury() {
	if s.Live() {
		s.sink()
	} else {
		*s = State{Floor: s.Floor, Sources: s.Sources, Failed: s.Failed}
	}
	s.overtake()
}

// Join adds to s what another copy of the same item knows: the newer row and columns,
// the higher floor, the higher orders. Two copies exist where a kill interrupted a
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
	joined.fillFrom(loser)
	// The mark of a text that could not be embedded belongs to that copy of the row.
	if !loser.Refused() && loser.Failed.GetVersion() > joined.settled() && compareFailure(loser.Failed, joined.Failed) > 0 {
		joined.Failed = loser.Failed
	}
	joined.bury()
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
