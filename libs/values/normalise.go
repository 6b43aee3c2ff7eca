package values

import (
	"encoding/base64"
	"errors"
	"math/big"
	"slices"
	"strings"
	"time"

	"github.com/tidwall/gjson"

	"github.com/freshet-io/freshet/libs/pipeline"
)

var errBits = errors.New("is declared as bits and is none")

// Normalise returns v as plain JSON: decimals as numbers with all their digits,
// times in RFC 3339. A text where its type allows a count is left alone (Debezium
// writes "infinity" there), so that only a property that needs a date refuses it.
func Normalise(v gjson.Result, t Type) (gjson.Result, error) {
	if v.Type == gjson.Null || v.Type == gjson.True || v.Type == gjson.False {
		return v, nil
	}
	if t.Items != nil && v.IsArray() {
		return normaliseElements(v, *t.Items)
	}
	switch t.Kind {
	case Undeclared:
		if v.Type == gjson.JSON {
			return normaliseDecimal(v, t.Scale)
		}
	case Decimal:
		return normaliseDecimal(v, t.Scale)
	case Days, Instant, Magnitude, TimeOfDay:
		if v.Type == gjson.String { // Canal's numbers are texts
			v = normaliseNumber(v)
		}
		if v.Type == gjson.Number {
			return normaliseCount(v.Raw, t)
		}
	case Zoned:
		if at, err := parseTime(v.Str); err == nil {
			return textResult(at.Format(time.RFC3339Nano)), nil
		}
	case Number:
		if v.Type == gjson.String {
			return normaliseNumber(v), nil
		}
	case Bits:
		if v.Type == gjson.String {
			return normaliseBits(v)
		}
	case Plain, Text, Bytes:
	}
	return v, nil
}

func normaliseDecimal(v gjson.Result, scale int) (gjson.Result, error) {
	switch v.Type {
	case gjson.String:
		digits, err := decodeDecimal(v.Str, scale)
		return numberResult(digits), err
	case gjson.JSON:
		digits, is, err := variableDecimal(v)
		if is {
			return numberResult(digits), err
		}
	case gjson.Number, gjson.Null, gjson.True, gjson.False:
	}
	return v, nil
}

// normaliseBits reads a BIT(n) or a bit string: as a number it is what it is in the database.
func normaliseBits(v gjson.Result) (gjson.Result, error) {
	b, err := base64.StdEncoding.DecodeString(v.Str)
	if err != nil || len(b) > maxDecimalBytes {
		return gjson.Result{}, errBits
	}
	slices.Reverse(b)
	return numberResult(new(big.Int).SetBytes(b).String()), nil
}

func normaliseCount(raw string, t Type) (gjson.Result, error) {
	raw, ok := pipeline.CanonicalNumber(raw) // 1.7E9 is a whole number of seconds
	if !ok {
		return gjson.Result{}, errCount
	}
	if t.Kind == Magnitude {
		t = byMagnitude(raw)
	}
	if t.Kind == Days {
		text, err := days(raw)
		return textResult(text), err
	}
	if t.Kind == TimeOfDay {
		text, err := timeOfDay(raw, t.Nanos)
		return textResult(text), err
	}
	at, err := instant(raw, t.Nanos)
	return textResult(at.Format(time.RFC3339Nano)), err
}

func normaliseElements(v gjson.Result, items Type) (gjson.Result, error) {
	if items.Kind == Plain || items.Kind == Text || items.Kind == Bytes {
		return v, nil
	}
	var b strings.Builder
	var err error
	b.WriteByte('[')
	v.ForEach(func(_, element gjson.Result) bool {
		var normal gjson.Result
		if normal, err = Normalise(element, items); err != nil {
			return false
		}
		if b.Len() > 1 {
			b.WriteByte(',')
		}
		b.WriteString(normal.Raw)
		return true
	})
	b.WriteByte(']')
	return gjson.Result{Type: gjson.JSON, Raw: b.String()}, err
}

// textResult returns a string of letters that JSON need not escape.
func textResult(s string) gjson.Result {
	return gjson.Result{Type: gjson.String, Str: s, Raw: `"` + s + `"`}
}

// numberResult returns a number. Only its Raw may be used: Num would be a float.
func numberResult(digits string) gjson.Result {
	return gjson.Result{Type: gjson.Number, Raw: digits}
}
