package main_test

import (
	"errors"
	"io/fs"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/freshet-io/freshet/libs/fake/local"
	"github.com/freshet-io/freshet/libs/fake/local/localtest"
	"github.com/freshet-io/freshet/libs/kafka"
	"github.com/freshet-io/freshet/libs/pipeline"
	"github.com/freshet-io/freshet/libs/record"
	"github.com/freshet-io/freshet/libs/service"
	"github.com/freshet-io/freshet/libs/weaviate"
	"github.com/freshet-io/freshet/services/embed/builtin"
)

const root = "../.."

func read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(root, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// The examples of the README, as an application would run them.
func TestExamples_findByMeaningThroughTheAlias(t *testing.T) {
	server := localtest.Weaviate(t, local.WeaviateOptions{})
	model, err := builtin.New()
	if err != nil {
		t.Fatal(err)
	}
	fillProducts(t, server, model)
	embeddings := httptest.NewServer(builtin.Handler(model))
	t.Cleanup(embeddings.Close)
	environ := append(os.Environ(),
		"FRESHET_WEAVIATE_URL=http://"+server.REST, "FRESHET_WEAVIATE_GRPC="+server.GRPC, "FRESHET_WEAVIATE_API_KEY="+server.APIKey,
		"FRESHET_OPENAI_URL="+embeddings.URL+"/v1", "FRESHET_OPENAI_KEY=none", "MODEL="+builtin.Name,
		// Weaviate's Python client asks for its newest version when it connects; a test talks to nobody.
		"HTTPS_PROXY=http://127.0.0.1:1",
	)
	for _, example := range []struct {
		name    string
		command func(*testing.T) []string
	}{
		{"Go", func(*testing.T) []string {
			return []string{"go", "run", filepath.Join(root, "docs/examples/search.go")}
		}},
		{"Python", func(t *testing.T) []string {
			return []string{python(t), filepath.Join(root, "docs/examples/search.py")}
		}},
	} {
		t.Run(example.name, func(t *testing.T) {
			command := append(example.command(t), "sleep outdoors in the mountains")
			cmd := exec.CommandContext(t.Context(), command[0], command[1:]...)
			cmd.Env = environ
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			tent, kettle := strings.Index(string(out), "Tunnel Tent"), strings.Index(string(out), "Kettle")
			if tent < 0 || kettle < 0 || tent > kettle || strings.Contains(string(out), "Expedition") {
				t.Errorf("want the tent below 100 first, and not the one above; got\n%s", out)
			}
		})
	}
}

// python returns a Python that has the clients.
func python(t *testing.T) string {
	t.Helper()
	return localtest.Installed(t, filepath.Join(root, "scripts/install-python-client.sh"))
}

// fillProducts makes the collection of the README's pipeline file, in the built-in space.
func fillProducts(t *testing.T, server *local.Weaviate, model *builtin.Model) {
	t.Helper()
	file, err := pipeline.Load(filepath.Join(root, "docs/examples/pipeline.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	file.Space = pipeline.Space{Provider: "builtin", Model: builtin.Name, Dimensions: builtin.Dimensions}
	index, err := weaviate.Open(t.Context(), weaviate.Config{
		URL: "http://" + server.REST, GRPC: server.GRPC, APIKey: service.NewSecret(server.APIKey),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := index.Close(); err != nil {
			t.Error(err)
		}
	})
	if _, err := index.CreateAll(t.Context(), file, kafka.Identity{TopicID: "00", Partitions: 1}); err != nil {
		t.Fatal(err)
	}
	var objects []weaviate.Object
	for _, p := range []struct {
		id, name string
		price    float64
	}{
		{"1", "Tunnel Tent for two campers, for nights in the mountains", 89},
		{"2", "Expedition Tent for nights outdoors in the mountains", 489},
		{"3", "Electric Kettle for tea and coffee", 35},
	} {
		answer, err := model.Embed(t.Context(), []string{p.name})
		if err != nil {
			t.Fatal(err)
		}
		fingerprint := record.Fingerprint(file.Space.String(), p.name)
		objects = append(objects, weaviate.Object{
			Item: record.Item{Collection: "Product", ID: []string{p.id}},
			State: record.State{
				Base: 1, Wanted: fingerprint, Held: fingerprint, Space: file.Space.String(), Text: p.name,
				Vector: record.AppendVector(nil, answer.Vectors[0]),
				Properties: []*record.Property{
					{Name: "name", Value: &record.Value{Kind: &record.Value_Text{Text: p.name}}},
					{Name: "price", Value: &record.Value{Kind: &record.Value_Number{Number: p.price}}},
				},
			},
		})
	}
	rejected, err := index.Put(t.Context(), "Product", objects)
	if err != nil || len(rejected) > 0 {
		t.Fatal(err, rejected)
	}
}

func TestReadme_namesNoVariableThatNobodyReads(t *testing.T) {
	known := read(t, "docs/configuration.md")
	for _, name := range regexp.MustCompile(`FRESHET_[A-Z_]*[A-Z]`).FindAllString(read(t, "README.md"), -1) {
		base := strings.TrimSuffix(name, "_FILE")
		if !strings.Contains(known, "`"+name) && !strings.Contains(known, "`"+base+"`") && name != "FRESHET_SOURCE_KAFKA" && name != "FRESHET_KAFKA" {
			t.Errorf("%s is no setting of a service or a command", name)
		}
	}
}

func TestDocuments_linkOnlyToWhatIsThere(t *testing.T) {
	documents := []string{"README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md", "UPGRADING.md", "charts/freshet/README.md", "charts/freshet-dev/README.md", "docs/configuration.md", "docs/formats.md", "docs/runbook.md", "docs/tracing.md"}
	pages, err := filepath.Glob(filepath.Join(root, "docs/decisions/*.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, page := range pages {
		name := filepath.Join("docs/decisions", filepath.Base(page))
		documents = append(documents, name)
		if index := read(t, "docs/decisions/README.md"); filepath.Base(page) != "README.md" && !strings.Contains(index, filepath.Base(page)) {
			t.Errorf("%s is not in the index of decisions", name)
		}
	}
	for _, document := range slices.Compact(documents) {
		for _, link := range regexp.MustCompile(`\]\(([^)#:]+)[^):]*\)`).FindAllStringSubmatch(read(t, document), -1) {
			target := filepath.Join(root, filepath.Dir(document), link[1])
			if _, err := os.Stat(target); errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%s links to %s, which is not there", document, link[1])
			}
		}
	}
}

// The files that the tests run are the ones that a reader copies.
func TestReadme_showsTheExamplesAsTheyAre(t *testing.T) {
	for name, document := range map[string]string{
		"docs/examples/search.go": "README.md", "docs/examples/search.py": "README.md", "docs/examples/pipeline.yaml": "README.md",
		"docs/examples/items.yaml": "README.md", "docs/examples/items.sh": "README.md", "docs/examples/redis.yaml": "docs/redis.md",
	} {
		if text := read(t, document); !strings.Contains(text, "<!-- "+name+" -->") || !strings.Contains(text, "\n"+read(t, name)+"```") {
			t.Errorf("%s does not show %s as it is: run make generate", document, name)
		}
	}
}
