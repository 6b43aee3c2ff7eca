package kafka

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"math/bits"

	"github.com/twmb/franz-go/pkg/kadm"
)

// A stage may commit an offset although records before it are not finished: it has left them for later, and owes them. The
// metadata of the commit, a JSON object (package stage), names their offsets then.

// EncodeOwed returns offsets, in their order, as the metadata has them: the distances between them as varints, in base64.
func EncodeOwed(offsets []int64) string {
	var bytes []byte
	before := int64(0)
	for _, o := range offsets {
		bytes = binary.AppendUvarint(bytes, uint64(o-before)) //nolint:gosec // they rise
		before = o
	}
	return base64.RawURLEncoding.EncodeToString(bytes)
}

// OwedBytes returns how many bytes an offset takes behind another one, before they become base64.
func OwedBytes(offset, before int64) int {
	return (bits.Len64(uint64(offset-before)|1) + 6) / 7 //nolint:gosec // they rise
}

// DecodeOwed reads what EncodeOwed wrote.
func DecodeOwed(text string) (offsets []int64, err error) {
	bytes, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return nil, errors.New("the offsets of what is owed are not in base64")
	}
	for offset := int64(0); len(bytes) > 0; offsets = append(offsets, offset) {
		distance, n := binary.Uvarint(bytes)
		if n <= 0 || int64(distance) < 0 || offset+int64(distance) < offset {
			return nil, errors.New("the offsets of what is owed cannot be read")
		}
		offset += int64(distance)
		bytes = bytes[n:]
	}
	return offsets, nil
}

// committedNote is what of a stage's note others read.
type committedNote struct {
	Owed  string `json:"owed"`
	Doubt int64  `json:"doubt"` // milliseconds
}

// noteOf returns the note of a committed offset; an empty one where it is no stage's.
func noteOf(committed kadm.OffsetResponse) (n committedNote) {
	if json.Unmarshal([]byte(committed.Metadata), &n) != nil {
		return committedNote{}
	}
	return n
}

// owed returns the offsets of the records that were left for later, rising.
func (n committedNote) owed() []int64 {
	owed, _ := DecodeOwed(n.Owed) // nil where it cannot be read
	return owed
}

// Finished returns the offset of the first record that a group has not finished, by what it has committed: the committed
// one, or the first one that it owes; -1 where it has committed nothing.
func Finished(committed kadm.OffsetResponse) int64 {
	if owed := noteOf(committed).owed(); len(owed) > 0 {
		return min(committed.At, owed[0])
	}
	return committed.At
}
