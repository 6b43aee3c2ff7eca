package pipeline

import (
	"errors"
	"fmt"
	"strings"

	"github.com/tidwall/gjson"
)

// Path names a value of a row: a column and, where its value is an object or an
// array, the way into it. In text the steps are joined by dots; a dot that is part
// of a column's name is written \. and the step # means each element of an array.
type Path struct {
	Column string // as the source calls it, compared byte for byte
	Rest   string // a path of gjson within the column's value; empty for the value itself
}

// String returns the path as it is written in the file.
func (p Path) String() string {
	column := strings.ReplaceAll(p.Column, ".", `\.`)
	if p.Rest == "" {
		return column
	}
	return column + "." + p.Rest
}

// ParsePath reads a path. Of gjson's syntax only steps and # are taken: modifiers,
// wildcards and queries would make a path a program, and its cost unknown.
func ParsePath(text string) (Path, error) {
	column, rest, err := cutColumn(text)
	if err != nil {
		return Path{}, err
	}
	if strings.HasPrefix(rest, ".") || strings.HasSuffix(rest, ".") {
		return Path{}, fmt.Errorf("path %q has an empty step", text)
	}
	return Path{Column: column, Rest: rest}, checkSteps(rest)
}

func cutColumn(text string) (column, rest string, err error) {
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '\\' && i+1 < len(text) && text[i+1] == '.':
			i++
			b.WriteByte('.')
		case c == '.':
			if b.Len() == 0 || i+1 == len(text) {
				return "", "", fmt.Errorf("path %q has an empty step", text)
			}
			return b.String(), text[i+1:], nil
		case c < ' ':
			return "", "", fmt.Errorf("path %q has a control character", text)
		default:
			b.WriteByte(c)
		}
	}
	if b.Len() == 0 {
		return "", "", errors.New("a path is empty")
	}
	return b.String(), "", nil
}

func checkSteps(rest string) error {
	if rest == "" {
		return nil
	}
	for step := range strings.SplitSeq(rest, ".") {
		switch {
		case step == "":
			return fmt.Errorf("path step of %q is empty", rest)
		case step == "#":
		case strings.ContainsAny(step, "*?|#@!{}[]()\\\"<>=%~^"):
			return fmt.Errorf("path step %q: only names, numbers and # are allowed behind the column", step)
		}
	}
	return nil
}

// Row is a row's columns in any order, their values as plain JSON: decimals as
// numbers, times in RFC 3339. A column that the source left out is not listed,
// which is not the same as null.
type Row []Column

// Column is one column of a Row.
type Column struct {
	Name  string
	Value gjson.Result
}

// ParseRow returns the row of a JSON object of columns, as Document.inputs has it.
func ParseRow(object []byte) Row {
	var row Row
	gjson.ParseBytes(object).ForEach(func(name, value gjson.Result) bool {
		row = append(row, Column{Name: name.Str, Value: value})
		return true
	})
	return row
}

// Get returns the value of a path. Its Exists is false where the column, or a step
// on the way, is not there.
func (r Row) Get(p Path) gjson.Result {
	for i := range r {
		if r[i].Name != p.Column {
			continue
		}
		if p.Rest == "" {
			return r[i].Value
		}
		if r[i].Value.Type != gjson.JSON { // gjson would look into a string too
			return gjson.Result{}
		}
		return r[i].Value.Get(p.Rest)
	}
	return gjson.Result{}
}
