package embedder

import (
	"container/list"
	"sync"
)

// made is the vector of a text, as it travels. It is shared: nobody may change it.
type made struct {
	vector    []byte // little-endian float32
	truncated bool
	original  int64 // tokens before fitting; 0 where they were not counted
}

// cache keeps the vectors of recent texts by fingerprint, the least recently used
// ones dropped first. A fingerprint names space and text, so nothing in it is ever old.
type cache struct {
	bytes int // bound

	mu      sync.Mutex
	used    int
	entries map[string]*list.Element // of entry
	recent  *list.List               // front: used last
}

type entry struct {
	fingerprint string
	made        made
}

// overhead is about what an entry takes beside its vector.
const overhead = 200

func newCache(bytes int) *cache {
	return &cache{bytes: bytes, entries: map[string]*list.Element{}, recent: list.New()}
}

func (c *cache) get(fingerprint []byte) (made, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	at, ok := c.entries[string(fingerprint)]
	if !ok {
		return made{}, false
	}
	c.recent.MoveToFront(at)
	e, _ := at.Value.(entry)
	return e.made, true
}

func (c *cache) put(fingerprint []byte, m made) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.drop(c.entries[string(fingerprint)])
	c.entries[string(fingerprint)] = c.recent.PushFront(entry{string(fingerprint), m})
	c.used += len(m.vector) + overhead
	for c.used > c.bytes {
		c.drop(c.recent.Back())
	}
}

func (c *cache) drop(at *list.Element) {
	if at == nil {
		return
	}
	e, _ := c.recent.Remove(at).(entry)
	delete(c.entries, e.fingerprint)
	c.used -= len(e.made.vector) + overhead
}
