package service

import (
	"fmt"
	"reflect"
	"strings"
	"text/tabwriter"
)

// Table returns settings as lines for a terminal.
func Table(settings []Setting) string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for _, s := range settings {
		fmt.Fprintf(w, "  %s\t%s\t%s\n", s.Name, s.standing(), s.meaning())
	}
	_ = w.Flush() // a strings.Builder takes everything
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
