package writer

import (
	"bytes"
	"math"
	"slices"
	"testing"

	"github.com/freshet-io/freshet/libs/record"
)

func TestNonceChangesBitsAndNotTheDirection(t *testing.T) {
	ordinary := make([]float32, 512)
	for i := range ordinary {
		ordinary[i] = float32(math.Sin(float64(i))) / 20
	}
	oneHot := make([]float32, 8)
	oneHot[3] = 1
	tests := map[string][]float32{
		"ordinary":              ordinary,
		"a single component":    oneHot,
		"largest and smallest":  {math.MaxFloat32, math.SmallestNonzeroFloat32, 1},
		"negative, and a zero":  {-1, 0, -2},
		"fewer than are picked": {1, 2},
	}
	for name, vector := range tests {
		in := record.AppendVector(nil, vector)
		kept := slices.Clone(in)
		for range 200 {
			out := nonce(in)
			if bytes.Equal(out, in) {
				t.Fatalf("%s: the nonce changed nothing", name)
			}
			changed, err := record.ParseVector(out)
			if err != nil {
				t.Fatal(err)
			}
			checkNear(t, name, vector, changed)
		}
		if !bytes.Equal(in, kept) {
			t.Errorf("%s: the record's own vector was changed", name)
		}
	}
	if a, b := nonce(record.AppendVector(nil, ordinary)), nonce(record.AppendVector(nil, ordinary)); bytes.Equal(a, b) {
		t.Error("two nonces are equal")
	}
}

func checkNear(t *testing.T, name string, a, b []float32) {
	t.Helper()
	var ab, aa, bb float64
	for i := range a {
		x, y := float64(a[i]), float64(b[i])
		if math.IsNaN(y) || math.IsInf(y, 0) {
			t.Fatalf("%s: component %d became %v", name, i, y)
		}
		if x == 0 && y != 0 {
			t.Fatalf("%s: zero became %v", name, y)
		}
		ab, aa, bb = ab+x*y, aa+x*x, bb+y*y
	}
	if c := ab / math.Sqrt(aa) / math.Sqrt(bb); c < 0.99999 {
		t.Fatalf("%s: the cosine to the true vector is %v", name, c)
	}
}

func TestSuspectsThatDoNotFitMakeAllSuspect(t *testing.T) {
	s := newSuspects()
	if s.has("a", false) {
		t.Fatal("an item is suspect from the start")
	}
	for i := range maxSuspects + 1 {
		s.add(string(binaryKey(i)))
	}
	if !s.has("a", false) {
		t.Error("a suspect was forgotten")
	}
}

func binaryKey(i int) []byte { return []byte{byte(i >> 16), byte(i >> 8), byte(i)} }
