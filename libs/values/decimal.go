package values

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"math/big"
	"strconv"
	"strings"

	"github.com/tidwall/gjson"
)

const (
	maxScale        = 1000
	maxDecimalBytes = 512 // about 1,200 digits: a longer one only costs time
)

var (
	errNoDecimal = errors.New("is declared as a decimal and is none")
	errLong      = errors.New("is a decimal of too many digits")
)

// decodeDecimal returns the digits of an unscaled value, big-endian two's
// complement in base64 as Connect writes it, with the point set.
func decodeDecimal(encoded string, scale int) (string, error) {
	if len(encoded) > base64.StdEncoding.EncodedLen(maxDecimalBytes) || scale > maxScale || scale < -maxScale {
		return "", errLong
	}
	unscaled, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil || len(unscaled) == 0 {
		return "", errNoDecimal
	}
	return setPoint(twosComplement(unscaled), scale), nil
}

// mayBeDecimal reports whether a text may be a decimal in bytes: few of them, as 38 digits take 16.
func mayBeDecimal(text string) bool {
	b, err := base64.StdEncoding.DecodeString(text)
	return err == nil && len(b) > 0 && len(b) <= 16
}

func twosComplement(b []byte) string {
	negative := b[0] >= 0x80
	if len(b) <= 8 {
		var word [8]byte
		if negative {
			word = [8]byte{255, 255, 255, 255, 255, 255, 255, 255}
		}
		copy(word[8-len(b):], b)
		return strconv.FormatInt(int64(binary.BigEndian.Uint64(word[:])), 10) //nolint:gosec // the sign bit is meant
	}
	n := new(big.Int).SetBytes(b)
	if negative {
		n.Sub(n, new(big.Int).Lsh(big.NewInt(1), uint(8*len(b)))) //nolint:gosec // at most 512 bytes
	}
	return n.String()
}

func setPoint(digits string, scale int) string {
	digits, negative := strings.CutPrefix(digits, "-")
	switch {
	case scale < 0 && digits != "0":
		digits += strings.Repeat("0", -scale)
	case scale > 0:
		if len(digits) <= scale {
			digits = strings.Repeat("0", scale-len(digits)+1) + digits
		}
		digits = digits[:len(digits)-scale] + "." + digits[len(digits)-scale:]
	}
	if negative {
		return "-" + digits
	}
	return digits
}

// variableDecimal reads {"scale":2,"value":"ThY="}, as PostgreSQL's NUMERIC without
// a scale comes. It reports false for every other object.
func variableDecimal(v gjson.Result) (digits string, is bool, err error) {
	if !strings.Contains(v.Raw, `"scale"`) { // most objects
		return "", false, nil
	}
	var scale, value gjson.Result
	members := 0
	v.ForEach(func(name, member gjson.Result) bool {
		members++
		switch name.Str {
		case "scale":
			scale = member
		case "value":
			value = member
		}
		return members <= 2
	})
	if members != 2 || scale.Type != gjson.Number || value.Type != gjson.String {
		return "", false, nil
	}
	n, err := strconv.Atoi(scale.Raw)
	if err != nil {
		return "", true, errNoDecimal
	}
	digits, err = decodeDecimal(value.Str, n)
	return digits, true, err
}
