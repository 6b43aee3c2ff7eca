package writer

import (
	"github.com/freshet-io/freshet/libs/fault"
	"github.com/freshet-io/freshet/libs/record"
)

// check returns a permanent fault for a record that the collection must not take, whatever state
// its item is in. The text of a vector that is pending or failed was never embedded, so that only
// a vector that is there can be of another space.
func check(v *record.Vector, c Collection) error {
	switch size := len(v.GetVector()); {
	case size == 0:
		return nil
	case v.GetSpace() != c.Space:
		return fault.Reject(fault.SpaceMismatch, "a vector of space %q, the collection is of %q", v.GetSpace(), c.Space)
	case size != 4*c.Dimensions:
		return fault.Reject(fault.DimensionMismatch, "a vector of %d bytes, the collection has %d dimensions", size, c.Dimensions)
	}
	return nil
}
