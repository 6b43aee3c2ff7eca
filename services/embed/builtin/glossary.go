package builtin

import (
	_ "embed" // the glossary
	"fmt"
	"math"
	"strings"
	"sync"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

//go:embed weights/glossary.tsv.gz
var glossaryFile []byte

// longestWord is how many characters a word of the glossary has at most.
const longestWord = 5

// glossary has one English meaning a Chinese word, and "=" with the simplified
// character for a traditional one. Text without Chinese never loads it.
var glossary = sync.OnceValues(loadGlossary)

func loadGlossary() (map[string]string, error) {
	lines, err := decompress(glossaryFile)
	if err != nil {
		return nil, fmt.Errorf("reading the glossary: %w", err)
	}
	words := make(map[string]string, strings.Count(lines, "\n"))
	for line := range strings.Lines(lines) {
		word, meaning, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		words[word] = meaning
	}
	return words, nil
}

// inEnglish returns text with each Chinese word replaced by its English meaning: the
// longest word first, without grammar, and with the order of Chinese. What is in no
// dictionary stays as it is. That is no translation, and enough to tell a tent from a
// kettle.
func inEnglish(text string) (string, error) {
	if strings.IndexFunc(text, isHan) < 0 {
		return text, nil
	}
	words, err := glossary()
	if err != nil {
		return "", err
	}
	runes := []rune(norm.NFKC.String(text))
	for i, r := range runes {
		if simple, ok := strings.CutPrefix(words[string(r)], "="); ok {
			runes[i] = []rune(simple)[0]
		}
	}
	var out strings.Builder
	for len(runes) > 0 {
		n, meaning := first(runes, words)
		out.WriteString(meaning)
		runes = runes[n:]
	}
	return strings.Join(strings.Fields(out.String()), " "), nil
}

// first returns the word at the beginning of runes and what it means, or the first rune
// as it is.
func first(runes []rune, words map[string]string) (n int, meaning string) {
	if !isHan(runes[0]) {
		if r := runes[0]; r >= '\u3000' && r <= '\u303f' {
			return 1, ", " // 、 and 。 are unknown to the model
		}
		return 1, string(runes[0])
	}
	for n := min(longestWord, len(runes)); n > 0; n-- {
		if meaning := words[string(runes[:n])]; meaning != "" {
			return n, " " + meaning + " "
		}
	}
	return 1, string(runes[0])
}

// leaning is how far Chinese text leans to its own side.
const leaning = 0.35

// lean turns the vector of a text by its share of Chinese, always in one direction.
// Words without grammar are nearer to any fluent English than to each other; so, where
// an index has both, Chinese finds Chinese first. Where it has English only, all
// distances grow alike and the order hardly changes.
func lean(vector []float32, text string) {
	han, letters := 0, 0
	for _, r := range text {
		if isHan(r) {
			han++
		}
		if isHan(r) || unicode.IsLetter(r) { // 〇 is a numeral
			letters++
		}
	}
	if han == 0 {
		return
	}
	step := float32(leaning * float64(han) / float64(letters) / math.Sqrt(float64(len(vector))))
	for i := range vector {
		vector[i] += step
		step = -step // nearly at right angles to what texts mean
	}
	unit(vector)
}

func isHan(r rune) bool { return unicode.Is(unicode.Han, r) }
