package dev

import (
	"fmt"
	"time"
)

// clearToEnd has a terminal clear what a longer line left.
const clearToEnd = "\x1b[K"

// status is the one live line below the show.
type status struct {
	stack *stack
	sent  int
	had   int // arrived before
	last  time.Time
	every time.Duration
}

func newStatus(s *stack) *status {
	every := 500 * time.Millisecond
	if !s.options.TTY {
		every = 10 * time.Second
	}
	return &status{stack: s, had: s.fresh.arrived(), every: every}
}

// show draws the line, not more often than a person can read it.
func (s *status) show() {
	if time.Since(s.last) < s.every {
		return
	}
	s.last = time.Now()
	line := fmt.Sprintf("%d changes sent, %d arrived", s.sent, s.stack.fresh.arrived()-s.had)
	if s.stack.options.Events == "" { // recorded events are as old as their source says
		p50, p95, p99 := s.stack.fresh.percentiles()
		line += fmt.Sprintf("; freshness p50 %s  p95 %s  p99 %s", p50, p95, p99)
	}
	if s.stack.options.TTY {
		fmt.Fprint(s.stack.options.Out, "\r"+line+clearToEnd)
		return
	}
	s.stack.say("%s", line)
}
