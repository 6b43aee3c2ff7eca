package embedder

import (
	"strconv"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
)

// made is the vector of a text, as it travels. It is shared: nobody may change it.
type made struct {
	vector    []byte // little-endian float32
	truncated bool
	original  int64 // tokens before fitting; 0 where they were not counted
	at        time.Time
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
		m.at = time.Now()
		c.recent.Add(string(fingerprint), m)
	}
}

// orders knows since when documents that are to be embedded again on purpose are worked on. What was made of their texts since
// then is what they ask for, however often they are tried again; nothing older does.
type orders struct{ begun *lru.Cache[string, time.Time] }

// rememberedOrders bounds it. An order that is forgotten is paid for once more if it is tried again.
const rememberedOrders = 1 << 14

func newOrders() orders {
	begun, _ := lru.New[string, time.Time](rememberedOrders) // its only error is a size below 1
	return orders{begun}
}

// since returns when the document was worked on first.
func (o orders) since(w *work) time.Time {
	now := time.Now()
	if first, known, _ := o.begun.PeekOrAdd(w.key+" "+strconv.FormatInt(w.in.Version, 10), now); known {
		return first
	}
	return now
}
