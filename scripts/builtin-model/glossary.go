package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"unicode"
)

// convertGlossary returns the Chinese words of CC-CEDICT with one English meaning each,
// a line each, compressed; and the traditional characters with their simplified ones.
func convertGlossary(path string) ([]byte, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var dictionary struct{ All [][]any }
	text := strings.TrimSuffix(strings.TrimSpace(strings.TrimPrefix(string(raw), "export default ")), ";")
	if err := json.Unmarshal([]byte(text), &dictionary); err != nil {
		return nil, fmt.Errorf("reading the dictionary: %w", err)
	}
	lines, names := map[string]string{}, map[string]string{}
	for _, row := range dictionary.All {
		traditional, simplified, pinyin, meanings, err := entry(row)
		if err != nil {
			return nil, err
		}
		if len([]rune(traditional)) == 1 && traditional != simplified && lines[traditional] == "" {
			lines[traditional] = "=" + simplified
		}
		word := []rune(simplified)
		if len(word) > longest || slices.ContainsFunc(word, notHan) {
			continue
		}
		into := lines
		if unicode.IsUpper(rune(pinyin[0])) {
			into = names
		}
		offer(into, simplified, meaning(meanings))
	}
	// A word that is a name, too, is rather the word.
	for word, gloss := range names {
		if lines[word] == "" {
			lines[word] = gloss
		}
	}
	var out bytes.Buffer
	for _, word := range sorted(lines) {
		fmt.Fprintf(&out, "%s\t%s\n", word, lines[word])
	}
	return compress(out.Bytes())
}

// offer sets the meaning of a word that has none yet.
func offer(lines map[string]string, word, gloss string) {
	if gloss != "" && (lines[word] == "" || lines[word][0] == '=') {
		lines[word] = gloss
	}
}

// longest is how many characters a word of the glossary has at most.
const longest = 5

func notHan(r rune) bool { return !unicode.Is(unicode.Han, r) }

func sorted(lines map[string]string) []string {
	words := make([]string, 0, len(lines))
	for word := range lines {
		words = append(words, word)
	}
	slices.Sort(words)
	return words
}

// entry reads a row of the dictionary: traditional, simplified, pinyin, meanings.
func entry(row []any) (traditional, simplified, pinyin string, meanings []string, err error) {
	var texts [3]string
	for i := range texts {
		if len(row) < 4 {
			return "", "", "", nil, fmt.Errorf("a row of the dictionary is %v", row)
		}
		texts[i], _ = row[i].(string)
		if texts[i] == "" {
			return "", "", "", nil, fmt.Errorf("a row of the dictionary is %v", row)
		}
	}
	switch m := row[3].(type) {
	case string:
		meanings = []string{m}
	case []any:
		for _, one := range m {
			s, _ := one.(string)
			meanings = append(meanings, s)
		}
	}
	return texts[0], texts[1], texts[2], meanings, nil
}

var (
	aside   = regexp.MustCompile(`\([^()]*\)|\[[^\[\]]*\]|"`)
	useless = regexp.MustCompile(`variant of|abbr\. for|surname|^see |^CL:|^also |^used |classifier for|pr\. `)
	leading = regexp.MustCompile(`^(to be |to |an? |the )`)
)

// meaning returns the first meaning that is a few plain words.
func meaning(meanings []string) string {
	for _, m := range meanings {
		for one := range strings.SplitSeq(aside.ReplaceAllString(m, ""), ";") {
			one = strings.TrimSpace(one)
			if useless.MatchString(one) {
				break
			}
			one = leading.ReplaceAllString(strings.Join(strings.Fields(one), " "), "")
			if len(one) > 1 && len(one) <= 32 && strings.IndexFunc(one, func(r rune) bool { return r > unicode.MaxASCII }) < 0 {
				return one
			}
		}
	}
	return ""
}
