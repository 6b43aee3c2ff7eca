// Package layout is the order of the built-in model's numbers in its weights file.
//
// The converter writes by it and the model reads by it, so that they cannot
// differ. It knows no arithmetic.
//
// The file is the tensors of List one after the other, little-endian. A Vector is
// Cols float32. A Matrix is Rows*Cols/Group float32 scales, then Rows*Cols int8, row
// by row: number i is scale[i/Group]*int8[i]. The matrices of linear layers have a
// row an output, so that an output is a dot product of two runs of memory.
package layout

// Sizes of the model: Universal Sentence Encoder lite, two transformer layers.
const (
	Vocabulary = 8002 // rows of the table of token embeddings
	Pieces     = 8000 // of them, those that the tokenizer knows
	TokenDim   = 256
	Hidden     = 512
	Inner      = 1536
	Heads      = 4
)

// Group is how many numbers of a row share a scale: as many as cost no text of the
// golden file a thousandth of cosine, and 110 KB.
const Group = 256

// Kind says how a tensor is stored.
type Kind int

// The kinds of tensors.
const (
	Vector Kind = iota // float32
	Matrix             // int8 with a scale a group
)

// Tensor is one entry of the file.
type Tensor struct {
	Kind       Kind
	Rows, Cols int
	// Source are parts of the tensor's name in the TensorFlow.js manifest; the one
	// tensor whose name has all of them is meant.
	Source []string
	// Transposed means that the source has a column an output.
	Transposed bool
}

// Size returns the bytes that the tensor takes in the file.
func (t Tensor) Size() int {
	if t.Kind == Vector {
		return 4 * t.Cols
	}
	return 4*t.Rows*t.Cols/Group + t.Rows*t.Cols
}

// List returns the tensors in the order of the file.
func List() []Tensor {
	list := []Tensor{
		{Kind: Matrix, Rows: Vocabulary, Cols: TokenDim, Source: []string{"module/Embeddings_en"}},
		vector(TokenDim/2, "TimingSignal/ExpandDims_1"),
	}
	list = append(list, layer("/Layer_0/TransformerLayer/", TokenDim)...)
	list = append(list,
		linear(TokenDim, Hidden, "/Layer_0/TransformerLayer/dense/kernel"),
		vector(Hidden, "/Layer_0/TransformerLayer/dense/bias"))
	list = append(list, layer("/Layer_1/TransformerLayer/", Hidden)...)
	return append(list,
		linear(Hidden, Hidden, "tanh_layer_0/weights"),
		vector(Hidden, "tanh_layer_0/bias"))
}

// layer returns the tensors of a transformer layer with inputs of the given width.
func layer(name string, width int) []Tensor {
	attention, ffn := name+"MultiheadAttention/", name+"FFN/"
	return []Tensor{
		vector(width, name+"layer_prepostprocess", "scale"),
		vector(width, name+"layer_prepostprocess", "layer_norm_bias"),
		linear(width, 3*width, attention+"qkv_transform_single/kernel"),
		vector(3*width, attention+"qkv_transform_single/bias"),
		linear(width, Hidden, attention+"output_transform_single/kernel"),
		vector(Hidden, attention+"output_transform_single/bias"),
		vector(Hidden, ffn+"layer_prepostprocess", "scale"),
		vector(Hidden, ffn+"layer_prepostprocess", "layer_norm_bias"),
		linear(Hidden, Inner, ffn+"conv1/Tensordot/Reshape_1"),
		vector(Inner, ffn+"conv1/bias"),
		linear(Inner, Hidden, ffn+"conv2/Tensordot/Reshape_1"),
		vector(Hidden, ffn+"conv2/bias"),
	}
}

func vector(n int, source ...string) Tensor {
	return Tensor{Kind: Vector, Rows: 1, Cols: n, Source: source}
}

func linear(in, out int, source ...string) Tensor {
	return Tensor{Kind: Matrix, Rows: out, Cols: in, Source: source, Transposed: true}
}
