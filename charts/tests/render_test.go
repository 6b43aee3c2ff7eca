package tests

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	yamlreader "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"
)

const (
	root  = "../.."
	chart = "../freshet"
	full  = chart + "/ci/full-values.yaml"
)

// values are those of a chart, or a part of them.
type values = map[string]any

// object is one of Kubernetes' objects.
type object struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Metadata   struct {
		Name string `json:"name"`
	} `json:"metadata"`

	text []byte
}

func (o object) String() string { return o.Kind + "/" + o.Metadata.Name }

// helm returns what the pinned helm prints. Values are files' names, or values; later ones go over earlier ones.
func helm(t testing.TB, command []string, over ...any) ([]byte, error) {
	t.Helper()
	binary := filepath.Join(root, "bin/tools/helm")
	if set := os.Getenv("HELM"); set != "" {
		binary = set
	}
	for _, v := range over {
		file, isFile := v.(string)
		if !isFile {
			file = filepath.Join(t.TempDir(), "values.yaml")
			text, err := yaml.Marshal(v)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, text, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		command = append(command, "--values", file)
	}
	output, err := exec.CommandContext(t.Context(), binary, command...).Output()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return nil, fmt.Errorf("helm %s: %s", command[0], exit.Stderr)
	}
	if err != nil {
		t.Fatalf("%v: `make test-charts` builds helm", err)
	}
	return output, nil
}

// template returns what the chart renders, as one text.
func template(t testing.TB, folder string, over ...any) ([]byte, error) {
	t.Helper()
	return helm(t, []string{"template", "freshet", folder, "--namespace", "search"}, over...)
}

// render returns the chart's objects.
func render(t testing.TB, folder string, over ...any) []object {
	t.Helper()
	output, err := template(t, folder, over...)
	if err != nil {
		t.Fatal(err)
	}
	return objects(t, output)
}

// objects returns those of a text with several documents. Each must be YAML without a key that stands twice.
func objects(t testing.TB, text []byte) []object {
	t.Helper()
	var list []object
	reader := yamlreader.NewYAMLReader(bufio.NewReader(bytes.NewReader(text)))
	for {
		document, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return list
		}
		if err != nil {
			t.Fatal(err)
		}
		converted, err := yaml.YAMLToJSONStrict(document)
		if err != nil {
			t.Fatalf("%v in\n%s", err, document)
		}
		if bytes.Equal(converted, []byte("null")) {
			continue
		}
		o := object{text: converted}
		if err := yaml.Unmarshal(document, &o); err != nil {
			t.Fatalf("%v in\n%s", err, document)
		}
		list = append(list, o)
	}
}

// find returns the object of that kind and name as T.
func find[T any](t testing.TB, list []object, kind, name string) T {
	t.Helper()
	var found T
	at := slices.IndexFunc(list, func(o object) bool { return o.Kind == kind && o.Metadata.Name == name })
	if at < 0 {
		t.Fatalf("nothing renders %s/%s, only %v", kind, name, list)
	}
	if err := yaml.Unmarshal(list[at].text, &found); err != nil {
		t.Fatal(err)
	}
	return found
}

func read[T any](t testing.TB, file string) T {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var content T
	if err := yaml.Unmarshal(text, &content); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	return content
}

// at returns values with one that stands at path, a.b.c, where no name has a dot.
func at(path string, value any) values {
	names := strings.Split(path, ".")
	for _, name := range slices.Backward(names) {
		value = values{name: value}
	}
	return value.(values)
}
