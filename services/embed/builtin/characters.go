package builtin

import (
	"slices"
	"strings"
	"unicode"

	"github.com/cespare/xxhash/v2"
	"golang.org/x/text/unicode/norm"
)

// Weights of the features. A Han bigram is about a word, a single one often noise;
// short Latin words are mostly articles and prepositions.
const (
	wordWeight   = 1.0
	shortWeight  = 0.4
	gramWeight   = 0.4
	singleWeight = 0.6
	pairWeight   = 1.0

	shortWord = 3 // runes
	gram      = 3 // runes
)

// characters returns the unit vector of a text's words, their n-grams and its Han
// characters, each hashed to a place and a sign (Weinberger et al., 2009). Two texts
// are near where they share such pieces; of meaning it knows nothing.
func characters(text string) []float32 {
	f := features{vector: make([]float32, Dimensions)}
	var previous rune
	for _, r := range strings.ToLower(norm.NFKC.String(text)) {
		switch {
		case unicode.Is(unicode.Han, r):
			f.endWord()
			f.add("h"+string(r), singleWeight)
			if previous != 0 {
				f.add("b"+string(previous)+string(r), pairWeight)
			}
			previous = r
			continue
		case unicode.IsLetter(r), unicode.IsDigit(r), unicode.IsMark(r):
			f.word = append(f.word, r)
		default:
			f.endWord()
		}
		previous = 0
	}
	f.endWord()
	// A text of signs alone has no feature, and no two features may cancel out to
	// nothing: a vector of zeros has no direction.
	if !slices.ContainsFunc(f.vector, func(x float32) bool { return x != 0 }) {
		f.add("t"+text, wordWeight)
	}
	return unit(f.vector)
}

type features struct {
	vector []float32
	word   []rune // the one being read
}

func (f *features) add(feature string, weight float32) {
	h := xxhash.Sum64String(feature)
	if h>>63 == 1 {
		weight = -weight
	}
	f.vector[h%uint64(len(f.vector))] += weight
}

func (f *features) endWord() {
	if len(f.word) == 0 {
		return
	}
	weight := float32(wordWeight)
	if len(f.word) <= shortWord && !unicode.IsDigit(f.word[0]) {
		weight = shortWeight
	}
	f.add("w"+string(f.word), weight)
	marked := append(append([]rune{'^'}, f.word...), '$')
	for i := 0; i+gram <= len(marked); i++ {
		f.add("g"+string(marked[i:i+gram]), gramWeight*weight)
	}
	f.word = f.word[:0]
}
