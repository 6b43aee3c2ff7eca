package stage

import (
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// A process that was put out of its group may still have a call under way (lease.go), which lands when the next owner
// has long written a newer state. The next owner cannot see it coming, so it does three things: it works at once, marks
// nothing until such a call has surely ended, and works then once more on all that it has done. What was overwritten is
// put right, and the rest is found as it should be.

// doubt takes note of how the last owner of one of the worker's partitions left.
func (w *worker) doubt(n note) {
	bound := w.members.doubt
	if n.Clean {
		bound = min(bound, time.Duration(n.Doubt)*time.Millisecond)
	}
	if until := time.Now().Add(bound); bound > 0 && w.doubtUntil.Before(until) {
		w.doubtUntil = until
	}
}

// leaveInDoubt has the next owner doubt what a batch did that was not finished: a call of it
// that failed here may still land there, also where a later one has ended it for good.
func (w *worker) leaveInDoubt() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.doubt(note{})
}

// doubtLeft returns how long the next owner is to doubt, at least a millisecond where this one does.
func (w *worker) doubtLeft() time.Duration {
	left := max(0, time.Until(w.lateUntil))
	if !w.doubtUntil.IsZero() {
		left = max(left, time.Until(w.doubtUntil), time.Millisecond)
	}
	return left
}

// doubtOver returns how long it takes until the doubt is over, 0 where it is, and a negative
// time where there is none.
func (w *worker) doubtOver() time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.doubtUntil.IsZero() || w.rewinding() {
		return -1
	}
	return max(0, time.Until(w.doubtUntil))
}

func (w *worker) rewinding() bool {
	for _, c := range w.owned {
		if c.rewinding {
			return true
		}
	}
	return false
}

// rewind is what is to be read again for a worker.
type rewind struct {
	worker *worker
	to     map[string]map[int32]kgo.EpochOffset
}

// rewind has everything that was done in doubt worked on once more. It reports whether the
// worker goes on.
func (w *worker) rewind() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.stopped {
		return false
	}
	to := map[string]map[int32]kgo.EpochOffset{}
	for topic, c := range w.owned {
		if _, lower := w.kept.lower[topic]; !c.begun && !lower { // nothing of it was done
			continue
		}
		to[topic] = map[int32]kgo.EpochOffset{w.partition: c.next}
		c.rewinding = true
		w.count(w.queues[topic], -1)
		delete(w.queues, topic)
	}
	if len(to) == 0 {
		w.doubtUntil = time.Time{}
		return true
	}
	w.members.log.Info("working once more on what was done", "from", to)
	w.members.spawn(func() error {
		select {
		case w.members.rewinds <- rewind{w, to}:
		case <-w.done:
		}
		return nil
	})
	return true
}

// rewound says that what comes now is read again.
func (w *worker) rewound() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for topic, c := range w.owned {
		if c.rewinding && w.paused[topic] {
			delete(w.paused, topic)
			w.client.ResumeFetchPartitions(map[string][]int32{topic: {w.partition}})
		}
		c.rewinding = false
	}
	w.members.again(w.partition)
	w.doubtUntil = time.Time{}
	w.nudge()
}
