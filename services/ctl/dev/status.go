package dev

import (
	"context"
	"fmt"
	"time"

	"github.com/freshet-io/freshet/services/ctl/rig"
)

// clearToEnd has a terminal clear what a longer line left.
const clearToEnd = "\x1b[K"

// status is the one live line below the show.
type status struct {
	stack   *stack
	sent    int
	had     int // arrived before
	letters int // written before
	last    time.Time
	every   time.Duration
}

func newStatus(ctx context.Context, s *stack) (*status, error) {
	letters, err := s.letters(ctx)
	if err != nil {
		return nil, err
	}
	every := 500 * time.Millisecond
	if !s.options.TTY {
		every = 10 * time.Second
	}
	return &status{stack: s, had: s.fresh.arrived(), letters: letters, every: every}, nil
}

func (s *stack) letters(ctx context.Context) (int, error) {
	return rig.Records(ctx, s.client, s.topics.DeadLetters())
}

// show draws the line, not more often than a person can read it.
func (s *status) show(ctx context.Context) {
	if time.Since(s.last) < s.every {
		return
	}
	s.last = time.Now()
	line := fmt.Sprintf("%d changes sent, %d arrived", s.sent, s.stack.fresh.arrived()-s.had)
	if letters, err := s.stack.letters(ctx); err == nil && letters > s.letters { // one that cannot be had now is had the next time
		line += fmt.Sprintf(", %d became dead letters", letters-s.letters)
	}
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
