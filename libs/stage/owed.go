package stage

import (
	"math"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/freshet-io/freshet/libs/kafka"
)

// owed is what a partition still owes: the places of records whose outcome was Later, in their order, 16 bytes each. As many
// of the first ones as fit stand in the note of each commit, and nothing behind those is committed: the next owner goes on
// from there, and from the note.
type owed struct {
	places []owedPlace
	passed kgo.EpochOffset // of the first record that was not handled yet
}

type owedPlace struct {
	offset int64
	epoch  int32
	due    uint32 // when it may be handled again, in Unix seconds
}

func owedAt(r *kgo.Record, notBefore time.Time) owedPlace {
	p := owedPlace{offset: r.Offset, epoch: r.LeaderEpoch}
	if !notBefore.IsZero() { // rounded up
		p.due = uint32(min(max(0, notBefore.Add(time.Second-1).Unix()), math.MaxUint32)) //nolint:gosec // it is bounded
	}
	return p
}

// isDue reports whether it may be handled.
func (p owedPlace) isDue(now time.Time) bool { return int64(p.due) <= now.Unix() }

// mostNoted is how many bytes a note has of what is owed, before they become base64: one for each place mostly. Kafka takes
// 4,096 letters with an offset (offset.metadata.max.bytes), which leaves some for the rest of the note.
const mostNoted = 2800

// next returns where the next owner of the partition has to begin. It never goes back: what comes to be owed is behind it.
func (o *owed) next() kgo.EpochOffset {
	size, before := 0, int64(0)
	for _, p := range o.places {
		if size += kafka.OwedBytes(p.offset, before); size > mostNoted {
			return kgo.EpochOffset{Epoch: p.epoch, Offset: p.offset}
		}
		before = p.offset
	}
	return o.passed
}

// before returns what is owed before an offset, for the note.
func (o *owed) before(end int64) string {
	var offsets []int64
	for _, p := range o.places {
		if p.offset >= end {
			break
		}
		offsets = append(offsets, p.offset)
	}
	return kafka.EncodeOwed(offsets)
}

// first returns the first owed offset from another one on that is due; ok is false where there is none.
func (o *owed) first(from int64, now time.Time) (offset int64, ok bool) {
	i, _ := o.find(from)
	for _, p := range o.places[i:] {
		if p.isDue(now) {
			return p.offset, true
		}
	}
	return 0, false
}

// has reports whether an offset is owed and due.
func (o *owed) has(offset int64, now time.Time) bool {
	i, ok := o.find(offset)
	return ok && o.places[i].isDue(now)
}

// dueBelow returns how many are due below an offset.
func (o *owed) dueBelow(offset int64, now time.Time) (n int) {
	end, _ := o.find(offset)
	for _, p := range o.places[:end] {
		if p.isDue(now) {
			n++
		}
	}
	return n
}

// untilDue returns how long it takes until one is due; ok is false where nothing is owed.
func (o *owed) untilDue(now time.Time) (wait time.Duration, ok bool) {
	if len(o.places) == 0 {
		return 0, false
	}
	first := slices.MinFunc(o.places, func(p, q owedPlace) int { return int(int64(p.due) - int64(q.due)) })
	return max(0, time.Unix(int64(first.due), 0).Sub(now)), true
}

// postpone has an offset that is owed wait.
func (o *owed) postpone(p owedPlace) {
	if i, ok := o.find(p.offset); ok {
		o.places[i].due = p.due
	}
}

func (o *owed) find(offset int64) (int, bool) {
	return slices.BinarySearchFunc(o.places, offset, func(p owedPlace, offset int64) int {
		return int(p.offset - offset) //nolint:gosec // 64 bits wide
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
	head = slices.DeleteFunc(head, func(p owedPlace) bool {
		_, done := slices.BinarySearch(finished, p.offset)
		return done
	})
	o.places = o.places[end-len(head):]
	copy(o.places, head)
	if len(o.places) == 0 {
		o.places = nil // its array was as long as the outage
	}
}
