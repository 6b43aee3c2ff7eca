package stage

import (
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"pgregory.net/rapid"

	"github.com/freshet-io/freshet/libs/kafka"
)

// plainly is an owed record in a plain list.
type plainly struct {
	offset int64
	due    time.Time
}

// TestOwed_isWhatWasAddedAndNotPaid compares it with a plain list.
func TestOwed_isWhatWasAddedAndNotPaid(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var o owed
		var plain []plainly
		end, now := int64(0), time.Unix(1_000_000, 0)
		due := func(t *rapid.T) time.Time {
			wait := rapid.IntRange(-1, 30).Draw(t, "wait")
			if wait < 0 {
				return time.Time{}
			}
			return now.Add(time.Duration(wait)*time.Second - time.Millisecond)
		}
		t.Repeat(map[string]func(*rapid.T){
			"owe": func(t *rapid.T) {
				for range rapid.IntRange(1, 20).Draw(t, "records") {
					if rapid.Bool().Draw(t, "later") {
						p := plainly{end, due(t)}
						o.places = append(o.places, owedAt(&kgo.Record{LeaderEpoch: 3, Offset: end}, p.due))
						plain = append(plain, p)
					}
					end++
				}
				o.passed = kgo.EpochOffset{Epoch: 3, Offset: end}
			},
			"pay": func(t *rapid.T) {
				var finished []int64
				for _, p := range plain[:min(len(plain), rapid.IntRange(0, 10).Draw(t, "of"))] {
					if rapid.Bool().Draw(t, "finished") {
						finished = append(finished, p.offset)
					}
				}
				o.pay(finished)
				plain = slices.DeleteFunc(plain, func(p plainly) bool { return slices.Contains(finished, p.offset) })
			},
			"postpone": func(t *rapid.T) {
				if len(plain) == 0 {
					t.Skip("nothing is owed")
				}
				p := &plain[rapid.IntRange(0, len(plain)-1).Draw(t, "which")]
				p.due = due(t)
				o.postpone(owedAt(&kgo.Record{LeaderEpoch: 3, Offset: p.offset}, p.due))
			},
			"wait": func(t *rapid.T) { now = now.Add(time.Duration(rapid.IntRange(1, 20).Draw(t, "seconds")) * time.Second) },
			"":     func(t *rapid.T) { compareOwed(t, &o, plain, end, now) },
		})
	})
}

func compareOwed(t *rapid.T, o *owed, plain []plainly, end int64, now time.Time) {
	wait := time.Duration(-1)
	var offsets []int64
	for i, p := range plain {
		offsets = append(offsets, p.offset)
		if until := max(0, p.due.Sub(now).Round(time.Second)); i == 0 || until < wait {
			wait = until
		}
	}
	if got := o.next().Offset; got != end {
		t.Fatalf("the next owner begins at %d, not %d", got, end)
	}
	if noted, err := kafka.DecodeOwed(o.before(end)); err != nil || !slices.Equal(noted, offsets) {
		t.Fatalf("noted is %v, %v; owed is %v", noted, err, offsets)
	}
	if got, ok := o.untilDue(now); ok != (len(plain) > 0) || ok && got != wait {
		t.Fatalf("due in %s, not %s; owed is %v", got, wait, plain)
	}
	from := rapid.Int64Range(0, end+1).Draw(t, "from")
	isDue := func(p plainly) bool { return !p.due.After(now) }
	want := slices.IndexFunc(plain, func(p plainly) bool { return p.offset >= from && isDue(p) })
	if got, ok := o.first(from, now); ok != (want >= 0) || ok && got != plain[want].offset {
		t.Fatalf("from %d on the first is %d, %v; owed is %v", from, got, ok, plain)
	}
	if o.has(from, now) != slices.ContainsFunc(plain, func(p plainly) bool { return p.offset == from && isDue(p) }) {
		t.Fatalf("%d is owed: %v; owed is %v", from, o.has(from, now), plain)
	}
	below := len(slices.DeleteFunc(slices.Clone(plain), func(p plainly) bool { return p.offset >= from || !isDue(p) }))
	if got := o.dueBelow(from, now); got != below {
		t.Fatalf("%d are due below %d, not %d; owed is %v", got, from, below, plain)
	}
}

// TestOwed_whatDoesNotFitIntoANoteIsReadAgain: the next owner begins with the first record that is not in the note. A note of
// an offset that was marked before is not larger, whatever was paid since.
func TestOwed_whatDoesNotFitIntoANoteIsReadAgain(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := owed{}
		offset := rapid.Int64Range(0, 1<<40).Draw(t, "first")
		for range rapid.IntRange(mostNoted, 2*mostNoted).Draw(t, "owed") {
			o.places = append(o.places, owedPlace{offset: offset})
			offset += rapid.Int64Range(1, 300).Draw(t, "gap")
		}
		o.passed.Offset = offset
		last := int64(-1)
		for len(o.places) > 0 {
			next := o.next().Offset
			noted, err := kafka.DecodeOwed(o.before(next))
			if err != nil || next < last || len(o.before(next)) > (4*mostNoted+2)/3 {
				t.Fatalf("%d after %d, with %d letters; %v", next, last, len(o.before(next)), err)
			}
			for i, p := range o.places {
				if i < len(noted) && p.offset != noted[i] || i == len(noted) && p.offset != next {
					t.Fatalf("%d is owed, neither noted nor next, which is %d", p.offset, next)
				}
			}
			if len(noted) == len(o.places) && next != offset {
				t.Fatalf("all is noted, and the next owner begins at %d, not %d", next, offset)
			}
			last = next
			var finished []int64
			for i := 0; i < min(1000, len(o.places)); i += rapid.IntRange(1, 3).Draw(t, "skipped") {
				finished = append(finished, o.places[i].offset)
			}
			o.pay(finished)
		}
	})
}
