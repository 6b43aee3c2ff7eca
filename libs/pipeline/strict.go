package pipeline

import (
	"fmt"
	"reflect"
	"strings"

	"github.com/agext/levenshtein"
	"github.com/goccy/go-yaml/ast"
)

var fileType = reflect.TypeFor[File]()

// checker gathers the faults of one file.
type checker struct {
	faults []fault
	lines  map[string]int // by the dotted path of a key or an element
	// mistyped: a value is of another kind than its key wants, so that the file cannot be read.
	mistyped bool
}

func (c *checker) add(line int, format string, args ...any) {
	c.faults = append(c.faults, fault{line: line, text: fmt.Sprintf(format, args...)})
}

// at reports a fault of the value at a path such as pipelines[0].id.from.
func (c *checker) at(path, format string, args ...any) {
	line, known := 0, false
	for p := path; p != "" && !known; p = p[:max(strings.LastIndexAny(p, ".["), 0)] {
		line, known = c.lines[p]
	}
	c.add(line, path+": "+format, args...)
}

// walk compares the keys of node with the fields of t, and notes where each key
// stands. goccy's own strict mode would stop at the first unknown key.
func (c *checker) walk(node ast.Node, t reflect.Type, path string) {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	c.checkKind(node, t, path)
	switch n := node.(type) {
	case *ast.AnchorNode, *ast.AliasNode:
		c.add(n.GetToken().Position.Line, "%s: anchors and aliases are not supported", path)
	case *ast.MappingNode:
		if t.Kind() == reflect.Struct {
			c.walkKeys(n.Values, t, path)
		}
	case *ast.MappingValueNode:
		if t.Kind() == reflect.Struct {
			c.walkKeys([]*ast.MappingValueNode{n}, t, path)
		}
	case *ast.SequenceNode:
		if t.Kind() != reflect.Slice {
			return
		}
		for i, element := range n.Values {
			p := fmt.Sprintf("%s[%d]", path, i)
			c.lines[p] = element.GetToken().Position.Line
			c.walk(element, t.Elem(), p)
		}
	}
}

func (c *checker) walkKeys(values []*ast.MappingValueNode, t reflect.Type, path string) {
	for _, v := range values {
		key := v.Key.GetToken().Value
		line := v.Key.GetToken().Position.Line
		p := strings.TrimPrefix(path+"."+key, ".")
		field, known := fieldOf(t, key)
		if !known {
			c.add(line, "%s: unknown key%s", p, suggest(key, keysOf(t)))
			continue
		}
		c.lines[p] = line
		c.walk(v.Value, field, p)
	}
}

func fieldOf(t reflect.Type, key string) (reflect.Type, bool) {
	for field := range t.Fields() {
		if field.Tag.Get("yaml") == key {
			return field.Type, true
		}
	}
	return nil, false
}

func keysOf(t reflect.Type) (keys []string) {
	for field := range t.Fields() {
		keys = append(keys, field.Tag.Get("yaml"))
	}
	return keys
}

// suggest names the word that was probably meant.
func suggest(word string, known []string) string {
	if nearest := Nearest(word, known); nearest != "" {
		return ", did you mean " + nearest + "?"
	}
	return ""
}

// Nearest returns the known word that was probably meant, whatever its case, or "".
func Nearest(word string, known []string) string {
	best, nearest := "", 3
	for _, name := range known {
		if d := levenshtein.Distance(strings.ToLower(word), strings.ToLower(name), nil); d < nearest && d < len(name) {
			best, nearest = name, d
		}
	}
	return best
}
