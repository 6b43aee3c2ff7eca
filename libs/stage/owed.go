package stage

import (
	"slices"

	"github.com/twmb/franz-go/pkg/kgo"
)

// owed is what a partition still owes: the places of records whose outcome was Later, in their order, 16 bytes each.
// Nothing behind the first of them is committed, so that the next owner reads all of it again.
type owed struct {
	places []kgo.EpochOffset
	passed kgo.EpochOffset // of the first record that was not handled yet
}

// next returns where the next owner of the partition has to begin.
func (o *owed) next() kgo.EpochOffset {
	if len(o.places) > 0 {
		return o.places[0]
	}
	return o.passed
}

// first returns the first owed offset from another one on; ok is false where there is none.
func (o *owed) first(from int64) (offset int64, ok bool) {
	i, _ := o.find(from)
	if i == len(o.places) {
		return 0, false
	}
	return o.places[i].Offset, true
}

func (o *owed) has(offset int64) bool {
	_, ok := o.find(offset)
	return ok
}

func (o *owed) find(offset int64) (int, bool) {
	return slices.BinarySearchFunc(o.places, offset, func(p kgo.EpochOffset, offset int64) int {
		return int(p.Offset - offset) //nolint:gosec // 64 bits wide
	})
}

// pay takes offsets off that are finished, in their order. They are the first ones but for a few, so that only what
// stands before the last of them is moved.
func (o *owed) pay(finished []int64) {
	if len(finished) == 0 {
		return
	}
	end, _ := o.find(finished[len(finished)-1] + 1)
	head := slices.Clone(o.places[:end])
	head = slices.DeleteFunc(head, func(p kgo.EpochOffset) bool {
		_, done := slices.BinarySearch(finished, p.Offset)
		return done
	})
	o.places = o.places[end-len(head):]
	copy(o.places, head)
	if len(o.places) == 0 {
		o.places = nil // its array was as long as the outage
	}
}
