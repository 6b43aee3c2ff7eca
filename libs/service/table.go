package service

import (
	"fmt"
	"reflect"
	"strings"
)

// terminal is how many cells a line for a terminal has.
const terminal = 80

// Table returns settings for a terminal: each with its default, and below that what it is for.
func Table(settings []Setting) string {
	var b strings.Builder
	for _, s := range settings {
		between := "  "
		if len(between+s.Name+between+s.standing()) > terminal { // as one that is taken over from another variable
			between = "\n      "
		}
		b.WriteString("  " + s.Name + between + s.standing() + "\n")
		line := "     "
		for word := range strings.FieldsSeq(s.meaning()) {
			if len(line)+1+len(word) > terminal {
				b.WriteString(line + "\n")
				line = "     "
			}
			line += " " + word
		}
		b.WriteString(line + "\n")
	}
	return b.String()
}

// Markdown returns settings as a table for the documentation.
func Markdown(settings []Setting) string {
	var b strings.Builder
	b.WriteString("| variable | default | meaning |\n|---|---|---|\n")
	for _, s := range settings {
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", s.Name, s.standing(), s.meaning())
	}
	return b.String()
}

// standing says what holds where the variable is not set.
func (s Setting) standing() string {
	switch {
	case s.fallback != "":
		return "as `" + s.fallback + "`"
	case s.Required:
		return "required"
	case s.Default == "" && s.value.Kind() == reflect.Bool:
		return "`false`"
	case s.Default == "":
		return "–"
	default:
		return "`" + s.Default + "`"
	}
}

func (s Setting) meaning() string {
	if s.Secret {
		return s.Desc + "; or `" + s.Name + "_FILE`, a file that is read again when it changes"
	}
	return s.Desc
}
