package stage

import (
	"sync"

	"github.com/freshet-io/freshet/libs/fault"
)

const (
	stormWindow = 1000 // records of a topic that are remembered
	stormLeast  = 100  // unreadable ones among them that can be a storm
	stormProbe  = 10   // records that decide after a restart
)

// storms tells a topic that can mostly not be read, as after a change of its schema, from one with some bad records.
// Emptied into the dead letters, it would have to be redriven record by record; left alone, it waits for the pipeline
// file to be mended. So the stage stops, fatally, with what letters it has written by then, and stops again at each
// restart while half of the first records cannot be read. A decoder that reads them ends it, or Settings.StormBreaker.
type storms struct {
	breaks bool // the stage stops in one

	mu     sync.Mutex
	topics map[string]*storm
}

type storm struct {
	unreadable [stormWindow]bool // the last records, as a ring
	seen       int               // since the start
	bad        int               // in the ring
	expected   bool              // the last owner stopped for a storm: the first records decide
	raging     bool
}

func newStorms(breaks bool) *storms { return &storms{breaks: breaks, topics: map[string]*storm{}} }

// expect says that a storm was what stopped the last owner.
func (s *storms) expect(topic string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if of := s.of(topic); of.seen == 0 {
		of.expected = true
	}
}

// raging reports whether the topic's storm is what stops this stage.
func (s *storms) raging(topic string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.topics[topic] != nil && s.topics[topic].raging
}

// see takes one record of a topic into account. A fatal fault says that there is a storm.
func (s *storms) see(topic string, unreadable bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	of := s.of(topic)
	of.see(unreadable)
	if !s.breaks || !of.breaks() {
		return nil
	}
	of.raging = true
	return fault.Halt("%d of the last %d records of %s cannot be read: the stage stops before it makes dead letters of them all. Compare the topic with the pipeline file and mend either; to have the letters all the same, set FRESHET_STORM_BREAKER=false",
		of.bad, min(of.seen, stormWindow), topic)
}

func (s *storms) of(topic string) *storm {
	of := s.topics[topic]
	if of == nil {
		of = &storm{}
		s.topics[topic] = of
	}
	return of
}

func (s *storm) see(unreadable bool) {
	at := &s.unreadable[s.seen%stormWindow]
	if *at {
		s.bad--
	}
	if *at = unreadable; unreadable {
		s.bad++
	}
	s.seen++
}

func (s *storm) breaks() bool {
	if s.expected && s.seen <= stormProbe {
		return 2*s.bad >= stormProbe
	}
	return s.bad >= stormLeast && 2*s.bad >= min(s.seen, stormWindow)
}
