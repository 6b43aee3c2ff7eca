package record

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"google.golang.org/protobuf/reflect/protoreflect"
)

func formatPage(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile("FORMAT.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// section returns the text between a heading and the next one.
func section(t *testing.T, page, heading string) string {
	t.Helper()
	at := regexp.MustCompile(`(?m)^#+ ` + regexp.QuoteMeta(heading) + `$`).FindStringIndex(page)
	if at == nil {
		t.Errorf("FORMAT.md has no section %q", heading)
		return ""
	}
	text := page[at[1]:]
	if next := regexp.MustCompile(`(?m)^#+ `).FindStringIndex(text); next != nil {
		text = text[:next[0]]
	}
	return text
}

// rows counts the lines of a section that are rows of fields or values.
func rows(text string) int {
	return len(regexp.MustCompile(`(?m)^\| \w+ \| \d+ \|`).FindAllString(text, -1))
}

func typeOf(f protoreflect.FieldDescriptor) string {
	name := f.Kind().String()
	switch f.Kind() { //nolint:exhaustive // the others are scalars
	case protoreflect.MessageKind:
		name = string(f.Message().Name())
	case protoreflect.EnumKind:
		name = string(f.Enum().Name())
	}
	if f.IsList() {
		return "repeated " + name
	}
	return name
}

func TestFormatHasEveryField(t *testing.T) {
	page, messages := formatPage(t), File_record_proto.Messages()
	for i := range messages.Len() {
		m := messages.Get(i)
		text := section(t, page, string(m.Name()))
		for j := range m.Fields().Len() {
			f := m.Fields().Get(j)
			if want := fmt.Sprintf("| %s | %d | %s | 0.", f.Name(), f.Number(), typeOf(f)); !strings.Contains(text, want) {
				t.Errorf("section %s lacks %q", m.Name(), want)
			}
		}
		if n := rows(text); n != m.Fields().Len() {
			t.Errorf("section %s has %d fields, the record %d", m.Name(), n, m.Fields().Len())
		}
	}
}

func TestFormatHasEveryValueOfAnEnum(t *testing.T) {
	page, enums := formatPage(t), File_record_proto.Enums()
	for i := range enums.Len() {
		e := enums.Get(i)
		text := section(t, page, string(e.Name()))
		for j := range e.Values().Len() {
			v := e.Values().Get(j)
			if want := fmt.Sprintf("| %s | %d | 0.", v.Name(), v.Number()); !strings.Contains(text, want) {
				t.Errorf("section %s lacks %q", e.Name(), want)
			}
		}
		if n := rows(text); n != e.Values().Len() {
			t.Errorf("section %s has %d values, the enum %d", e.Name(), n, e.Values().Len())
		}
	}
}

func TestFormatShowsACostEntryAsItIsWritten(t *testing.T) {
	text := section(t, formatPage(t), "Cost")
	shown := regexp.MustCompile("(?s)```json\n(.*?)\n```").FindStringSubmatch(text)[1]
	cost, err := DecodeCost([]byte(shown))
	if err != nil {
		t.Fatal(err)
	}
	written, err := cost.Encode()
	if err != nil || string(written) != shown || cost.Key() != "2026-11-30T14/Product/products/"+cost.Replica {
		t.Errorf("under %s it is written as\n%s, %v", cost.Key(), written, err)
	}
}

func TestFormatHasEveryReason(t *testing.T) {
	text := section(t, formatPage(t), "Reasons")
	listed := regexp.MustCompile("(?m)^\\| `").FindAllString(text, -1)
	reasons := constants(t, filepath.Join("..", "fault", "fault.go"), "Reason")
	for _, reason := range reasons {
		if !strings.Contains(text, "| `"+reason+"` |") {
			t.Errorf("section Reasons lacks %s", reason)
		}
	}
	if len(reasons) == 0 || len(listed) != len(reasons) {
		t.Errorf("section Reasons has %d rows, libs/fault %d reasons", len(listed), len(reasons))
	}
}

func TestFormatHasEveryHeader(t *testing.T) {
	page := formatPage(t)
	for _, name := range []string{HeaderSchema, HeaderContentType, HeaderStamps, HeaderVersion, HeaderForce} {
		if !strings.Contains(section(t, page, "Headers"), "`"+name+"`") {
			t.Errorf("section Headers lacks %s", name)
		}
	}
}

// constants returns the string constants of a type in a Go file.
func constants(t *testing.T, path, of string) []string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var values []string
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || len(spec.Values) != 1 {
			return true
		}
		name, typed := spec.Type.(*ast.Ident)
		value, literal := spec.Values[0].(*ast.BasicLit)
		if typed && literal && name.Name == of {
			text, err := strconv.Unquote(value.Value)
			if err != nil {
				t.Fatal(err)
			}
			values = append(values, text)
		}
		return true
	})
	return values
}
