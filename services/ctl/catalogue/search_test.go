package catalogue

import (
	"slices"
	"strings"
	"testing"
	"unicode"
)

var stopWords = strings.Fields(`a an the and or but of for to in on at by with without from into onto over under up down out off as is are was be
 been being it its this that these those my your our their his her i you we they me them who which what where when while so than then
 not no do does did have has had can could will would should may if all any some most more one two three very also even like between
 after before about each other during through until again there here just only too own same both either`)

func TestSearchSet_isLargeEnoughAndNamesKindsOfItsLanguage(t *testing.T) {
	languages := map[string]Language{}
	for _, p := range Products() {
		languages[p.Kind] = p.Language
	}
	count := map[Language]int{}
	seen := map[string]bool{}
	for _, q := range SearchSet() {
		count[q.Language]++
		if languages[q.Kind] != q.Language {
			t.Errorf("%q (%s) looks for kind %q, which is %q", q.Text, q.Language, q.Kind, languages[q.Kind])
		}
		if seen[q.Text] {
			t.Errorf("query %q is there twice", q.Text)
		}
		seen[q.Text] = true
	}
	if count[English] < 36 || count[Chinese] < 12 {
		t.Errorf("the set has %d English and %d Chinese queries, want at least 36 and 12", count[English], count[Chinese])
	}
}

func TestSearchSet_sharesNoContentWordWithItsTarget(t *testing.T) {
	texts := map[string][]string{}
	for _, p := range Products() {
		texts[p.Kind] = append(texts[p.Kind], p.Text())
	}
	for _, q := range SearchSet() {
		wanted := contentWords(q.Text)
		if len(wanted) == 0 {
			t.Errorf("query %q has no content word", q.Text)
		}
		have := contentWords(strings.Join(texts[q.Kind], "\n"))
		for word := range wanted {
			if have[word] {
				t.Errorf("query %q shares %q with products of kind %s", q.Text, word, q.Kind)
			}
		}
	}
}

func TestContentWords_foldsInflectionsAndSkipsStopWords(t *testing.T) {
	for text, want := range map[string]string{
		"Dishes, dish":                  "dish",
		"the boxes of a Box":            "box",
		"running to run, runs":          "run",
		"chopping and chopped herbs":    "chop herb",
		"baking, bake, bakes, baked":    "bak",
		"batteries of a battery":        "batteri",
		"glass glasses":                 "glas",
		"用电热水壶 or kettle":               "kettl 水壶 热水 用电 电热",
		"Chef's knife; knives, 24 cm/h": "24 chef cm h knif",
	} {
		var words []string
		for word := range contentWords(text) {
			words = append(words, word)
		}
		slices.Sort(words)
		if got := strings.Join(words, " "); got != want {
			t.Errorf("contentWords(%q) = %q, want %q", text, got, want)
		}
	}
}

func TestQueryHit_looksAtTheFirstFiveOnly(t *testing.T) {
	q := Query{Kind: "tents"}
	for name, c := range map[string]struct {
		kinds []string
		want  bool
	}{
		"no results":     {nil, false},
		"first":          {[]string{"tents"}, true},
		"fifth":          {[]string{"a", "b", "c", "d", "tents"}, true},
		"in Chinese":     {[]string{"a", "zh-tents"}, true},
		"sixth":          {[]string{"a", "b", "c", "d", "e", "tents"}, false},
		"another answer": {[]string{"sofas", "jeans"}, false},
	} {
		if got := q.Hit(c.kinds); got != c.want {
			t.Errorf("%s: Hit(%v) = %v", name, c.kinds, got)
		}
	}
}

// contentWords returns the stems of the words that are no stop words, and every
// pair of neighbouring Han characters.
func contentWords(text string) map[string]bool {
	words := map[string]bool{}
	text = strings.ReplaceAll(strings.ToLower(text), "'s", "")
	for _, word := range strings.FieldsFunc(text, func(r rune) bool {
		return unicode.Is(unicode.Han, r) || !unicode.IsLetter(r) && !unicode.IsDigit(r)
	}) {
		if !slices.Contains(stopWords, word) {
			words[stem(word)] = true
		}
	}
	var previous rune
	for _, r := range text {
		if !unicode.Is(unicode.Han, r) {
			r = 0
		}
		if previous != 0 && r != 0 {
			words[string([]rune{previous, r})] = true
		}
		previous = r
	}
	return words
}

// stem cuts the common endings of English words. It rather folds too much than
// too little: a false match only asks for another word in a query.
func stem(word string) string {
	for _, ending := range []string{"ing", "es", "ed", "s", "er"} {
		if rest, ok := strings.CutSuffix(word, ending); ok && len(rest) >= 3 {
			word = rest
			break
		}
	}
	word = strings.TrimSuffix(word, "e")
	if n := len(word); n > 3 && word[n-1] == word[n-2] {
		word = word[:n-1]
	}
	if rest, ok := strings.CutSuffix(word, "y"); ok && len(rest) >= 3 {
		word = rest + "i"
	}
	if rest, ok := strings.CutSuffix(word, "v"); ok && len(rest) >= 3 {
		word = rest + "f"
	}
	return word
}
