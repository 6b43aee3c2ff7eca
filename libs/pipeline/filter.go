package pipeline

import (
	"errors"
	"fmt"
	"html"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/tidwall/gjson"
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
// only looks like a tag, as in "a < b", stays.
func stripHTML(s string) string {
	if !strings.ContainsAny(s, "<&") {
		return s
	}
	var b strings.Builder
	for s != "" {
		text, after, found := strings.Cut(s, "<")
		b.WriteString(text)
		if !found {
			break
		}
		if strings.IndexByte(after, '>') < 0 { // nothing that follows can be a tag
			b.WriteString("<" + after)
			break
		}
		rest, isTag := skipTag(after)
		if !isTag {
			b.WriteByte('<')
			s = after
			continue
		}
		b.WriteByte(' ') // <p>a</p><p>b</p> is two words
		s = rest
	}
	return strings.Join(strings.Fields(html.UnescapeString(b.String())), " ")
}

// skipTag returns what follows the tag or comment that s, behind its <, begins with.
func skipTag(s string) (rest string, isTag bool) {
	if comment, found := strings.CutPrefix(s, "!--"); found {
		if _, rest, found = strings.Cut(comment, "-->"); found {
			return rest, true
		}
		return "", true
	}
	name := strings.TrimPrefix(s, "/")
	if name == "" || !isLetter(name[0]) && s[0] != '!' && s[0] != '?' {
		return s, false
	}
	end := tagEnd(s)
	if end < 0 {
		return s, false
	}
	for _, raw := range []string{"script", "style"} {
		if hasTagName(s, raw) {
			return skipRaw(s[end+1:], raw), true
		}
	}
	return s[end+1:], true
}

func isLetter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }

func hasTagName(s, name string) bool {
	return len(s) > len(name) && strings.EqualFold(s[:len(name)], name) && !isLetter(s[len(name)])
}

// tagEnd returns where the tag's > stands outside of quotes, or the first one where
// a quote is never closed, or -1.
func tagEnd(s string) int {
	var quote byte
	for i := range len(s) {
		switch c := s[i]; {
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '"' || c == '\'':
			quote = c
		case c == '>':
			return i
		}
	}
	return strings.IndexByte(s, '>')
}

// skipRaw drops the content of an element whose content is no text.
func skipRaw(s, name string) string {
	for {
		_, after, found := strings.Cut(s, "</")
		if !found {
			return ""
		}
		if hasTagName(after, name) {
			_, rest, _ := strings.Cut(after, ">")
			return rest
		}
		s = after
	}
}
