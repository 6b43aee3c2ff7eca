package record

import (
	"encoding/binary"
	"errors"
	"time"
)

// Hop is a point on an item's way, in the order in which it passes them.
type Hop int

// The hops. New ones go at the end: their place in the header is their number.
const (
	IngestReceived Hop = iota // read from its source
	IngestProduced            // handed to the documents topic
	EmbedReceived             // read from the documents topic
	Embedded                  // its vector is known
	WriteReceived             // read from the vectors topic
	Written                   // acknowledged by the index
	hopCount
)

const (
	stampsVersion = 1
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

// Add records that the next hop was passed at t. A time before the last one becomes
// the last one: pods' clocks differ, and no span may have a negative length. More
// hops than there are do nothing.
func (s *Stamps) Add(t time.Time) {
	if s.count == int(hopCount) {
		return
	}
	s.hops[s.count] = max(clampStamp(t.UnixMicro()), s.last())
	s.count++
}

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
