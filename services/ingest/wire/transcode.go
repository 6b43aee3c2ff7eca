package wire

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"math"
	"strconv"
	"strings"

	"github.com/freshet-io/freshet/libs/fault"
	"github.com/freshet-io/freshet/services/ingest/change"
)

// transcoder writes an Avro value as JSON, in one pass over its bytes. Each step of it writes at least a byte, so the
// limit of what is written bounds time and memory: a few bytes of Avro can say that a list has a billion nulls, or name
// the fields of a record that has no bytes of its own. The first error ends it, as each step is one of nothing then.
type transcoder struct {
	in     []byte
	at     int // of in
	out    []byte
	depth  int
	limits change.Limits
	err    error
}

// usual is how many bytes of JSON a byte of Avro makes, about, with the names of its columns.
const usual = 4

func transcode(root *node, value []byte, limits change.Limits) ([]byte, error) {
	if len(value) > limits.Bytes {
		return nil, fault.Reject(fault.Oversize, "the value has %d bytes, the limit is %d", len(value), limits.Bytes)
	}
	t := transcoder{in: value, out: make([]byte, 0, usual*len(value)), limits: limits}
	t.value(root)
	if t.at < len(t.in) {
		t.fail(fault.Malformed, "Avro value has bytes behind its end")
	}
	if t.err != nil {
		return nil, t.err
	}
	return t.out, nil
}

func (t *transcoder) fail(reason fault.Reason, format string, args ...any) {
	if t.err == nil {
		t.err = fault.Reject(reason, "the "+format, args...)
	}
}

func (t *transcoder) value(n *node) {
	switch n.kind {
	case kindNull:
		t.out = append(t.out, "null"...)
	case kindBoolean:
		t.boolean()
	case kindInt:
		t.int()
	case kindLong:
		t.out = strconv.AppendInt(t.out, t.long(), 10)
	case kindFloat:
		t.out = appendFloat(t.out, float64(math.Float32frombits(binary.LittleEndian.Uint32(t.takeWord(4)))), 32)
	case kindDouble:
		t.out = appendFloat(t.out, math.Float64frombits(binary.LittleEndian.Uint64(t.takeWord(8))), 64)
	case kindBytes:
		t.bytes(t.take(t.length()))
	case kindFixed:
		t.bytes(t.take(n.size))
	case kindUUID:
		t.uuid(t.take(n.size))
	case kindString:
		t.out = appendText(t.out, t.take(t.length()))
	case kindEnum:
		t.out = append(t.out, one(t, n.symbols)...)
	case kindUnion:
		if branch := one(t, n.branches); branch != nil {
			t.value(branch)
		}
	case kindRecord:
		t.record(n)
	case kindArray:
		t.blocks('[', ']', func() { t.value(n.items) })
	case kindMap:
		t.blocks('{', '}', func() {
			t.out = append(appendText(t.out, t.take(t.length())), ':')
			t.value(n.items)
		})
	}
	if len(t.out) > t.limits.Bytes {
		t.fail(fault.Oversize, "value has more than %d bytes as JSON, the limit", t.limits.Bytes)
	}
}

func (t *transcoder) record(n *node) {
	t.open('{')
	for i := range n.fields {
		if t.err != nil {
			return
		}
		if i > 0 {
			t.out = append(t.out, ',')
		}
		t.out = append(t.out, n.fields[i].quoted...)
		t.value(n.fields[i].node)
	}
	t.close('}')
}

// blocks writes the items of a list or a map: blocks of a count and as many items, up to one of none. A negative count
// stands before the length of the block, which serves those who skip it.
func (t *transcoder) blocks(open, end byte, item func()) {
	t.open(open)
	for first := true; t.err == nil; {
		count := t.long()
		if count < 0 {
			count = -count
			t.long()
		}
		if count == 0 {
			break
		}
		for ; count != 0 && t.err == nil; count-- {
			if !first {
				t.out = append(t.out, ',')
			}
			first = false
			item()
		}
	}
	t.close(end)
}

func (t *transcoder) open(bracket byte) {
	if t.depth++; t.depth > t.limits.Depth {
		t.fail(fault.Malformed, "value nests more than %d deep, the limit", t.limits.Depth)
	}
	t.out = append(t.out, bracket)
}

func (t *transcoder) close(bracket byte) {
	t.depth--
	t.out = append(t.out, bracket)
}

func (t *transcoder) long() int64 { return t.number(binary.MaxVarintLen64) }

