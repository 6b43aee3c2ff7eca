package events_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/freshet-io/freshet/services/ctl/events"
)

func describe(e events.Event) string {
	part := func(b []byte) string {
		if b == nil {
			return "null"
		}
		return string(b)
	}
	r := e.Record
	return fmt.Sprintf("%s:%d %s %s %s", filepath.Base(e.File), e.Line, r.Topic, part(r.Key), part(r.Value))
}

func read(t *testing.T, path, stdin string) (got []string) {
	t.Helper()
	if err := events.Read(path, strings.NewReader(stdin), nil, func(e events.Event) error {
		got = append(got, describe(e))
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return got
}

func TestRead_formsOfALine(t *testing.T) {
	for line, want := range map[string]string{
		`{"id":1}`: `.:1  null {"id":1}`,
		`nonsense`: `.:1  null nonsense`,
		`{"topic":"t","partition":3,"offset":7,"ts":1,"key":"k","payload":"{\"id\":1}"}`: `.:1 t k {"id":1}`,
		`{"topic":"t","partition":3,"offset":7,"key":null,"payload":null}`:               `.:1 t null null`,
		`{"topic":"t","offset":7,"key":{"id":1},"payload":{"id":1}}`:                     `.:1 t {"id":1} {"id":1}`,
		`{"topic":"t","offset":0,"key_base64":"aw==","payload_base64":"AAE="}`:           ".:1 t k \x00\x01",
		`{"topic":"t","offset":7,"key":{"$base64":"aw=="},"value":{"id":1}}`:             `.:1 t k {"id":1}`,
		`{"key":"k","value":{"id":1}}`:                                                   `.:1  k {"id":1}`,
		`{"key":"k","value":null}`:                                                       `.:1  k null`,
		`{"schema":{},"payload":{"id":1}}`:                                               `.:1  null {"schema":{},"payload":{"id":1}}`,
		`{"topic":"a column's name","payload":"x"}`:                                      `.:1  null {"topic":"a column's name","payload":"x"}`,
		`{"key":1,"value":2,"op":"c"}`:                                                   `.:1  null {"key":1,"value":2,"op":"c"}`,
	} {
		if got := read(t, "-", line); !slices.Equal(got, []string{want}) {
			t.Errorf("%s: got %q, want %q", line, got, want)
		}
	}
}

func TestRead_linesAndWholeFiles(t *testing.T) {
	for name, test := range map[string]struct {
		text string
		want []string
	}{
		"lines":                    {"{\"a\":1}\n\n{\"a\":2}", []string{`.:1  null {"a":1}`, `.:3  null {"a":2}`}},
		"one event over lines":     {"{\n \"a\": 1\n}\n", []string{".:1  null {\n \"a\": 1\n}"}},
		"lines after a broken one": {"{\"a\n{\"a\":2}\n", []string{`.:1  null {"a`, `.:2  null {"a":2}`}},
		"nothing":                  {"", nil},
		"blank lines":              {"\n \n", nil},
	} {
		t.Run(name, func(t *testing.T) {
			if got := read(t, "-", test.text); !slices.Equal(got, test.want) {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func TestRead_folders(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"b.json": `{"id":1}`, "b.key.json": `{"k":1}`, "c.key.json": `{"k":2}`, "a.ndjson": "{\"id\":8}\n{\"id\":9}\n",
		".hidden": "no", ".git/x.json": "no", "README.md": "# What these are\n", "deeper/z.json": "{\n\"id\":2}",
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want := []string{
		`a.ndjson:1  null {"id":8}`, `a.ndjson:2  null {"id":9}`, `b.json:1  {"k":1} {"id":1}`, `c.key.json:1  {"k":2} null`,
		"z.json:1  null {\n\"id\":2}",
	}
	if got := read(t, dir, ""); !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	var passed []string
	tell := func(file string) { passed = append(passed, filepath.Base(file)) }
	if err := events.Read(dir, nil, tell, func(events.Event) error { return nil }); err != nil || !slices.Equal(passed, []string{"README.md"}) {
		t.Errorf("told that %q are passed over, %v", passed, err)
	}
	if got := read(t, filepath.Join(dir, "README.md"), ""); len(got) != 1 {
		t.Errorf("a file that was asked for: %q", got)
	}
	if got := read(t, filepath.Join(dir, ".hidden"), ""); len(got) != 1 {
		t.Errorf("a hidden file that was asked for: %q", got)
	}
	if err := events.Read(filepath.Join(dir, "none"), nil, nil, nil); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file that is not there: %v", err)
	}
	stop := errors.New("stop")
	if err := events.Read(dir, nil, nil, func(events.Event) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("the error of emit: %v", err)
	}
}
