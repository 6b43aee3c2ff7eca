package values_test

import (
	"testing"

	"github.com/freshet-io/freshet/libs/values"
)

func TestHalved(t *testing.T) {
	for raw, want := range map[string]bool{
		`"a"`: false, `""`: false, `"\ud83d\ude00"`: false, `"\\ud800"`: false, `"\u0041\n"`: false, `"\ufffd"`: false,
		`"\ud800"`: true, `"\udc00"`: true, `"\ud83d\ud83d\ude00"`: true, `"\ud83d\u0041"`: true, `"\ude00\ud83d"`: true,
		`"\ud8"`: false, `"\u`: false, `\`: false, `"\uzzzz"`: false, `"\ud800\`: true, `"\ud800\udc`: true, // not valid: no panic
	} {
		if values.Halved(raw) != want {
			t.Errorf("%s: %v", raw, !want)
		}
	}
}
