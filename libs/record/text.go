package record

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math"
)

// FingerprintSize is the length of a fingerprint in bytes.
const FingerprintSize = 16

// Fingerprint returns the hash of a space and a rendered text, before the text is
// fitted to the model: write renders too, and cannot fit. Equal fingerprints mean
// that the stored vector may be used again.
func Fingerprint(space, text string) []byte {
	h := sha256.New()
	h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(space))))
	h.Write([]byte(space))
	h.Write([]byte(text))
	return h.Sum(nil)[:FingerprintSize]
}

// AppendVector appends v to b as little-endian float32, the form in which a
// vector travels and in which the index takes it.
func AppendVector(b []byte, v []float32) []byte {
	for _, f := range v {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(f))
	}
	return b
}

// ParseVector returns the numbers of a vector. Its length must be a multiple of 4.
func ParseVector(b []byte) ([]float32, error) {
	if len(b)%4 != 0 {
		return nil, fmt.Errorf("a vector of %d bytes: not a multiple of 4", len(b))
	}
	v := make([]float32, len(b)/4)
	for i := range v {
		v[i] = math.Float32frombits(binary.LittleEndian.Uint32(b[4*i:]))
	}
	return v, nil
}
