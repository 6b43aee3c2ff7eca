package tests

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"
)

// definition is the CustomResourceDefinition of a kind that has no light Go type.
type definition struct {
	folder func(t testing.TB) string
	file   string
}

// keda returns the folder of the definitions in KEDA's Go module.
func keda(t testing.TB) string {
	t.Helper()
	module, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", "github.com/kedacore/keda/v2").Output()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(strings.TrimSpace(string(module)), "config/crd/bases")
}

// installed returns the folder of the definitions that the project installs. Where it cannot, the test is skipped, but not in CI.
func installed(t testing.TB) string {
	t.Helper()
	folder, err := exec.CommandContext(t.Context(), root+"/scripts/install-definitions.sh").Output()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		err = fmt.Errorf("%w: %s", err, exit.Stderr)
	}
	switch {
	case err == nil:
	case os.Getenv("CI") == "true":
		t.Fatal(err)
	default:
		t.Skipf("SKIPPED, NOT TESTED: %v", err)
	}
	return strings.TrimSpace(string(folder))
}

// check holds an object against its definition, but for the rules in CEL, and its metadata against Kubernetes' type.
func (d definition) check(t testing.TB, o object) error {
	t.Helper()
	var custom struct {
		metav1.PartialObjectMetadata `json:",inline"`

		Spec any `json:"spec"`
	}
	return errors.Join(strictly(o.text, &custom), d.schema(t, o.APIVersion).Validate(content(t, o.text)))
}

// schema returns that of a version that is served, closed: a field that it does not name is refused, as kubectl does.
func (d definition) schema(t testing.TB, apiVersion string) *jsonschema.Schema {
	t.Helper()
	spec := read[values](t, filepath.Join(d.folder(t), d.file))["spec"].(values)
	for _, v := range spec["versions"].([]any) {
		version := v.(values)
		if version["served"] == true && spec["group"].(string)+"/"+version["name"].(string) == apiVersion {
			return compile(t, d.file, closed(version["schema"].(values)["openAPIV3Schema"]))
		}
	}
	t.Fatalf("%s does not serve %s", d.file, apiVersion)
	return nil
}

func compile(t testing.TB, name string, schema any) *jsonschema.Schema {
	t.Helper()
	text, err := yaml.Marshal(schema)
	if err != nil {
		t.Fatal(err)
	}
	converted, err := yaml.YAMLToJSON(text)
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource(name, content(t, converted)); err != nil {
		t.Fatal(err)
	}
	compiled, err := compiler.Compile(name)
	if err != nil {
		t.Fatal(err)
	}
	return compiled
}

// content returns JSON as the schemas' validator wants it.
func content(t testing.TB, text []byte) any {
	t.Helper()
	decoded, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return decoded
}

// closed returns a schema of OpenAPI in which an object has only the properties that are named.
func closed(schema any) any {
	switch s := schema.(type) {
	case []any:
		for i := range s {
			s[i] = closed(s[i])
		}
	case values:
		for _, name := range slices.Collect(maps.Keys(s)) {
			s[name] = closed(s[name])
		}
		_, open := s["additionalProperties"]
		if _, isObject := s["properties"].(values); isObject && s["type"] == "object" && !open && s["x-kubernetes-preserve-unknown-fields"] != true {
			s["additionalProperties"] = false
		}
	}
	return schema
}

func TestExamples_mistakesAreFound(t *testing.T) {
	for name, c := range map[string]struct{ file, right, wrong, says string }{
		"a field that is misspelt":      {"strimzi/users.yaml", "patternType:", "paternType:", "'paternType' not allowed"},
		"an operation that Kafka lacks": {"strimzi/users.yaml", "- Read\n", "- Reed\n", "operations/1': value must be one of 'Read'"},
		"a resource without its type":   {"strimzi/users.yaml", "        type: topic\n", "", "missing property 'type'"},
		"a number as text":              {"strimzi/topics.yaml", "partitions: 24", "partitions: '24'", "got string, want integer"},
		"metadata that is misspelt":     {"strimzi/topics.yaml", "labels:", "label:", `unknown field "metadata.label"`},
		"a listener's field":            {"strimzi/kafka.yaml", "tls: true", "tsl: true", "'tsl' not allowed"},
		"a pool's field":                {"strimzi/kafka.yaml", "roles:", "role:", "'role' not allowed"},
		"a version that is gone":        {"strimzi/kafka.yaml", "strimzi.io/v1\n", "strimzi.io/v1beta2\n", "nothing here knows"},
		"a kind that nobody defines":    {"argo-cd/application.yaml", "kind: Application", "kind: Apps", "nothing here knows"},
		"a field of an Application":     {"argo-cd/application.yaml", "selfHeal:", "selfHeel:", "'selfHeel' not allowed"},
		"an Application nowhere":        {"argo-cd/application.yaml", "  destination:", "  destinations:", "missing property 'destination'"},
	} {
		t.Run(name, func(t *testing.T) {
			text, err := os.ReadFile(chart + "/examples/" + c.file)
			if err != nil {
				t.Fatal(err)
			}
			var found []error
			for _, o := range objects(t, bytes.Replace(text, []byte(c.right), []byte(c.wrong), 1)) {
				_, err := decode(t, o)
				found = append(found, err)
			}
			if err := errors.Join(found...); err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("found is %v, not %q", err, c.says)
			}
		})
	}
}
