package pipeline

import (
	"math/big"
	"strconv"
	"strings"

	"github.com/tidwall/gjson"
)

const (
	maxExponent = 400   // bounds what a number written with an exponent may grow to
	maxWritten  = 1_200 // bytes of such a number: the work grows with their square
)

// CanonicalNumber returns a JSON number as plain decimal digits without superfluous zeros, so that equal numbers are
// equal strings: 1.50, 15e-1 and 1.5 are 1.5. It is exact: no digit goes through a float. It reports false for what is
// no JSON number, or has an exponent beyond ±400 or behind more than 1,200 bytes.
func CanonicalNumber(raw string) (string, bool) {
	// What is valid may still be a text, or have white space around it.
	if raw == "" || raw[0] != '-' && !digit(raw[0]) || !digit(raw[len(raw)-1]) || !gjson.Valid(raw) {
		return "", false
	}
	if at := strings.IndexAny(raw, "eE"); at >= 0 {
		exponent, err := strconv.Atoi(raw[at+1:])
		if err != nil || max(exponent, -exponent) > maxExponent || len(raw) > maxWritten {
			return "", false
		}
		number, ok := new(big.Rat).SetString(raw)
		if !ok {
			return "", false
		}
		places, _ := number.FloatPrec()
		return number.FloatString(places), true
	}
	if strings.Contains(raw, ".") { // JSON allows no leading zeros
		raw = strings.TrimSuffix(strings.TrimRight(raw, "0"), ".")
	}
	if raw == "-0" {
		raw = "0"
	}
	return raw, true
}

func digit(b byte) bool { return '0' <= b && b <= '9' }
