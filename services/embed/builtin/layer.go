package builtin

import (
	"math"
	"slices"

	"github.com/freshet-io/freshet/services/embed/builtin/layout"
)

// scratch is the memory of one worker. It grows to the largest chunk and stays.
type scratch struct {
	input, first, second, normal, mixed, inner, weights buffer
}

type buffer []float32

// of returns n numbers of any value, valid until the next call.
func (b *buffer) of(n int) []float32 {
	if cap(*b) < n {
		*b = make([]float32, n)
	}
	return (*b)[:n]
}

// apply adds the layer's attention over x to y, and then the network over y to y.
// y holds x on entry, made as wide as the layer's output.
func (l *layer) apply(y, x []float32, chunk []sequence, s *scratch) {
	rows := len(x) / l.width
	normal := s.normal.of(len(x))
	l.attentionNorm.apply(normal, x)
	qkv := s.inner.of(rows * 3 * l.width)
	l.queriesKeysValues.apply(qkv, normal)
	mixed := s.mixed.of(len(x))
	at := 0
	for _, seq := range chunk {
		n := len(seq.ids)
		attend(mixed[at*l.width:(at+n)*l.width], qkv[at*3*l.width:(at+n)*3*l.width], l.width, s.weights.of(n))
		at += n
	}
	merged := s.normal.of(len(y))
	l.merge.apply(merged, mixed)
	add(y, merged)

	normal = s.normal.of(len(y))
	l.networkNorm.apply(normal, y)
	inner := s.inner.of(rows * layout.Inner)
	l.networkIn.apply(inner, normal)
	for i, f := range inner {
		inner[i] = max(f, 0)
	}
	out := s.mixed.of(len(y))
	l.networkOut.apply(out, inner)
	add(y, out)
}

// attend sets out to the attention of one sequence (Vaswani et al., 2017). A row of
// qkv is a query, a key and a value, width numbers each.
func attend(out, qkv []float32, width int, weights []float32) {
	size := width / layout.Heads
	scale := float32(1 / math.Sqrt(float64(size)))
	for head := range layout.Heads {
		part := func(row, which int) []float32 {
			at := row*3*width + which*width + head*size
			return qkv[at : at+size]
		}
		for i := range weights {
			query := part(i, 0)
			for j := range weights {
				weights[j] = scale * dot(query, part(j, 1))
			}
			softmax(weights)
			row := out[i*width+head*size : i*width+(head+1)*size]
			clear(row)
			for j, w := range weights {
				for c, value := range part(j, 2) {
					row[c] += w * value
				}
			}
		}
	}
}

func softmax(x []float32) {
	highest := slices.Max(x)
	var sum float32
	for i, f := range x {
		x[i] = float32(math.Exp(float64(f - highest)))
		sum += x[i]
	}
	for i := range x {
		x[i] /= sum
	}
}

// apply sets out to the rows of x with mean 0 and variance 1, scaled and shifted.
func (n normalizer) apply(out, x []float32) {
	const epsilon = 1e-6
	width := len(n.scale)
	for at := 0; at < len(x); at += width {
		row, to := x[at:at+width], out[at:at+width]
		var mean, variance float32
		for _, f := range row {
			mean += f
		}
		mean /= float32(width)
		for _, f := range row {
			variance += (f - mean) * (f - mean)
		}
		inverse := float32(1 / math.Sqrt(float64(variance)/float64(width)+epsilon))
		for i, f := range row {
			to[i] = (f-mean)*inverse*n.scale[i] + n.bias[i]
		}
	}
}
