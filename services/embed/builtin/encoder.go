package builtin

import (
	_ "embed" // the weights
	"encoding/binary"
	"errors"
	"math"
)

//go:embed weights/use-lite.int8
var weightsFile []byte

// Sizes of the model: Universal Sentence Encoder lite, two transformer layers.
const (
	vocabulary = 8002 // rows of the table of token embeddings
	pieces     = 8000 // of them, those that the tokenizer knows
	tokenDim   = 256
	hiddenDim  = 512
	innerDim   = 1536
	heads      = 4
	group      = 256 // how many numbers of a row share a scale
)

// encoder is the network behind the pieces.
type encoder struct {
	table  table
	timing []float32 // frequencies of the positions' sines and cosines
	layers [2]layer
	widen  linear // carries the first layer's narrow input past its attention
	output linear
}

// layer is one transformer layer: normalised attention, then a normalised
// feed-forward network, each added to its input.
type layer struct {
	width                 int // of its input
	attentionNorm         normalizer
	queriesKeysValues     linear
	merge                 linear
	networkNorm           normalizer
	networkIn, networkOut linear
}

type normalizer struct{ scale, bias []float32 }

// table is a matrix as it is in the file.
type table struct {
	scales []float32
	rows   []byte // int8
}

func (t table) at(i int) float32 {
	return t.scales[i/group] * float32(int8(t.rows[i])) //nolint:gosec // stored so
}

// loadEncoder reads the tensors in the order in which scripts/convert-model.py writes them.
func loadEncoder() (*encoder, error) {
	r := &reader{rest: weightsFile}
	e := &encoder{}
	e.table = r.matrix(vocabulary, tokenDim)
	e.timing = r.vector(tokenDim / 2)
	e.layers[0] = r.layer(tokenDim)
	e.widen = r.linear(tokenDim, hiddenDim)
	e.layers[1] = r.layer(hiddenDim)
	e.output = r.linear(hiddenDim, hiddenDim)
	if r.broken || len(r.rest) != 0 {
		return nil, errors.New("the built-in model's weights are not of this build: run the converter again")
	}
	return e, nil
}

// reader takes tensors off the weights file. Where the file is of another layout it
// sets broken and gives zeros.
type reader struct {
	rest   []byte
	broken bool
}

func (r *reader) next(n int) []byte {
	if len(r.rest) < n {
		r.broken = true
		return make([]byte, n)
	}
	body := r.rest[:n]
	r.rest = r.rest[n:]
	return body
}

func (r *reader) vector(n int) []float32 { return floats(r.next(4 * n)) }

func (r *reader) matrix(rows, cols int) table {
	n := rows * cols
	return table{scales: r.vector(n / group), rows: r.next(n)}
}

// linear reads a matrix and its bias, as float32: multiplying int8 would need
// instructions that Go does not reach.
func (r *reader) linear(in, out int) linear {
	small := r.matrix(out, in)
	l := linear{weights: make([]float32, len(small.rows)), bias: r.vector(out)}
	for i := range l.weights {
		l.weights[i] = small.at(i)
	}
	return l
}

func (r *reader) normalizer(width int) normalizer {
	return normalizer{r.vector(width), r.vector(width)}
}

func (r *reader) layer(width int) layer {
	return layer{
		width:             width,
		attentionNorm:     r.normalizer(width),
		queriesKeysValues: r.linear(width, 3*width),
		merge:             r.linear(width, hiddenDim),
		networkNorm:       r.normalizer(hiddenDim),
		networkIn:         r.linear(hiddenDim, innerDim),
		networkOut:        r.linear(innerDim, hiddenDim),
	}
}

func floats(b []byte) []float32 {
	f := make([]float32, len(b)/4)
	for i := range f {
		f[i] = math.Float32frombits(binary.LittleEndian.Uint32(b[4*i:]))
	}
	return f
}

// encode computes the sequences together and sets the vector of each one's text.
func (e *encoder) encode(chunk []sequence, vectors [][]float32, s *scratch) {
	rows := 0
	for _, seq := range chunk {
		rows += len(seq.ids)
	}
	x := s.input.of(rows * tokenDim)
	e.look(x, chunk)

	y := s.first.of(rows * hiddenDim)
	e.widen.apply(y, x)
	e.layers[0].apply(y, x, chunk, s)

	z := s.second.of(rows * hiddenDim)
	copy(z, y)
	e.layers[1].apply(z, y, chunk, s)

	mean := s.normal.of(len(chunk) * hiddenDim)
	average(mean, z, chunk)
	out := make([]float32, len(mean))
	e.output.apply(out, mean)
	for i, seq := range chunk {
		v := out[i*Dimensions : (i+1)*Dimensions : (i+1)*Dimensions]
		for j, f := range v {
			v[j] = float32(math.Tanh(float64(f)))
		}
		vectors[seq.text] = unit(v)
	}
}

// look sets x to the pieces' embeddings plus their positions' sines and cosines.
// The factor is the model's: it adds its table up twice.
func (e *encoder) look(x []float32, chunk []sequence) {
	const half = tokenDim / 2
	at := 0
	for _, seq := range chunk {
		for position, id := range seq.ids {
			piece := int(id) * tokenDim
			row := x[at : at+tokenDim]
			for i := range half {
				sin, cos := math.Sincos(float64(float32(position) * e.timing[i]))
				row[i] = 2*e.table.at(piece+i) + float32(sin)
				row[i+half] = 2*e.table.at(piece+half+i) + float32(cos)
			}
			at += tokenDim
		}
	}
}

// average sets a row of mean to the mean of each sequence's rows of z.
func average(mean, z []float32, chunk []sequence) {
	clear(mean)
	at := 0
	for i, seq := range chunk {
		row := mean[i*hiddenDim : (i+1)*hiddenDim]
		for range seq.ids {
			add(row, z[at:at+hiddenDim])
			at += hiddenDim
		}
		for j := range row {
			row[j] /= float32(len(seq.ids))
		}
	}
}
