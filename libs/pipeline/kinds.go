package pipeline

import (
	"cmp"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
)

// checkKind tells where a node is no value of type t. goccy would stop at the first, name the types of Go and no path.
func (c *checker) checkKind(node ast.Node, t reflect.Type, path string) {
	var fits bool
	switch kind, is := t.Kind(), node.Type(); {
	case is == ast.NullType || is == ast.AnchorType || is == ast.AliasType || is == ast.TagType || kind == reflect.Interface:
		fits = true // is read as nothing, refused anyway, or may be anything
	case kind == reflect.Struct:
		fits = isMapping(node)
	case kind == reflect.Slice:
		fits = is == ast.SequenceType
	default:
		fits = yaml.NodeToValue(node, reflect.New(t).Interface()) == nil
	}
	if fits {
		return
	}
	c.mistyped = true
	is := cmp.Or(kinds[node.Type()], "a mapping")
	if right := rewritten(node, t); right != "" {
		c.at(cmp.Or(path, "the file"), "is %s, write %s", is, right)
		return
	}
	c.at(cmp.Or(path, "the file"), "is %s where %s is expected", is, wanted(t))
}

var kinds = map[ast.NodeType]string{
	ast.StringType: "a text", ast.LiteralType: "a text", ast.IntegerType: "a number", ast.FloatType: "a number", ast.InfinityType: "a number",
	ast.NanType: "a number", ast.BoolType: "true or false", ast.SequenceType: "a list",
}

func isMapping(node ast.Node) bool {
	return node.Type() == ast.MappingType || node.Type() == ast.MappingValueType
}

func wanted(t reflect.Type) string {
	switch t.Kind() { //nolint:exhaustive // a file has no others
	case reflect.Int:
		return "a whole number"
	case reflect.Float64:
		return "a number"
	case reflect.Bool:
		return "true or false"
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Struct {
			return "a list of " + wanted(t.Elem())
		}
		return "a list"
	case reflect.Struct:
		keys := required[t.Name()]
		switch all := keysOf(t); {
		case keys == nil:
			keys = all
		case len(keys) < len(all):
			keys = append(slices.Clip(keys), "…")
		}
		return "{" + strings.Join(keys, ", ") + "}"
	}
	return "a text"
}

// only are the keys that somebody means who gives their value alone, by type.
var only = map[string]string{"ID": "from", "Tenant": "from", "Text": "template", "Decimal": "scale", "Redis": "stream", "Index": "type", "Quantization": "type"}

var booleans = map[string]string{"yes": "true", "on": "true", "no": "false", "off": "false"}

// rewritten returns how a value must be written that is right but for its form, where that is one short line; else "".
func rewritten(node ast.Node, t reflect.Type) string {
	text, list := node.String(), node.Type() == ast.SequenceType
	if t.Kind() == reflect.Bool {
		return booleans[strings.ToLower(text)]
	}
	if strings.Contains(text, "\n") || len(text) > 80 || isMapping(node) && !strings.HasPrefix(text, "{") {
		return ""
	}
	if node.Type() == ast.StringType && strings.ContainsAny(text, "{}[]:#") && !strings.ContainsAny(text[:1], `"'`) {
		text = strconv.Quote(text)
	}
	if t.Kind() == reflect.Slice && isMapping(node) == (t.Elem().Kind() == reflect.Struct) {
		return "[" + text + "]"
	}
	key, is := only[t.Name()]
	if !is || isMapping(node) {
		return ""
	}
	switch field, _ := fieldOf(t, key); {
	case list && field.Kind() != reflect.Slice:
		return ""
	case !list && field.Kind() == reflect.Slice:
		text = "[" + text + "]"
	}
	return "{" + key + ": " + text + "}"
}
