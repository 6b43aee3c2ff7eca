package dev

import (
	"fmt"
	"strings"
	"time"
)

// status is the one live line below the show.
type status struct {
	stack *stack
	sent  int
	last  time.Time
	every time.Duration
}

func newStatus(s *stack) *status {
	every := 500 * time.Millisecond
	if !s.options.TTY {
		every = 10 * time.Second
	}
	return &status{stack: s, every: every}
}

// show draws the line, not more often than a person can read it.
func (s *status) show() {
	if time.Since(s.last) < s.every {
		return
	}
	s.last = time.Now()
	p50, p95, p99 := s.stack.fresh.percentiles()
	line := fmt.Sprintf("%d changes sent, %d arrived; freshness p50 %s  p95 %s  p99 %s", s.sent, s.stack.fresh.arrived(), p50, p95, p99)
	if s.stack.options.TTY {
		fmt.Fprintf(s.stack.options.Out, "\r%s%s", line, strings.Repeat(" ", 4))
		return
	}
	s.stack.say("%s", line)
}
