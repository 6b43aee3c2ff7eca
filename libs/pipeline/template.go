package pipeline

import (
	"errors"
	"fmt"
	"strings"

	"github.com/tidwall/gjson"
)

// Template renders a row as text. It is a small language on purpose: no loops, no
// calls, no access but to the row, all of it checked before the first row.
type Template struct {
	parts []part
}

// part is a literal, or a path whose value goes through filters.
type part struct {
	literal string
	path    *Path
	filters []filter
}

// ParseTemplate compiles a template: text with {{path | function argument | …}}
// in it. Functions are join SEPARATOR, strip_html, truncate RUNES, lower, default
// TEXT, and json [PATH], which reads a column that holds JSON as a string. Texts
// are written in double quotes. All faults are reported at once, by line.
func ParseTemplate(source string) (*Template, error) {
	t := &Template{}
	var faults []error
	line := 1
	for rest := source; rest != ""; {
		literal, after, found := strings.Cut(rest, "{{")
		if literal != "" {
			t.parts = append(t.parts, part{literal: literal})
		}
		line += strings.Count(literal, "\n")
		if !found {
			break
		}
		end := closing(after)
		if end < 0 {
			faults = append(faults, fmt.Errorf("template line %d: {{ is not closed by }}", line))
			break
		}
		p, err := parseExpression(after[:end])
		if err != nil {
			faults = append(faults, fmt.Errorf("template line %d: %w", line, err))
		}
		t.parts = append(t.parts, p)
		line += strings.Count(after[:end], "\n")
		rest = after[end+len("}}"):]
	}
	if len(faults) == 0 && len(t.Columns()) == 0 {
		faults = append(faults, errors.New("template reads no field: every item would have the same text"))
	}
	return t, errors.Join(faults...)
}

// closing returns where }} stands in s outside of quotes, or -1 where it does not, or {{ comes before it.
func closing(s string) int {
	quoted := false
	for i := 0; i < len(s); i++ {
		switch {
		case quoted && s[i] == '\\':
			i++
		case s[i] == '"':
			quoted = !quoted
		case !quoted && strings.HasPrefix(s[i:], "}}"):
			return i
		case !quoted && strings.HasPrefix(s[i:], "{{"):
			return -1
		}
	}
	return -1
}

func parseExpression(text string) (part, error) {
	steps, err := splitPipe(text)
	if err != nil {
		return part{}, err
	}
	path, err := ParsePath(strings.TrimSpace(steps[0]))
	if err != nil {
		return part{}, err
	}
	p := part{path: &path}
	for _, step := range steps[1:] {
		f, err := parseFilter(step)
		if err != nil {
			return part{}, err
		}
		p.filters = append(p.filters, f)
	}
	return p, nil
}

// splitPipe splits at | outside of quotes.
func splitPipe(text string) ([]string, error) {
	var steps []string
	quoted, start := false, 0
	for i := 0; i < len(text); i++ {
		switch {
		case quoted && text[i] == '\\':
			i++
		case text[i] == '"':
			quoted = !quoted
		case !quoted && text[i] == '|':
			steps = append(steps, text[start:i])
			start = i + 1
		}
	}
	if quoted {
		return nil, fmt.Errorf("a quote is not closed in %q", text)
	}
	return append(steps, text[start:]), nil
}

// Columns returns the columns that the template reads, perhaps more than once.
func (t *Template) Columns() []string {
	var columns []string
	for _, p := range t.parts {
		if p.path != nil {
			columns = append(columns, p.path.Column)
		}
	}
	return columns
}

// Render returns the text of a row, without white space around it. An absent or
// null field is empty; a number keeps the digits of its source.
func (t *Template) Render(row Row) string {
	var b strings.Builder
	for i := range t.parts {
		p := &t.parts[i]
		if p.path == nil {
			b.WriteString(p.literal)
			continue
		}
		v := operand{json: row.Get(*p.path)}
		for _, f := range p.filters {
			v = f(v)
		}
		b.WriteString(v.String())
	}
	return strings.TrimSpace(b.String())
}

// operand is a value between two filters: JSON, until a filter makes text of it.
type operand struct {
	json   gjson.Result
	text   string
	isText bool
}

func textOperand(s string) operand { return operand{text: s, isText: true} }

func (o operand) String() string {
	if o.isText {
		return o.text
	}
	return TextOf(o.json)
}

// TextOf returns a JSON value as text: a string's characters, a number's digits as
// the source wrote them, nothing for null, and JSON for objects and arrays.
func TextOf(v gjson.Result) string {
	switch v.Type {
	case gjson.Null:
		return ""
	case gjson.String:
		return v.Str
	case gjson.Number, gjson.True, gjson.False, gjson.JSON: // Result.String would print numbers as floats
	}
	return v.Raw
}
