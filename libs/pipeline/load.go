package pipeline

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// Load reads and checks a pipeline file. Its error lists every fault with its line.
func Load(path string) (*File, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading the pipeline file: %w", err)
	}
	file, err := Parse(content)
	if err != nil {
		return nil, fmt.Errorf("pipeline file %s: %w", path, err)
	}
	return file, nil
}

// Setting is a pipeline file as a setting names it: by its path.
type Setting struct {
	Path string
	File *File // nil where the setting could not be read
}

// Decode implements envconfig.Decoder. It loads the file, so that its faults are told with those of the other settings, a
// line each.
func (s *Setting) Decode(path string) error {
	content, err := os.ReadFile(path)
	if err != nil {
		if e, ok := errors.AsType[*fs.PathError](err); ok {
			err = e.Err // the path is told with the setting
		}
		return fmt.Errorf("reading the pipeline file: %w", err)
	}
	file, err := Parse(content)
	if err != nil {
		return err
	}
	*s = Setting{path, file}
	return nil
}

// Parse reads and checks the text of a pipeline file. Its error lists every fault
// with its line: unknown and repeated keys, wrong types, and what Load's users
// would otherwise meet one restart after the other.
func Parse(content []byte) (*File, error) {
	if !utf8.Valid(content) {
		return nil, errors.New("the file is not UTF-8")
	}
	tree, err := parser.ParseBytes(content, 0)
	if err != nil {
		return nil, errors.New(asFault(err).String())
	}
	body, err := onlyDocument(tree)
	if err != nil {
		return nil, err
	}
	c := &checker{lines: map[string]int{}}
	c.walk(body, fileType, "")
	var file File
	if err := yaml.NodeToValue(body, &file); err != nil && !c.mistyped {
		c.faults = append(c.faults, asFault(err))
	} else if err == nil {
		c.checkFile(&file)
	}
	if err := c.err(); err != nil {
		return nil, err
	}
	return &file, nil
}

func onlyDocument(tree *ast.File) (ast.Node, error) {
	var bodies []ast.Node
	for _, doc := range tree.Docs {
		if doc.Body != nil && doc.Body.Type() != ast.CommentType {
			bodies = append(bodies, doc.Body)
		}
	}
	if len(bodies) != 1 {
		return nil, fmt.Errorf("%d YAML documents where one is expected", len(bodies))
	}
	return bodies[0], nil
}

// fault is one thing that is wrong with a file. A line of 0 is not known.
type fault struct {
	line int
	text string
}

func (f fault) String() string {
	if f.line == 0 {
		return f.text
	}
	return fmt.Sprintf("line %d: %s", f.line, f.text)
}

// asFault takes the line and the first line of text out of goccy's errors, which
// otherwise quote the file over several lines.
func asFault(err error) fault {
	if e, ok := errors.AsType[yaml.Error](err); ok {
		f := fault{text: e.GetMessage()}
		if token := e.GetToken(); token != nil && token.Position != nil {
			f.line = token.Position.Line
		}
		return f
	}
	text, _, _ := strings.Cut(err.Error(), "\n")
	return fault{text: text}
}

func (c *checker) err() error {
	if len(c.faults) == 0 {
		return nil
	}
	slices.SortStableFunc(c.faults, func(a, b fault) int { return cmp.Compare(a.line, b.line) })
	texts := make([]string, len(c.faults))
	for i, f := range c.faults {
		texts[i] = f.String()
	}
	return errors.New(strings.Join(texts, "\n"))
}
