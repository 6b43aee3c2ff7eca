package openai

import (
	"math"
	"net/http"
	"time"

	"golang.org/x/time/rate"
)

// large is the share of a minute's tokens that a request may have.
const large = 0.1

// bucket holds one limit of a key, of requests or of tokens. It passes everything while
// the limit is not known. It is not safe for concurrent use.
type bucket struct {
	unit      string  // as headers name it: requests or tokens
	fixed     bool    // by setting: what the server says does not count
	perMinute float64 // of this process; 0: not known
	limiter   *rate.Limiter
	lent      float64 // what bulk requests had taken at lentAt, and was not made up for
	lentAt    time.Time
}

// limit sets the limit. The bucket holds what passes in a second: one that held a whole
// minute would let twice the limit pass in the first.
func (b *bucket) limit(perMinute, share float64, now time.Time) {
	if perMinute <= 0 || perMinute == b.perMinute {
		return
	}
	b.perMinute = perMinute
	burst := max(int(perMinute/60), 1)
	if b.limiter == nil {
		b.limiter = rate.NewLimiter(0, burst)
	}
	b.limiter.SetBurstAt(now, burst)
	b.pace(share, now)
}

func (b *bucket) pace(share float64, now time.Time) {
	if b.limiter != nil {
		b.limiter.SetLimitAt(now, rate.Limit(b.perMinute*share/60))
	}
}

// wait returns how long it takes until n can pass. More than the bucket holds passes
// when it is full, and leaves a debt. An urgent n passes in spite of the debt of bulk requests, of up to one
// large one.
func (b *bucket) wait(n int, urgent bool, now time.Time) time.Duration {
	if b.limiter == nil {
		return 0
	}
	missing := float64(min(n, b.limiter.Burst())) - b.limiter.TokensAt(now)
	if urgent {
		missing -= min(b.perMinute*large, b.owes(now))
	}
	if missing < 1e-6 {
		return 0
	}
	return time.Duration(missing/float64(b.limiter.Limit())*float64(time.Second)) + 1
}

// owes returns what bulk requests have taken and is not made up for.
func (b *bucket) owes(now time.Time) float64 {
	return max(0, b.lent-now.Sub(b.lentAt).Seconds()*float64(b.limiter.Limit()))
}

// charge is take for a request that may be a bulk one.
func (b *bucket) charge(n int, bulk bool, now time.Time) {
	if bulk && b.limiter != nil {
		b.lent, b.lentAt = b.owes(now)+float64(n), now
	}
	b.take(n, now)
}

// take lets n pass, which may leave a debt. A negative n gives back.
func (b *bucket) take(n int, now time.Time) {
	if b.limiter == nil {
		return
	}
	for burst := b.limiter.Burst(); ; n -= burst {
		b.limiter.ReserveN(now, min(n, burst))
		if n <= burst {
			return
		}
	}
}

// learn takes limit and rest out of an answer's headers. A reset that is more than a
// minute away is of another period, such as a day: 429s tell of that one. What is left
// of the limit is shared with others, so that it can only make the bucket emptier.
func (b *bucket) learn(h http.Header, replicas int, share float64, now time.Time) {
	if reset, err := time.ParseDuration(h.Get("X-Ratelimit-Reset-" + b.unit)); err == nil && reset > time.Minute {
		return
	}
	// More would overflow, and is no limit; less would have us wait for hours because of a header.
	const least, most = 1, 1e12
	if limit, ok := number(h.Get("X-Ratelimit-Limit-" + b.unit)); ok && limit >= least && limit < most && !b.fixed {
		b.limit(limit/float64(replicas), share, now)
	}
	if left, ok := number(h.Get("X-Ratelimit-Remaining-" + b.unit)); ok && b.limiter != nil {
		if over := b.limiter.TokensAt(now) - left/float64(replicas); over > 0 {
			b.take(int(math.Ceil(over)), now)
		}
	}
}
