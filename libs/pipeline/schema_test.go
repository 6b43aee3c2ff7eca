package pipeline_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"github.com/freshet-io/freshet/libs/pipeline"
)

// node is the part of JSON Schema that the schema uses.
type node struct {
	Type       string
	Enum       []string
	Items      *node
	Properties map[string]*node
	Required   []string
	Additional *bool `json:"additionalProperties"`
}

// check returns what of v does not fit.
func (n *node) check(v any, at string) (wrong []string) {
	switch value := v.(type) {
	case map[string]any:
		if n.Type != "object" || n.Additional == nil || *n.Additional {
			wrong = append(wrong, at+" is an object")
		}
		for key, of := range value {
			if property := n.Properties[key]; property != nil {
				wrong = append(wrong, property.check(of, at+"."+key)...)
			} else {
				wrong = append(wrong, at+"."+key+" is not known")
			}
		}
		for _, key := range n.Required {
			if _, there := value[key]; !there {
				wrong = append(wrong, at+"."+key+" is missing")
			}
		}
	case []any:
		for i, of := range value {
			if n.Type == "" {
				break
			}
			wrong = append(wrong, n.Items.check(of, fmt.Sprintf("%s[%d]", at, i))...)
		}
	default:
		kind := map[string]string{"string": "string", "bool": "boolean", "float64": "number", "uint64": "integer", "int64": "integer"}[fmt.Sprintf("%T", v)]
		if n.Type != "" && n.Type != kind || n.Enum != nil && !slices.Contains(n.Enum, fmt.Sprint(v)) {
			wrong = append(wrong, fmt.Sprintf("%s is %v", at, v))
		}
	}
	return wrong
}

func TestJSONSchema_takesWhatLoadTakes(t *testing.T) {
	text, err := pipeline.JSONSchema()
	if err != nil {
		t.Fatal(err)
	}
	var schema node
	if err := json.Unmarshal(text, &schema); err != nil {
		t.Fatal(err)
	}
	load := func(content []byte) any {
		var v any
		if err := yaml.Unmarshal(content, &v); err != nil {
			t.Fatal(err)
		}
		return v
	}
	names, err := filepath.Glob("../../docs/examples/*.yaml")
	if err != nil || len(names) == 0 {
		t.Fatalf("no examples: %v", err)
	}
	for _, name := range append(names, "testdata/shop.yaml", "../../services/ctl/catalogue/pipeline.yaml") {
		content, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(string(content), "collections:") { // a section, of a file with tenants
			content = slices.Concat([]byte(strings.Replace(minimal, "  id:", "  tenant: {from: shop}\n  id:", 1)), content)
		}
		if _, err := pipeline.Parse(content); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if wrong := schema.check(load(content), ""); len(wrong) > 0 {
			t.Errorf("%s: %v", name, wrong)
		}
	}
	wrong := schema.check(load([]byte("{apiVersion: 1, pipelines: [{name: a, source: {topics: [t], format: row}, colection: X}]}")), "")
	slices.Sort(wrong)
	want := []string{
		".apiVersion is 1", ".pipelines[0].colection is not known", ".pipelines[0].collection is missing", ".pipelines[0].id is missing",
		".pipelines[0].source.format is row", ".pipelines[0].text is missing", ".space is missing",
	}
	if !slices.Equal(wrong, want) {
		t.Errorf("got %q, want %q", wrong, want)
	}
}
