package pipeline

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/tidwall/gjson"
	"golang.org/x/net/html"
)

// filter is one function of a template with its arguments.
type filter func(operand) operand

var filters = map[string]func(argument string, given bool) (filter, error){
	"join": func(separator string, given bool) (filter, error) {
		if !given {
			return nil, errors.New(`join needs a separator: join ", "`)
		}
		return func(v operand) operand { return joinElements(v, separator) }, nil
	},
	"strip_html": plain(stripHTML),
	"lower":      plain(strings.ToLower),
	"truncate": func(argument string, _ bool) (filter, error) {
		n, err := strconv.Atoi(argument)
		if err != nil || n < 1 {
			return nil, errors.New("truncate needs a number of characters above 0")
		}
		return func(v operand) operand { return textOperand(truncate(v.String(), n)) }, nil
	},
	"default": func(text string, given bool) (filter, error) {
		if !given {
			return nil, errors.New(`default needs a text: default "none"`)
		}
		return func(v operand) operand {
			if strings.TrimSpace(v.String()) == "" {
				return textOperand(text)
			}
			return v
		}, nil
	},
	"json": func(path string, given bool) (filter, error) {
		if !given {
			return func(v operand) operand { return operand{json: ParseJSON(v.json)} }, nil
		}
		if err := checkSteps(path); err != nil {
			return nil, err
		}
		return func(v operand) operand { return operand{json: ParseJSON(v.json).Get(path)} }, nil
	},
}

// plain makes a filter without argument of a function of texts.
func plain(apply func(string) string) func(string, bool) (filter, error) {
	return func(_ string, given bool) (filter, error) {
		if given {
			return nil, errors.New("takes no argument")
		}
		return func(v operand) operand { return textOperand(apply(v.String())) }, nil
	}
}

func parseFilter(step string) (filter, error) {
	name, argument, _ := strings.Cut(strings.TrimSpace(step), " ")
	argument = strings.TrimSpace(argument)
	compile, known := filters[name]
	if !known {
		names := strings.Join(slices.Sorted(maps.Keys(filters)), ", ")
		return nil, fmt.Errorf("function %q is not one of %s", name, names)
	}
	given := argument != ""
	if strings.HasPrefix(argument, `"`) {
		unquoted, err := strconv.Unquote(argument)
		if err != nil {
			return nil, fmt.Errorf("%s: %s is not a text in double quotes", name, argument)
		}
		if !utf8.ValidString(unquoted) { // such as "\xff": no document could hold it
			return nil, fmt.Errorf("%s: %s is not UTF-8", name, argument)
		}
		argument = unquoted
	}
	f, err := compile(argument, given)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return f, nil
}

// ParseJSON returns the JSON that a string value holds, v itself where it is no
// string, and a value that does not exist where the string holds no valid JSON.
func ParseJSON(v gjson.Result) gjson.Result {
	if v.Type != gjson.String {
		return v
	}
	if !shallow(v.Str) || !gjson.Valid(v.Str) {
		return gjson.Result{}
	}
	return gjson.Parse(v.Str)
}

// maxNesting bounds the JSON within strings: gjson descends on the stack.
const maxNesting = 64

func shallow(s string) bool {
	depth, deepest := 0, 0
	for i := range len(s) {
		switch s[i] {
		case '{', '[':
			depth++
			deepest = max(deepest, depth)
		case '}', ']':
			depth--
		}
	}
	return deepest <= maxNesting // brackets within strings count too: refused rather than descended
}

func joinElements(v operand, separator string) operand {
	if v.isText || !v.json.IsArray() {
		return v
	}
	var texts []string
	v.json.ForEach(func(_, element gjson.Result) bool {
		if text := TextOf(element); text != "" {
			texts = append(texts, text)
		}
		return true
	})
	return textOperand(strings.Join(texts, separator))
}

// truncate cuts after n characters, never within one.
func truncate(s string, n int) string {
	if len(s) <= n {
		return s
	}
	end := 0
	for range n {
		if end >= len(s) {
			return s
		}
		_, size := utf8.DecodeRuneInString(s[end:])
		end += size
	}
	return s[:end]
}

// stripHTML removes tags, comments, scripts and styles, and decodes entities. What
// only looks like a tag, as in "a < b", stays, and so does one that never ends.
func stripHTML(s string) string {
	if !strings.ContainsAny(s, "<&") {
		return s
	}
	var b strings.Builder
	tokens := html.NewTokenizer(strings.NewReader(s))
	for code := false; ; {
		kind := tokens.Next()
		switch kind {
		case html.ErrorToken: // the end: a text has no other error
			b.Write(tokens.Raw())
			return strings.Join(strings.Fields(b.String()), " ")
		case html.TextToken:
			if !code {
				b.Write(tokens.Text())
			}
		case html.StartTagToken, html.EndTagToken, html.SelfClosingTagToken, html.CommentToken, html.DoctypeToken:
			b.WriteByte(' ') // <p>a</p><p>b</p> is two words
		}
		name, _ := tokens.TagName()
		code = kind != html.EndTagToken && (string(name) == "script" || string(name) == "style")
		if !code {
			tokens.NextIsNotRawText() // browsers show what is in an iframe or noscript to some, so it has markup
		}
	}
}
