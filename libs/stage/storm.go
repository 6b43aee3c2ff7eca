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
	ring     [stormWindow]*unreadable // of the last records, nil for one that can be read
	reasons  map[fault.Reason]*unreadable
	seen     int  // since the start
	bad      int  // in the ring
	expected bool // the last owner stopped for a storm: the first records decide
	raging   bool
}

// unreadable are the records of the ring that cannot be read for one reason.
type unreadable struct {
	count int
	last  string // why the last one could not be, which names no more of it than its letter does
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

// see takes one record of a topic, and what came of it, into account. A fatal fault says that there is a storm.
func (s *storms) see(topic string, outcome error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	of := s.of(topic)
	of.see(outcome)
	if !s.breaks || !of.breaks() {
		return nil
	}
	of.raging = true
	return fault.Halt("%d of the last %d records of %s cannot be read, most often as in %q: the stage stops before it makes dead letters of them all. Compare the topic with the pipeline file and mend either; to have the letters all the same, set FRESHET_STORM_BREAKER=false",
		of.bad, min(of.seen, stormWindow), topic, of.commonest())
}

func (s *storms) of(topic string) *storm {
	of := s.topics[topic]
	if of == nil {
		of = &storm{reasons: map[fault.Reason]*unreadable{}}
		s.topics[topic] = of
	}
	return of
}

func (s *storm) see(outcome error) {
	at := &s.ring[s.seen%stormWindow]
	s.seen++
	if *at != nil {
		s.bad--
		(*at).count--
		*at = nil
	}
	reason := fault.ReasonOf(outcome)
	if !reason.Unreadable() {
		return
	}
	of := s.reasons[reason]
	if of == nil {
		of = &unreadable{}
		s.reasons[reason] = of
	}
	s.bad++
	of.count++
	of.last = bound(outcome.Error(), maxErrorText)
	*at = of
}

// commonest returns why most of the records in the ring that cannot be read cannot be, as the last of them says it.
func (s *storm) commonest() string {
	most := &unreadable{}
	for _, of := range s.reasons {
		if of.count > most.count || of.count == most.count && of.last < most.last {
			most = of
		}
	}
	return most.last
}

func (s *storm) breaks() bool {
	if s.expected && s.seen <= stormProbe {
		return 2*s.bad >= stormProbe
	}
	return s.bad >= stormLeast && 2*s.bad >= min(s.seen, stormWindow)
}
