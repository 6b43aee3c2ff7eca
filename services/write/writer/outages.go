package writer

import (
	"sync"
	"time"
)

// late is how long a call that the index has not answered may still land: longer than any call may take.
const late = 90 * time.Second

// outages counts the calls that the index has not answered, each twice: at once, since the server may have lost what it
// had acknowledged last, and when the last of them cannot land any more, over what was put since.
type outages struct {
	mu   sync.Mutex
	n    int64
	last time.Time
}

func (o *outages) add() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.n += 2
	o.last = time.Now()
}

// count never gets lower. mayLand reads it.
func (o *outages) count() int64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.n > 0 && time.Since(o.last) > late {
		return o.n + 1
	}
	return o.n
}

// mayLand reports whether a call that has failed may still land, at a count.
func mayLand(count int64) bool { return count > 0 && count%2 == 0 }
