package writer

import (
	"sync"
	"time"
)

// mending is how long after an outage an item that is not found may be found yet.
const mending = 90 * time.Second

// outages counts the calls that the index has not answered: the server may have lost what it had acknowledged last.
type outages struct {
	mu   sync.Mutex
	n    int64
	last time.Time
}

func (o *outages) add() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.n++
	o.last = time.Now()
}

func (o *outages) count() int64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.n
}

// recent reports whether one was a short while ago.
func (o *outages) recent() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.n > 0 && time.Since(o.last) < mending
}
