// Package hash makes vectors from hashes of texts, for load and fault tests.
//
// It owns a provider that costs microseconds, never fails, and gives equal texts
// equal vectors, so that a test can tell whose vector it found. It never says
// anything about meaning: two texts that differ in a letter are strangers.
package hash

import (
	"context"
	"errors"
	"math"

	"github.com/cespare/xxhash/v2"

	"github.com/freshet-io/freshet/services/embed/provider"
)

// Model is the name under which the provider answers.
const Model = "hash"

// Provider makes unit vectors of a fixed length. It is safe for concurrent use.
type Provider struct{ dimensions int }

// New returns a provider of vectors of the given length, which must be positive.
func New(dimensions int) (*Provider, error) {
	if dimensions <= 0 {
		return nil, errors.New("vectors need at least one dimension")
	}
	return &Provider{dimensions: dimensions}, nil
}

// Embed returns one unit vector a text. Its only error is that of an ended ctx.
func (p *Provider) Embed(ctx context.Context, texts []string) (provider.Embeddings, error) {
	out := provider.Embeddings{Vectors: make([][]float32, len(texts)), Model: Model}
	for i, text := range texts {
		if err := ctx.Err(); err != nil {
			return provider.Embeddings{}, err
		}
		out.Vectors[i] = Vector(text, p.dimensions)
		out.Tokens += int64(len(text)/4 + 1)
	}
	return out, nil
}

// Vector returns the unit vector of a text: the same on every machine and in every build.
func Vector(text string, dimensions int) []float32 {
	v := make([]float32, dimensions)
	state := xxhash.Sum64String(text)
	var sum float64
	for i := range v {
		state += 0x9e3779b97f4a7c15
		x := float64(int64(mix(state))) / (1 << 63) //nolint:gosec // every bit pattern is wanted
		v[i] = float32(x)
		sum += x * x
	}
	scale := float32(1 / math.Sqrt(sum))
	for i := range v {
		v[i] *= scale
	}
	return v
}

// mix is the output function of splitmix64 (Steele, Lea and Flood, 2014).
func mix(z uint64) uint64 {
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}
