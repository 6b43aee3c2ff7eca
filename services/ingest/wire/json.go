package wire

import (
	"github.com/tidwall/gjson"

	"github.com/freshet-io/freshet/libs/values"
)

// typesOf returns what a JSON Schema says of columns, as Connect's converter for it writes schemas: their names are
// titles, and what may be null is one of two. Such schemas have no references; where one has, its columns have no types.
func typesOf(text string) *values.Schema {
	root := present(gjson.Parse(text))
	types := columnsOf(root)
	if types == nil {
		return nil
	}
	for _, image := range []string{"before", "after"} {
		if types.Row == nil {
			types.Row = columnsOf(present(root.Get("properties." + image)))
		}
	}
	return types
}

func columnsOf(object gjson.Result) *values.Schema {
	properties := object.Get("properties")
	if !properties.IsObject() {
		return nil
	}
	types := &values.Schema{Name: object.Get("title").String(), Columns: map[string]values.Type{}}
	properties.ForEach(func(name, of gjson.Result) bool {
		of = present(of)
		t := scalar(of)
		if of.Get("type").Str == "array" { // no more: a list of lists has no column's type
			items := scalar(present(of.Get("items")))
			t = values.Type{Kind: values.Plain, Items: &items}
		}
		types.Columns[name.Str] = t
		return true
	})
	return types
}

func scalar(s gjson.Result) values.Type {
	if t, known := values.Named(s.Get("title").Str, int(s.Get(`connect\.parameters.scale`).Int())); known {
		return t
	}
	switch {
	case s.Get("type").Str != "string":
		return values.Type{Kind: values.Plain}
	case s.Get(`connect\.type`).Str == "bytes":
		return values.Type{Kind: values.Bytes}
	}
	return values.Type{Kind: values.Text}
}

// present returns what a value is where it is not null.
func present(s gjson.Result) gjson.Result {
	found := s
	s.Get("oneOf").ForEach(func(_, branch gjson.Result) bool {
		if branch.Get("type").Str != "null" {
			found = branch
		}
		return true
	})
	return found
}
