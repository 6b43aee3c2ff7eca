package values

import (
	"strings"

	"github.com/tidwall/gjson"
)

// compileMySQL reads declarations such as DECIMAL(10,2) unsigned. Numbers come as texts;
// times are texts of times, and everything else is what it looks like.
func compileMySQL(types gjson.Result) *Schema {
	compiled := &Schema{Columns: map[string]Type{}}
	types.ForEach(func(column, declaration gjson.Result) bool {
		t := Type{Kind: Text}
		if isNumber(declaration.String()) {
			t.Kind = Number
		}
		compiled.Columns[column.Str] = t
		return true
	})
	return compiled
}

func isNumber(declaration string) bool {
	kind, _, _ := strings.Cut(declaration, "(")
	kind, _, _ = strings.Cut(kind, " ")
	switch strings.ToLower(kind) {
	case "bit", "tinyint", "smallint", "mediumint", "int", "integer", "bigint", "serial", "bool", "boolean",
		"float", "double", "real", "decimal", "dec", "numeric", "fixed", "year":
		return true
	}
	return false
}

// normaliseNumber returns a number that comes as a text as a number: with all its digits,
// but without the zeros of ZEROFILL in front. A text that is none stays one.
func normaliseNumber(v gjson.Result) gjson.Result {
	digits, negative := strings.CutPrefix(strings.TrimSpace(v.Str), "-")
	for len(digits) > 1 && digits[0] == '0' && '0' <= digits[1] && digits[1] <= '9' {
		digits = digits[1:]
	}
	if negative {
		digits = "-" + digits
	}
	if digits == "" || !gjson.Valid(digits) || gjson.Parse(digits).Type != gjson.Number {
		return v
	}
	return numberResult(digits)
}
