package embedder

import lru "github.com/hashicorp/golang-lru/v2"

// made is the vector of a text, as it travels. It is shared: nobody may change it.
type made struct {
	vector    []byte // little-endian float32
	truncated bool
	original  int64 // tokens before fitting; 0 where they were not counted
}

// cache keeps the vectors of recent texts by fingerprint, the least recently used
// ones dropped first. A fingerprint names space and text, so nothing in it is ever old.
type cache struct {
	recent *lru.Cache[string, made] // nil: it keeps nothing
}

// overhead is about what an entry takes beside its vector, in bytes.
const overhead = 200

// newCache returns a cache of so many bytes. All vectors of a space have one length,
// so that counting them bounds the memory too.
func newCache(bytes, dimensions int) cache {
	recent, err := lru.New[string, made](bytes / (4*dimensions + overhead))
	if err != nil { // there is no room for one
		return cache{}
	}
	return cache{recent}
}

func (c cache) get(fingerprint []byte) (made, bool) {
	if c.recent == nil {
		return made{}, false
	}
	return c.recent.Get(string(fingerprint))
}

func (c cache) put(fingerprint []byte, m made) {
	if c.recent != nil {
		c.recent.Add(string(fingerprint), m)
	}
}
