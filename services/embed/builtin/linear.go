package builtin

import (
	"math"

	"github.com/viterin/vek/vek32"
)

// tile is how many rows go through a weight while it is in the nearest cache.
const tile = 16

// dot is the product that nearly all time goes into: AVX2 where there is any. The
// library's own way without it is three times slower than ours.
var dot = func() func(a, b []float32) float32 {
	if vek32.Info().Acceleration {
		return vek32.Dot
	}
	return dotGo
}()

// linear is a layer out = x·weightsᵀ + bias, with a row of weights an output.
type linear struct {
	weights []float32
	bias    []float32
}

// apply sets out to the layer of each row of x.
func (l linear) apply(out, x []float32) {
	outputs := len(l.bias)
	inputs := len(l.weights) / outputs
	rows := len(x) / inputs
	for first := 0; first < rows; first += tile {
		last := min(first+tile, rows)
		for o, bias := range l.bias {
			w := l.weights[o*inputs : (o+1)*inputs]
			for r := first; r < last; r++ {
				out[r*outputs+o] = dot(x[r*inputs:(r+1)*inputs], w) + bias
			}
		}
	}
}

// dotGo keeps eight sums, so that the processor need not wait for one addition to
// begin the next. Lengths are multiples of 8 in this model.
func dotGo(a, b []float32) float32 {
	var s [8]float32
	for len(a) >= 8 && len(b) >= 8 {
		x, y := (*[8]float32)(a), (*[8]float32)(b)
		s[0] += x[0] * y[0]
		s[1] += x[1] * y[1]
		s[2] += x[2] * y[2]
		s[3] += x[3] * y[3]
		s[4] += x[4] * y[4]
		s[5] += x[5] * y[5]
		s[6] += x[6] * y[6]
		s[7] += x[7] * y[7]
		a, b = a[8:], b[8:]
	}
	for i := range a {
		s[0] += a[i] * b[i]
	}
	return (s[0] + s[1]) + (s[2] + s[3]) + (s[4] + s[5]) + (s[6] + s[7])
}

func add(a, b []float32) {
	for i, f := range b {
		a[i] += f
	}
}

// unit scales v to length 1, in place, and returns it. Zeros stay zeros.
func unit(v []float32) []float32 {
	var sum float64
	for _, f := range v {
		sum += float64(f) * float64(f)
	}
	if sum == 0 {
		return v
	}
	scale := float32(1 / math.Sqrt(sum))
	for i := range v {
		v[i] *= scale
	}
	return v
}
