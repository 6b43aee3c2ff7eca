package record

import (
	"encoding/binary"
	"errors"
	"time"
)

// Hop is a point on an item's way, in the order in which it passes them.
type Hop int

// The hops. Their place in the header is their number, so a new one is a new version of the header.
const (
	IngestReceived Hop = iota // read from its source
	IngestProduced            // handed to the documents topic
	EmbedReceived             // read from the documents topic
	EmbedAsked                // the request for its vector began
	EmbedAnswered             // that request ended
	Embedded                  // handed to the vectors topic
	WriteReceived             // read from the vectors topic
	Written                   // acknowledged by the index
	hopCount
)

const (
	stampsVersion = 2     // 1 had no times of the request for the vector
	stampsBase    = 1 + 8 // version byte, base
	// maxStamp bounds times to years that people have clocks for, so that no sum of
	// them can overflow: microseconds since 1970, the year 2255.
	maxStamp = int64(1) << 53
)

// ErrStamps says that bytes are not a freshet-stamps header.
var ErrStamps = errors.New("not a header of time stamps")

// Stamps are the times at which an item passed the hops, in one header of about 29
// bytes. The last hop makes a trace of them where the item was slow: no sampler at
// the head of the pipeline can know that it will be.
//
// The zero Stamps has no times yet. Stamps is a value: a copy can be added to
// without changing the original.
type Stamps struct {
	base  int64 // when the change was committed at its source, microseconds since 1970
	hops  [hopCount]int64
	count int
}

// NewStamps returns the stamps of a change that was committed at the given time, or
// that was received then where its source names none.
func NewStamps(committed time.Time) Stamps { return Stamps{base: clampStamp(committed.UnixMicro())} }

func clampStamp(us int64) int64 { return min(max(us, 0), maxStamp) }

// Pass records that a hop was passed at t. Hops before it that were not passed took no
// time. A time before the last one becomes the last one: pods' clocks differ, and no span
// may have a negative length. One that was passed keeps its time.
func (s *Stamps) Pass(hop Hop, t time.Time) {
	if hop >= hopCount {
		return
	}
	last := s.last()
	for s.count < int(hop) {
		s.hops[s.count] = last
		s.count++
	}
	if s.count == int(hop) {
		s.hops[hop] = max(clampStamp(t.UnixMicro()), last)
		s.count++
	}
}

// Commit sets when the change was committed at its source, if that was before it was received.
func (s *Stamps) Commit(t time.Time) {
	s.base = clampStamp(t.UnixMicro())
	if s.count > 0 {
		s.base = min(s.base, s.hops[0])
	}
}

// Last returns when the last hop was passed, or the change was committed.
func (s *Stamps) Last() time.Time { return time.UnixMicro(s.last()) }

func (s *Stamps) last() int64 {
	if s.count == 0 {
		return s.base
	}
	return s.hops[s.count-1]
}

// Start returns when the change was committed at its source.
func (s *Stamps) Start() time.Time { return time.UnixMicro(s.base) }

// At returns when the hop was passed; ok is false where it was not yet.
func (s *Stamps) At(hop Hop) (t time.Time, ok bool) {
	if hop < 0 || int(hop) >= s.count {
		return time.Time{}, false
	}
	return time.UnixMicro(s.hops[hop]), true
}

// Encode returns the header's value: a version byte, the start in microseconds
// since 1970 as eight bytes, big-endian, and for each hop the microseconds since
// the time before as uvarint.
func (s *Stamps) Encode() []byte {
	return s.Append(make([]byte, 0, stampsBase+int(hopCount)*binary.MaxVarintLen32))
}

// Append appends what Encode returns.
func (s *Stamps) Append(b []byte) []byte {
	b = binary.BigEndian.AppendUint64(append(b, stampsVersion), uint64(s.base)) //nolint:gosec // never negative
	before := s.base
	for _, us := range s.hops[:s.count] {
		b = binary.AppendUvarint(b, uint64(us-before)) //nolint:gosec // never negative
		before = us
	}
	return b
}

// DecodeStamps reads the value of the header. Its error is ErrStamps: a trace less,
// never a reason to refuse the item.
func DecodeStamps(b []byte) (Stamps, error) {
	if len(b) < stampsBase || b[0] != stampsVersion {
		return Stamps{}, ErrStamps
	}
	base := binary.BigEndian.Uint64(b[1:stampsBase])
	if base > uint64(maxStamp) {
		return Stamps{}, ErrStamps
	}
	s := Stamps{base: int64(base)} //nolint:gosec // at most maxStamp
	for b = b[stampsBase:]; len(b) > 0; {
		delta, size := binary.Uvarint(b)
		if size <= 0 || delta > uint64(maxStamp-s.last()) || s.count == int(hopCount) { //nolint:gosec // never negative
			return Stamps{}, ErrStamps
		}
		s.hops[s.count] = s.last() + int64(delta) //nolint:gosec // at most maxStamp
		s.count++
		b = b[size:]
	}
	return s, nil
}
