package openai

import "time"

// failing knows since when an endpoint has answered nothing.
type failing struct{ since, last time.Time }

// failingShown is for how long a failure is shown that no request has followed: who has failed here may ask elsewhere now.
const failingShown = 5 * time.Minute

// see takes the end of a request into account. A text or a key that is refused is an answer; 429 says nothing.
func (f *failing) see(status string, now time.Time) {
	switch {
	case status == "429":
	case status != "error" && status != "408" && status[0] != '5':
		*f = failing{}
	default:
		if f.time(now) == 0 {
			f.since = now
		}
		f.last = now
	}
}

// time returns how long it has been failing, 0 where it is not.
func (f *failing) time(now time.Time) time.Duration {
	if f.since.IsZero() || now.Sub(f.last) > failingShown {
		return 0
	}
	return max(now.Sub(f.since), 1)
}

func (l *line) showFailing(role string, o observe) {
	o(l.failing.time(time.Now()).Seconds(), "endpoint", role)
}
