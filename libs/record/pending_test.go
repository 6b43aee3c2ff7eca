package record

import (
	"slices"
	"testing"

	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"
)

// TestWhatIsPendingComesTrueInAnyOrder: embed hands a row on without its vector and again with it, or with the news that
// there is none. Whatever comes first and however often, the item is what it would have been without the first one.
func TestWhatIsPendingComesTrueInAnyOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		plain := changes(t)
		list := plain
		for _, c := range plain {
			if c.v.GetDocument().GetOp() == Op_OP_UPSERT {
				early := change{v: proto.CloneOf(c.v)}.pending()
				list = append(slices.Clip(list), early, c)
			}
		}
		shuffled := rapid.Permutation(list).Draw(t, "shuffled")
		if a, b := essence(take(plain...)), essence(take(shuffled...)); a != b {
			t.Fatalf("all at once\n%s\nwith what is pending\n%s", a, b)
		}
	})
}

func TestNewsOfARefusedTextIsTakenThoughItsRowIsThere(t *testing.T) {
	s := take(upsert(5, "a"))
	for i, step := range []struct {
		change change
		taken  Taken
		want   string
	}{
		{upsert(6, "b").pending(), TakenNew, `row 6 "b" found by an older text`},
		{upsert(6, "b").refused(), TakenNew, `row 6 "b" found by an older text, oversize at 6`},
		{upsert(6, "b").pending(), TakenAgain, `row 6 "b" found by an older text, oversize at 6`},
		{upsert(6, "b").refused(), TakenAgain, `row 6 "b" found by an older text, oversize at 6`},
		{upsert(7, "b").pending(), TakenNew, `row 7 "b" found by an older text, oversize at 7`},
		{upsert(8, "c").pending(), TakenNew, `row 8 "c" found by an older text`},
		{upsert(8, "c"), TakenNew, `row 8 "c" found`},
	} {
		if taken := s.take(step.change); taken != step.taken || describe(s) != step.want {
			t.Errorf("step %d: %v, %s", i, taken, describe(s))
		}
	}
}
