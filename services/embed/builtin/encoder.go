package builtin

import (
	_ "embed" // the weights
	"errors"
	"math"

	"github.com/freshet-io/freshet/libs/record"
	"github.com/freshet-io/freshet/services/embed/builtin/layout"
)

//go:embed weights/use-lite.int8
var weightsFile []byte

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
	return t.scales[i/layout.Group] * float32(int8(t.rows[i])) //nolint:gosec // stored so
}

// loadEncoder reads the tensors in the order of layout.List.
func loadEncoder() (*encoder, error) {
	r := &reader{rest: weightsFile, tensors: layout.List()}
	e := &encoder{}
	e.table = r.matrix()
	e.timing = r.vector()
	e.layers[0] = r.layer(layout.TokenDim)
	e.widen = r.linear()
	e.layers[1] = r.layer(layout.Hidden)
	e.output = r.linear()
	if r.broken || len(r.rest) != 0 || len(r.tensors) != 0 {
		return nil, errors.New("the built-in model's weights are not of this build: run the converter again")
	}
	return e, nil
}

// reader takes tensors off the weights file. Where the file is of another layout it
// sets broken and gives zeros.
type reader struct {
	rest    []byte
	tensors []layout.Tensor
	broken  bool
}

func (r *reader) next(kind layout.Kind) (layout.Tensor, []byte) {
	if len(r.tensors) == 0 || r.tensors[0].Kind != kind || len(r.rest) < r.tensors[0].Size() {
		r.broken = true
		return layout.Tensor{}, nil
	}
	t := r.tensors[0]
	body := r.rest[:t.Size()]
	r.tensors, r.rest = r.tensors[1:], r.rest[t.Size():]
	return t, body
}

func (r *reader) vector() []float32 {
	_, body := r.next(layout.Vector)
	return floats(body)
}

func (r *reader) matrix() table {
	t, body := r.next(layout.Matrix)
	n := 4 * t.Rows * t.Cols / layout.Group
	return table{scales: floats(body[:n]), rows: body[n:]}
}

// linear reads a matrix and its bias, as float32: multiplying int8 would need
// instructions that Go does not reach.
func (r *reader) linear() linear {
	small := r.matrix()
	l := linear{weights: make([]float32, len(small.rows)), bias: r.vector()}
	for i := range l.weights {
		l.weights[i] = small.at(i)
	}
	return l
}

func (r *reader) layer(width int) layer {
	return layer{
		width:             width,
		attentionNorm:     normalizer{r.vector(), r.vector()},
		queriesKeysValues: r.linear(),
		merge:             r.linear(),
		networkNorm:       normalizer{r.vector(), r.vector()},
		networkIn:         r.linear(),
		networkOut:        r.linear(),
	}
}

func floats(b []byte) []float32 {
	f, _ := record.ParseVector(b) // tensors are of whole numbers
	return f
}

// encode computes the sequences together and sets the vector of each one's text.
func (e *encoder) encode(chunk []sequence, vectors [][]float32, s *scratch) {
	rows := 0
	for _, seq := range chunk {
		rows += len(seq.ids)
	}
	x := s.input.of(rows * layout.TokenDim)
	e.look(x, chunk)

	y := s.first.of(rows * layout.Hidden)
	e.widen.apply(y, x)
	e.layers[0].apply(y, x, chunk, s)

	z := s.second.of(rows * layout.Hidden)
	copy(z, y)
	e.layers[1].apply(z, y, chunk, s)

	mean := s.normal.of(len(chunk) * layout.Hidden)
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
	const half = layout.TokenDim / 2
	at := 0
	for _, seq := range chunk {
		for position, id := range seq.ids {
			piece := int(id) * layout.TokenDim
			row := x[at : at+layout.TokenDim]
			for i := range half {
				sin, cos := math.Sincos(float64(float32(position) * e.timing[i]))
				row[i] = 2*e.table.at(piece+i) + float32(sin)
				row[i+half] = 2*e.table.at(piece+half+i) + float32(cos)
			}
			at += layout.TokenDim
		}
	}
}

// average sets a row of mean to the mean of each sequence's rows of z.
func average(mean, z []float32, chunk []sequence) {
	clear(mean)
	at := 0
	for i, seq := range chunk {
		row := mean[i*layout.Hidden : (i+1)*layout.Hidden]
		for range seq.ids {
			add(row, z[at:at+layout.Hidden])
			at += layout.Hidden
		}
		for j := range row {
			row[j] /= float32(len(seq.ids))
		}
	}
}
