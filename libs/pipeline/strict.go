package pipeline

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/agext/levenshtein"
	"github.com/goccy/go-yaml/ast"
)

var fileType = reflect.TypeFor[File]()

type checker struct {
	faults  []fault
	lines   map[string]int // by the dotted path of a key or an element
	unknown []string       // the paths of what has an unknown key
	// mistyped: a value is of another kind than its key wants, so that the file cannot be read.
	mistyped bool
}

func (c *checker) add(line int, format string, args ...any) {
	c.faults = append(c.faults, fault{line: line, text: fmt.Sprintf(format, args...)})
}

// at reports a fault of the value at a path such as pipelines[0].id.from, unless an unknown key may be what is missing there.
func (c *checker) at(path, format string, args ...any) {
	if c.follows(path) {
		return
	}
	line, known := 0, false
	for p := path; p != "" && !known; p = p[:max(strings.LastIndexAny(p, ".["), 0)] {
		line, known = c.lines[p]
	}
	c.add(line, path+": "+format, args...)
}

// follows reports whether the file has no such key, and an unknown one beside where it should be.
func (c *checker) follows(path string) bool {
	return slices.ContainsFunc(c.unknown, func(parent string) bool {
		rest, within := strings.CutPrefix("."+path, strings.TrimSuffix("."+parent, ".")+".")
		key, _, _ := strings.Cut(rest, ".")
		key, _, _ = strings.Cut(key, "[")
		_, there := c.lines[strings.TrimPrefix(parent+"."+key, ".")]
		return within && !there
	})
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
			c.unknown = append(c.unknown, path)
			c.add(line, "%s: unknown key%s", p, cmp.Or(nested(key, t), suggest(key, keysOf(t))))
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

// nested says how a key within another one is written: decimal.scale is none.
func nested(key string, t reflect.Type) string {
	outer, inner, _ := strings.Cut(key, ".")
	of, known := fieldOf(t, outer)
	if known && of.Kind() == reflect.Pointer {
		of = of.Elem()
	}
	if !known || of.Kind() != reflect.Struct || !slices.Contains(keysOf(of), inner) {
		return ""
	}
	return ", write " + outer + ": {" + inner + ": …}"
}

// meant are words of others for what has another name here.
var meant = map[string]string{
	"integer": "int", "long": "int", "bigint": "int", "float": "number", "double": "number", "decimal": "number", "numeric": "number",
	"string": "text", "varchar": "text", "bool": "boolean", "datetime": "date", "timestamp": "date",
	"equals": "eq", "filter": "when", "where": "when",
}

func suggest(word string, known []string) string {
	if nearest := cmp.Or(meant[strings.ToLower(word)], Nearest(word, known)); slices.Contains(known, nearest) {
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
