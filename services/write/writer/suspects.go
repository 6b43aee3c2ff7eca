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

// suspects are items that are to be searched for after their next put, since an earlier one was
// interrupted or not acknowledged. Weaviate may have stored such an object without putting it into
// its vector index, and an equal one put again would be skipped there: stored, acknowledged, never
// found.
type suspects struct {
	mu    sync.Mutex
	keys  map[string]struct{}
	until time.Time // until then all items are suspect that are not sure
	sure  map[string]struct{}
	shaky time.Time // until then all items are searched for after their put
	full  bool      // the set was full once: all items are suspect for good
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
		s.full = true // forgetting one would lose it; to search for all costs only time
		return
	}
	s.keys[key] = struct{}{}
}

// shake says that a call failed: the server may have been killed.
func (s *suspects) shake() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.shaky = time.Now().Add(unsure)
}

func (s *suspects) clear(key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.keys, key)
	// Found once, an item is sure: one whose price changes every second need not be searched for
	// each time for as long as everything is suspect.
	if time.Now().Before(s.until) && len(s.sure) < maxSuspects {
		s.sure[key] = struct{}{}
	}
}

// has reports whether an item must be searched for after its put: a put of its own may have been
// interrupted, or any call failed a short while ago. What a killed server has cut off in its vector
// index also draws in new items that are near.
func (s *suspects) has(key string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	_, suspect := s.keys[key]
	_, sure := s.sure[key]
	return suspect || s.full || !sure && now.Before(s.until) || now.Before(s.shaky)
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
// It is for items that are not found, never for all that are in doubt: what gets one is taken out of
// the index and indexed anew, which costs as much as a new item, and searches miss it meanwhile.
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
