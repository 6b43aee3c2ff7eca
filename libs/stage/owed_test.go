package stage

import (
	"slices"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
	"pgregory.net/rapid"
)

// TestOwed_isWhatWasAddedAndNotPaid compares it with a plain list.
func TestOwed_isWhatWasAddedAndNotPaid(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var o owed
		var plain []int64
		end := int64(0)
		t.Repeat(map[string]func(*rapid.T){
			"owe": func(t *rapid.T) {
				for range rapid.IntRange(1, 20).Draw(t, "records") {
					if rapid.Bool().Draw(t, "later") {
						o.places = append(o.places, kgo.EpochOffset{Epoch: 3, Offset: end})
						plain = append(plain, end)
					}
					end++
				}
				o.passed = kgo.EpochOffset{Epoch: 3, Offset: end}
			},
			"pay": func(t *rapid.T) {
				var finished []int64
				for _, offset := range plain[:min(len(plain), rapid.IntRange(0, 10).Draw(t, "of"))] {
					if rapid.Bool().Draw(t, "finished") {
						finished = append(finished, offset)
					}
				}
				o.pay(finished)
				plain = slices.DeleteFunc(plain, func(offset int64) bool { return slices.Contains(finished, offset) })
			},
			"": func(t *rapid.T) {
				next := end
				if len(plain) > 0 {
					next = plain[0]
				}
				if got := o.next().Offset; got != next {
					t.Fatalf("the next owner begins at %d, not %d", got, next)
				}
				from := rapid.Int64Range(0, end+1).Draw(t, "from")
				want := slices.IndexFunc(plain, func(offset int64) bool { return offset >= from })
				if got, ok := o.first(from); ok != (want >= 0) || ok && got != plain[want] {
					t.Fatalf("from %d on the first is %d, %v; owed is %v", from, got, ok, plain)
				}
				if o.has(from) != slices.Contains(plain, from) {
					t.Fatalf("%d is owed: %v; owed is %v", from, o.has(from), plain)
				}
			},
		})
	})
}
