package values

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf16"
)

// Halved reports whether a JSON string has half of a surrogate pair, of which gjson would make another character: two texts
// would be one then. Of a string that is not valid it says nothing.
func Halved(raw string) bool {
	for {
		i := strings.IndexByte(raw, '\\')
		if i < 0 || i+1 == len(raw) {
			return false
		}
		raw = raw[i:]
		unit, is := unitOf(raw)
		if !is {
			raw = raw[2:]
			continue
		}
		if raw = raw[6:]; !utf16.IsSurrogate(unit) {
			continue
		}
		if second, is := unitOf(raw); !is || utf16.DecodeRune(unit, second) == unicode.ReplacementChar {
			return true
		}
		raw = raw[6:]
	}
}

// unitOf reads the \uXXXX that a text begins with, where it does.
func unitOf(raw string) (unit rune, is bool) {
	if len(raw) < 6 || raw[:2] != `\u` {
		return 0, false
	}
	n, err := strconv.ParseUint(raw[2:6], 16, 16)
	return rune(n), err == nil
}
