package pipeline

import "strings"

// maxExponent bounds what a number written with an exponent may grow to.
const maxExponent = 400

// CanonicalNumber returns a JSON number as plain decimal digits without
// superfluous zeros, so that equal numbers are equal strings: 1.50, 15e-1 and 1.5
// are 1.5. It is exact: no digit goes through a float. It reports false for what
// is no JSON number, or has an exponent beyond ±400.
func CanonicalNumber(raw string) (string, bool) {
	n, ok := splitNumber(raw)
	if !ok {
		return "", false
	}
	if n.fraction == "" && n.exponent == 0 && raw != "-0" {
		return raw, true // JSON allows no leading zeros
	}
	digits := n.whole + n.fraction
	point := len(n.whole) + n.exponent
	trimmed := strings.TrimLeft(digits, "0")
	point -= len(digits) - len(trimmed)
	digits = strings.TrimRight(trimmed, "0")
	if digits == "" {
		return "0", true
	}
	switch {
	case point <= 0:
		digits = "0." + strings.Repeat("0", -point) + digits
	case point >= len(digits):
		digits += strings.Repeat("0", point-len(digits))
	default:
		digits = digits[:point] + "." + digits[point:]
	}
	if n.negative {
		digits = "-" + digits
	}
	return digits, true
}

type number struct {
	negative        bool
	whole, fraction string
	exponent        int
}

// splitNumber reads the grammar of RFC 8259, section 6.
func splitNumber(raw string) (n number, ok bool) {
	raw, n.negative = strings.CutPrefix(raw, "-")
	n.whole, raw = cutDigits(raw)
	if n.whole == "" || len(n.whole) > 1 && n.whole[0] == '0' {
		return n, false
	}
	if after, found := strings.CutPrefix(raw, "."); found {
		if n.fraction, raw = cutDigits(after); n.fraction == "" {
			return n, false
		}
	}
	if raw == "" {
		return n, true
	}
	if raw[0] != 'e' && raw[0] != 'E' {
		return n, false
	}
	return n.withExponent(raw[1:])
}

func (n number) withExponent(raw string) (number, bool) {
	raw, minus := strings.CutPrefix(raw, "-")
	if !minus {
		raw = strings.TrimPrefix(raw, "+")
	}
	digits, rest := cutDigits(raw)
	if digits == "" || rest != "" {
		return n, false
	}
	for _, d := range digits {
		if n.exponent = 10*n.exponent + int(d-'0'); n.exponent > maxExponent {
			return n, false
		}
	}
	if minus {
		n.exponent = -n.exponent
	}
	return n, true
}

func cutDigits(s string) (digits, rest string) {
	end := strings.IndexFunc(s, func(r rune) bool { return r < '0' || r > '9' })
	if end < 0 {
		return s, ""
	}
	return s[:end], s[end:]
}
