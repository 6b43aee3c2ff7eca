package writer

import (
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"sync"
	"time"
)

const (
	// unsure is how long after a take-over every item is suspect: until the first batches, which
	// hold the interrupted puts, are surely done. It is also how long items are searched for after
	// a call that failed.
	unsure = 2 * time.Minute
	// maxSuspects bounds the set. The suspects of partitions that were taken away stay in it.
	maxSuspects = 100_000
)

// suspects are items whose last put was interrupted or not acknowledged. Weaviate may have stored
// such an object and not put it into its vector index, nor into those that filters ask, and an equal
// one put again would be skipped there: stored, acknowledged, never found.
type suspects struct {
	mu    sync.Mutex
	keys  map[string]struct{}
	until time.Time           // until then all items are suspect that are not sure
	sure  map[string]struct{} // put completely by this process since all were suspect
	shaky time.Time           // until then all items are searched for after their put
	full  bool                // the set was full once: all items are suspect for good
}

func newSuspects() *suspects {
	return &suspects{keys: map[string]struct{}{}, sure: map[string]struct{}{}}
}

func (s *suspects) all() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.until = time.Now().Add(unsure)
	clear(s.sure)
}

func (s *suspects) add(key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.sure, key)
	if len(s.keys) >= maxSuspects {
		s.full = true // forgetting one would lose it; a nonce for all costs only time
		return
	}
	s.keys[key] = struct{}{}
}

// shake has everything be searched for after its put for a while.
func (s *suspects) shake() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.shaky = time.Now().Add(unsure)
}

// clear notes that an item was put completely. Others are unsure still where records may come again.
func (s *suspects) clear(key string, comesAgain bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.keys, key)
	// One put with a nonce makes an item sure: a price that changes every second must not
	// be indexed anew each time for as long as everything is suspect.
	if (comesAgain || time.Now().Before(s.until)) && len(s.sure) < maxSuspects {
		s.sure[key] = struct{}{}
	}
}

// has reports whether an item's put may have been interrupted: its own, any of the owner before, or
// that of a record which comes again, where this process has not put it completely since.
func (s *suspects) has(key string, again bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, suspect := s.keys[key]
	_, sure := s.sure[key]
	return suspect || s.full || !sure && (again || time.Now().Before(s.until))
}

// unsure reports whether a put of any item may have been interrupted lately.
func (s *suspects) unsure() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.full || time.Now().Before(s.until)
}

// hides reports whether a read may miss an item that is there: its own put may have been interrupted, or
// the server was killed a short while ago.
func (s *suspects) hides(key string, comesAgain bool) bool {
	return s.has(key, comesAgain) || s.doubted(key)
}

// doubted reports whether an item must be searched for after its put: a put of its own failed, or
// any call a short while ago. What a killed server has cut off in its vector index also draws in
// new items that are near.
func (s *suspects) doubted(key string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok := s.keys[key]
	return ok || time.Now().Before(s.shaky)
}

const (
	// nonceParts is how many components of a vector a nonce changes, nonceBits how many of the
	// lowest of the 23 bits of their mantissas. Each moves by less than 2^-13 of itself, so the
	// cosine to the true vector stays above 0.99999998; two nonces are equal by chance once in
	// 2^80 (once in 2^10 for a vector with a single component).
	nonceParts = 8
	nonceBits  = 10
)

// nonce returns a copy of a vector (little-endian float32) that differs from it in the lowest bits
// of some components, so that Weaviate's vector index takes it as a new one.
//
// Weaviate writes everything of the item anew then. A search alone would not do: it may find what an
// interrupted put was to replace, and says nothing of the rows that filters ask. The counter-case is
// an item that was put completely: it is taken out of the vector index for a moment, and missed by
// searches meanwhile.
func nonce(vector []byte) []byte {
	v := slices.Clone(vector)
	parts := nonceParts
	n := len(v) / 4
	for k, start := 0, rand.IntN(n); k < n; k++ {
		i := (start + k) % n
		b := v[4*i : 4*i+4]
		bits := binary.LittleEndian.Uint32(b)
		// Zero stays zero: its lowest bits would make a number of no meaning.
		if exponent := bits >> 23 & 0xff; exponent == 0 {
			continue
		}
		binary.LittleEndian.PutUint32(b, bits^(1+rand.Uint32N(1<<nonceBits-1)))
		if parts--; parts == 0 {
			break
		}
	}
	return v
}
