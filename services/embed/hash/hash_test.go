package hash

import (
	"context"
	"math"
	"testing"
)

func TestEqualTextsHaveEqualVectorsAndOthersDoNot(t *testing.T) {
	p, err := New(64)
	if err != nil {
		t.Fatal(err)
	}
	got, err := p.Embed(t.Context(), []string{"red shoe", "blue shoe", "red shoe", ""})
	if err != nil {
		t.Fatal(err)
	}
	if c := cosine(got.Vectors[0], got.Vectors[2]); math.Abs(c-1) > 1e-6 {
		t.Errorf("equal texts have cosine %v", c)
	}
	if c := cosine(got.Vectors[0], got.Vectors[1]); math.Abs(c) > 0.5 {
		t.Errorf("different texts have cosine %v", c)
	}
	for i, v := range got.Vectors {
		if n := cosine(v, v); len(v) != 64 || math.Abs(n-1) > 1e-5 {
			t.Errorf("vector %d: length %d, squared norm %v", i, len(v), n)
		}
	}
}

// TestVectorsNeverChangeBetweenBuilds keeps indexes made by load tests usable.
func TestVectorsNeverChangeBetweenBuilds(t *testing.T) {
	v := Vector("red shoe", 3)
	want := []float32{-0.7880974, -0.14346519, 0.59859854}
	for i := range want {
		if math.Abs(float64(v[i]-want[i])) > 1e-6 {
			t.Fatalf("vector of %q is %v, was %v", "red shoe", v, want)
		}
	}
}

func TestEndedContextStopsTheWork(t *testing.T) {
	p, _ := New(8)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := p.Embed(ctx, []string{"a"}); err == nil {
		t.Fatal("no error")
	}
}

func TestVectorsOfNoLengthAreRefused(t *testing.T) {
	if _, err := New(0); err == nil {
		t.Fatal("no error")
	}
}

func BenchmarkVector3072(b *testing.B) {
	for b.Loop() {
		Vector("Nike Air Zoom Pegasus 40 men's running shoes", 3072)
	}
}

func cosine(a, b []float32) float64 {
	var sum float64
	for i := range a {
		sum += float64(a[i]) * float64(b[i])
	}
	return sum
}
