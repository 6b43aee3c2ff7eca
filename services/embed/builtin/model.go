// Package builtin embeds English text without a key and without a network, to try
// Freshet out and to test it. It is no match for a paid model.
//
// It owns the Universal Sentence Encoder lite (Cer et al., 2018; Apache-2.0) in
// int8: its weights, its tokenizer and its arithmetic, in Go without cgo. It knows
// English only: Chinese reaches it word by word through a glossary (CC-CEDICT), and
// text of any other script is embedded by its characters instead, which finds shared
// words and no meaning. It never learns and never calls anything.
//
//	text → Chinese words in English → pieces → two transformer layers → mean → tanh → unit vector
//	                                       └ more than 30 % unknown: hashed words and n-grams → unit vector
package builtin

import (
	"context"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/freshet-io/freshet/libs/fault"
	"github.com/freshet-io/freshet/services/embed/builtin/layout"
	"github.com/freshet-io/freshet/services/embed/provider"
)

const (
	// Name is the model's name, as it answers and as a pipeline file asks for it.
	Name = "use-lite"
	// Dimensions is the length of its vectors.
	Dimensions = layout.Hidden
	// MaxTokens is how much of a text the model reads; it ignores the rest.
	MaxTokens = 128

	// unknownShare is where a text counts as unreadable. A name in another script
	// within an English text stays below it.
	unknownShare = 0.3
	// chunkTokens bounds the tokens that are computed together: enough to use each
	// weight many times while it is in the cache, few enough to share among workers.
	chunkTokens = 256
)

// Model is a loaded model. It is safe for concurrent use.
type Model struct {
	tokenizer *tokenizer
	encoder   *encoder
	scratch   sync.Pool
}

// New loads the model from the binary: some 30 ms, and 20 MB of memory. The first
// Chinese text loads the glossary, too.
func New() (*Model, error) {
	tok, err := loadTokenizer()
	if err != nil {
		return nil, err
	}
	enc, err := loadEncoder()
	if err != nil {
		return nil, err
	}
	return &Model{tokenizer: tok, encoder: enc, scratch: sync.Pool{New: func() any { return &scratch{} }}}, nil
}

// Embed returns a unit vector of Dimensions numbers a text. Texts in a script that
// the model does not know are listed in Fallbacks. An empty text is a permanent
// fault, as it is with other providers; else the only error is that of an ended ctx.
func (m *Model) Embed(ctx context.Context, texts []string) (provider.Embeddings, error) {
	out := provider.Embeddings{Vectors: make([][]float32, len(texts)), Model: Name}
	readable := make([]sequence, 0, len(texts))
	for i, text := range texts {
		if strings.TrimSpace(text) == "" {
			return provider.Embeddings{}, fault.Reject(fault.ProviderRejected, "text %d of %d is empty", i+1, len(texts))
		}
		english, err := inEnglish(text)
		if err != nil {
			return provider.Embeddings{}, err
		}
		ids, unknown := m.tokenizer.encode(english)
		out.Tokens += int64(len(ids))
		if unknown > unknownShare {
			out.Vectors[i] = characters(text)
			out.Fallbacks = append(out.Fallbacks, i)
			continue
		}
		readable = append(readable, sequence{text: i, ids: ids[:min(len(ids), MaxTokens)]})
	}
	m.encode(ctx, readable, out.Vectors)
	if err := ctx.Err(); err != nil {
		return provider.Embeddings{}, err
	}
	for _, s := range readable {
		lean(out.Vectors[s.text], texts[s.text])
	}
	return out, nil
}

// sequence is the pieces of one of the texts.
type sequence struct {
	text int
	ids  []int32
}

// encode fills in the vectors of all sequences on as many processors as there are.
// It leaves early, with vectors missing, where ctx ends.
func (m *Model) encode(ctx context.Context, all []sequence, vectors [][]float32) {
	chunks := chunk(all, runtime.GOMAXPROCS(0))
	var next atomic.Int64
	var workers sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(chunks)) {
		workers.Go(func() {
			s, _ := m.scratch.Get().(*scratch)
			defer m.scratch.Put(s)
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= len(chunks) {
					return
				}
				m.encoder.encode(chunks[i], vectors, s)
			}
		})
	}
	workers.Wait()
}

// chunk cuts sequences into runs of at most chunkTokens tokens, and smaller ones
// where the workers would not all have one.
func chunk(all []sequence, workers int) [][]sequence {
	total := 0
	for _, s := range all {
		total += len(s.ids)
	}
	bound := min(chunkTokens, total/workers+1)
	var chunks [][]sequence
	start, tokens := 0, 0
	for i, s := range all {
		if i > start && tokens+len(s.ids) > bound {
			chunks = append(chunks, all[start:i])
			start, tokens = i, 0
		}
		tokens += len(s.ids)
	}
	if start < len(all) {
		chunks = append(chunks, all[start:])
	}
	return chunks
}
