package registry

import (
	"errors"
	"maps"
	"time"

	"github.com/freshet-io/freshet/libs/fault"
	"github.com/freshet-io/freshet/services/ingest/wire"
)

const (
	maxMissing = 1 << 14          // ids
	firstWait  = time.Second      // until an id that is not known is asked for again; it doubles each time
	rounds     = 5                // of waiting: 31 s in all, as far as copies of a registry may be behind it
	unknownFor = 5 * time.Second  // how long an id is not asked for that was waited for in vain
	forgetting = 10 * time.Minute // how long nobody asks for an id until it is as if never asked for
	manyAbsent = 8                // ids that were waited for in vain: so many are no ids, and further ones get one round
)

var errUnknown = errors.New("the schema registry does not know schema")

// missing are the ids that the registry has no schema for. Its copies learn of a new schema one after the other, and the
// first record may be here before that: its id is asked for again for a while before the record is given up. Where keys
// are somebody's bytes, of which some look like ids, not each of those may cost that time.
type missing map[uint32]miss

// miss is what is known of one of them.
type miss struct {
	asked int       // times
	next  time.Time // it is not asked for before
	err   error     // why its records are given up; nil while it is waited for
}

// at returns what becomes of a record now; nil where the registry is to be asked.
func (m miss) at(id uint32, now time.Time) error {
	switch {
	case !now.Before(m.next):
		return nil
	case m.err != nil:
		return m.err
	}
	return fault.Wait(m.next.Sub(now), "schema %d: %w", id, wire.ErrNotYet)
}

// add notes that the registry, asked when all was known of an id that before says, did not know it; and returns what
// becomes of the record. Of several who asked at one time the first one counts.
func (m missing) add(id uint32, before miss, now time.Time) error {
	if m[id] != before {
		if err := m[id].at(id, now); err != nil {
			return err
		}
	}
	maps.DeleteFunc(m, func(_ uint32, of miss) bool { return now.Sub(of.next) > forgetting })
	asked := m[id].asked
	next := miss{asked: asked + 1, next: now.Add(firstWait << min(asked, rounds))}
	if next.asked > rounds || next.asked > 1 && m.absent() >= manyAbsent || len(m) >= maxMissing {
		next.err, next.next = fault.Reject(fault.UnknownSchema, "%w %d", errUnknown, id), now.Add(unknownFor)
	}
	if m[id] = next; len(m) > maxMissing { // it is judged, and need not be kept
		delete(m, id)
	}
	return next.at(id, now)
}

// absent returns how many ids were waited for in vain.
func (m missing) absent() (n int) {
	for _, of := range m {
		if of.err != nil && of.asked > 0 {
			n++
		}
	}
	return n
}
