package weaviate

import (
	"encoding/binary"
	"math"

	"github.com/freshet-io/freshet/libs/fault"
)

// Weaviate computes with float32. Beyond longest, squares of components and of their differences
// overflow; below shortest, squares lose their digits, or are zero: cosine sees one direction then,
// the other distances one point, and no nonce can make the vector another one.
const (
	longest  = 1 << 62
	shortest = 1.0 / (1 << 54)
)

// checkVector refuses a vector that Weaviate takes and never finds, or that would decide the
// dimensions of a new collection. Its error is a permanent fault.
func (c *collection) checkVector(b []byte) error {
	if len(b) != 4*c.spec.Dimensions {
		return fault.Reject(fault.DimensionMismatch, "a vector of %d bytes, collection %s has %d dimensions", len(b), c.spec.Name, c.spec.Dimensions)
	}
	// From the bytes: this is done for every item, and a copy as floats would be most of its work.
	var sum float64
	for i := 0; i < len(b); i += 4 {
		f := float64(math.Float32frombits(binary.LittleEndian.Uint32(b[i:])))
		if math.IsNaN(f) || math.IsInf(f, 0) {
			return fault.Reject(fault.IndexRejected, "component %d of the vector is no finite number", i/4)
		}
		sum += f * f
	}
	switch length := math.Sqrt(sum); {
	case length > longest:
		return fault.Reject(fault.IndexRejected, "the vector is longer than 2^62: distances to it overflow")
	case length == 0:
		return fault.Reject(fault.IndexRejected, "the vector is zero: it has no direction")
	case length < shortest:
		return fault.Reject(fault.IndexRejected, "the vector is shorter than 2^-54: float32 cannot tell its direction")
	}
	return nil
}
