package record

import "fmt"

// Bounds of a version: below 2^53, so that a store of doubles keeps it exact.
const (
	offsetBits = 48
	MaxEpoch   = 31
	maxOffset  = int64(1)<<offsetBits - 1
)

// Version returns the version of a document: epoch*2^48 + offset + 1, with the
// offset of its record in the live documents topic. Higher is newer. Offsets count
// from 1 here so that no record has version 0, which means none.
//
// The order of the log decides, since no field of a source does: PostgreSQL's
// LSNs are not in stream order, MySQL's positions break on a failover, and
// clocks repeat themselves.
func Version(epoch int32, offset int64) (int64, error) {
	if epoch < 0 || epoch > MaxEpoch || offset < 0 || offset >= maxOffset {
		return 0, fmt.Errorf("epoch %d and offset %d give no version: epochs are 0 to %d, offsets below 2^%d", epoch, offset, MaxEpoch, offsetBits)
	}
	return int64(epoch)<<offsetBits + offset + 1, nil
}

// Place returns the epoch and the offset that a version was made of.
func Place(version int64) (epoch int32, offset int64) {
	return int32((version - 1) >> offsetBits), (version - 1) & (1<<offsetBits - 1) //nolint:gosec // 0 to MaxEpoch
}