// number reads seven bits to a byte, the lowest first, the sign in the lowest of all. It has up to longest bytes.
func (t *transcoder) number(longest int) int64 {
	n, size := binary.Uvarint(t.in[t.at:])
	if size <= 0 || size > longest || t.err != nil {
		t.short()
		return 0
	}
	t.at += size
	return int64(n>>1) ^ -int64(n&1) //nolint:gosec // both halves fit
}

func (t *transcoder) int() {
	n := t.number(binary.MaxVarintLen32)
	if n != int64(int32(n)) { //nolint:gosec // that is the question
		t.fail(fault.Malformed, "Avro value has an int of more than 32 bits")
	}
	t.out = strconv.AppendInt(t.out, n, 10)
}

func (t *transcoder) boolean() {
	switch b := t.takeWord(1); b[0] {
	case 0:
		t.out = append(t.out, "false"...)
	case 1:
		t.out = append(t.out, "true"...)
	default:
		t.fail(fault.Malformed, "Avro value has a boolean that is neither")
	}
}

// length reads that of bytes or a text.
func (t *transcoder) length() int {
	n := t.long()
	if n < 0 || n > int64(len(t.in)-t.at) {
		t.short()
		return 0
	}
	return int(n)
}

func (t *transcoder) take(n int) []byte {
	if n > len(t.in)-t.at || t.err != nil {
		t.short()
		return nil
	}
	t.at += n
	return t.in[t.at-n : t.at]
}

var word [8]byte // never written

// takeWord returns n bytes, at most eight, whatever is left.
func (t *transcoder) takeWord(n int) []byte {
	if b := t.take(n); b != nil {
		return b
	}
	return word[:n]
}

func (t *transcoder) short() {
	t.fail(fault.Malformed, "Avro value does not fit its schema: it ends too early, or has a length or a number that cannot be")
}

// one reads the place of a symbol or a branch.
func one[T any](t *transcoder, list []T) (found T) {
	i := t.number(binary.MaxVarintLen32)
	if i < 0 || i >= int64(len(list)) {
		t.short()
		return found
	}
	return list[i]
}

func (t *transcoder) bytes(b []byte) {
	t.out = append(t.out, '"')
	t.out = base64.StdEncoding.AppendEncode(t.out, b)
	t.out = append(t.out, '"')
}

// uuid writes a UUID that comes as its 16 bytes.
func (t *transcoder) uuid(b []byte) {
	t.out = append(t.out, '"')
	for i := range b {
		if i == 4 || i == 6 || i == 8 || i == 10 {
			t.out = append(t.out, '-')
		}
		t.out = hex.AppendEncode(t.out, b[i:i+1])
	}
	t.out = append(t.out, '"')
}

// appendFloat writes a number as Java does, and so Connect's JSON: the text of an item is the same whichever converter
// its row comes through. What is no number is a text.
func appendFloat(b []byte, f float64, bits int) []byte {
	switch abs := math.Abs(f); {
	case math.IsNaN(f):
		return append(b, `"NaN"`...)
	case math.IsInf(f, 1):
		return append(b, `"Infinity"`...)
	case math.IsInf(f, -1):
		return append(b, `"-Infinity"`...)
	case abs != 0 && (abs < 1e-3 || abs >= 1e7):
		return appendScientific(b, f, bits)
	case f == math.Trunc(f):
		return append(strconv.AppendFloat(b, f, 'f', -1, bits), ".0"...)
	}
	return strconv.AppendFloat(b, f, 'f', -1, bits)
}

// appendScientific writes 1.5E300 and -2.0E-7, where Go would write 1.5E+300 and -2E-07.
func appendScientific(b []byte, f float64, bits int) []byte {
	digits, exponent, _ := strings.Cut(strconv.FormatFloat(f, 'E', -1, bits), "E")
	b = append(b, digits...)
	if !strings.Contains(digits, ".") {
		b = append(b, ".0"...)
	}
	sign, exponent := exponent[:1], strings.TrimLeft(exponent[1:], "0")
	return append(append(append(b, 'E'), strings.TrimPrefix(sign, "+")...), exponent...)
}

// appendText writes a text as JSON. Bytes that are no UTF-8 stay what they are.
func appendText(b, text []byte) []byte {
	b = append(b, '"')
	from := 0
	for i, c := range text {
		if c >= ' ' && c != '"' && c != '\\' {
			continue
		}
		b = append(b, text[from:i]...)
		from = i + 1
		switch c {
		case '"', '\\':
			b = append(b, '\\', c)
		case '\n':
			b = append(b, `\n`...)
		case '\t':
			b = append(b, `\t`...)
		case '\r':
			b = append(b, `\r`...)
		default:
			b = append(b, `\u00`...)
			b = hex.AppendEncode(b, []byte{c})
		}
	}
	return append(append(b, text[from:]...), '"')
}
