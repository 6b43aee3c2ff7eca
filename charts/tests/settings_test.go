package tests

import (
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
)

var services = []string{"ingest", "embed", "write"}

// Set by values that more than the container must know.
var ofTheChart = map[string]string{
	"FRESHET_ADMIN_ADDRESS": "adminPort", "FRESHET_PIPELINE": "pipeline.key", "FRESHET_TOPIC_PREFIX": "topics.prefix",
}

// settings reads the names of each service's settings from docs/configuration.md, which is written from its structs. Of a
// secret it is that of the file.
func settings(t testing.TB) map[string][]string {
	t.Helper()
	page, err := os.ReadFile(root + "/docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	tables := map[string][]string{}
	row := regexp.MustCompile("(?m)^\\| `(FRESHET_[A-Z_]+)` .*")
	for _, section := range strings.Split(string(page), "\n## freshet-")[1:] {
		service, _, _ := strings.Cut(section, "\n")
		for _, match := range row.FindAllStringSubmatch(section, -1) {
			name := match[1]
			if strings.Contains(match[0], "`"+name+"_FILE`") {
				name += "_FILE"
			}
			tables[service] = append(tables[service], name)
		}
	}
	if !slices.Equal(slices.Sorted(maps.Keys(tables)), slices.Sorted(slices.Values(services))) {
		t.Fatalf("docs/configuration.md has tables of %v", tables)
	}
	return tables
}

func TestSettings_theChartKnowsThoseOfTheServices(t *testing.T) {
	known, expected := read[map[string][]string](t, chart+"/settings.yaml"), settings(t)
	for _, service := range services {
		if !slices.Equal(known[service], expected[service]) {
			t.Errorf("settings.yaml is not current for %s: run make generate", service)
		}
	}
}

// Over values that set nearly all of them in some other way.
func TestSettings_eachCanBeSet(t *testing.T) {
	for service, names := range settings(t) {
		own, groups := values{}, values{}
		for _, name := range names {
			switch {
			case ofTheChart[name] != "":
			case strings.HasSuffix(name, "_GROUP") && name != "FRESHET_REDIS_GROUP":
				groups[name] = "set"
			default:
				own[name] = "set"
			}
		}
		over := values{service: values{"env": own}, "defaults": values{"env": groups}, "adminPort": 9191, "pipeline": values{"key": "set"}, "topics": values{"prefix": "set"}}
		env := environment(t, render(t, chart, full, over), service)
		for _, name := range names {
			if got := env[name]; len(got) != 1 || got[0] != "set" && got[0] != ":9191" && got[0] != "/etc/freshet/pipeline/set" {
				t.Errorf("%s of %s is set to %q", name, service, got)
			}
			if other := strings.TrimSuffix(name, "_FILE"); other != name && len(env[other]) > 0 {
				t.Errorf("%s of %s is set, and %s too", name, service, other)
			}
		}
	}
}

func TestSettings_whatTheChartSetsIsKnown(t *testing.T) {
	tables := settings(t)
	for _, file := range valuesFiles(t) {
		list := render(t, chart, file)
		for service, names := range tables {
			if !slices.ContainsFunc(list, func(o object) bool { return o.String() == "Deployment/freshet-"+service }) {
				continue
			}
			for name, set := range environment(t, list, service) {
				if strings.HasPrefix(name, "FRESHET_") && !slices.Contains(names, name) {
					t.Errorf("%s sets %s, which is no setting of %s", file, name, service)
				}
				if len(set) != 1 {
					t.Errorf("%s sets %s of %s %d times", file, name, service, len(set))
				}
			}
		}
	}
}

// What the chart says of itself is what a service does where nothing is said, but where a cluster wants something else.
func TestSettings_theChartsDefaultsAreThoseOfTheServices(t *testing.T) {
	page, err := os.ReadFile(root + "/docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	defaults := map[string]string{}
	for _, row := range regexp.MustCompile("(?m)^\\| `(FRESHET_[A-Z_]+)` \\| `([^`]*)` \\|").FindAllStringSubmatch(string(page), -1) {
		defaults[row[1]] = row[2]
	}
	others := map[string]string{
		"FRESHET_WEAVIATE_URL": "http://weaviate:80", "FRESHET_WEAVIATE_GRPC": "weaviate:50051", // those of the sample
		"FRESHET_TRACES_EXPORTER": "otlp", "FRESHET_OPENAI_REPLICAS": "2",
	}
	list := render(t, chart, chart+"/ci/minimal-values.yaml", at("traces.endpoint", "http://collector:4317"))
	compared := 0
	for _, service := range services {
		for name, set := range environment(t, list, service) {
			expected, ok := defaults[name]
			if !ok {
				continue
			}
			compared++
			if other := others[name]; other != "" {
				expected = other
			}
			if set[0] != expected {
				t.Errorf("%s of %s is %s, where the service itself takes %s", name, service, set[0], expected)
			}
		}
		drain, err := time.ParseDuration(defaults["FRESHET_DRAIN"])
		if err != nil {
			t.Fatal(err)
		}
		grace := find[appsv1.Deployment](t, list, "Deployment", "freshet-"+service).Spec.Template.Spec.TerminationGracePeriodSeconds
		if time.Duration(*grace)*time.Second <= drain {
			t.Errorf("%s is killed after %d s, while it may drain for %v", service, *grace, drain)
		}
	}
	if compared < 15 {
		t.Errorf("only %d settings are compared", compared)
	}
}

// environment returns the variables of a service's container; each may stand there more than once.
func environment(t testing.TB, list []object, service string) map[string][]string {
	t.Helper()
	env := map[string][]string{}
	for _, variable := range container(t, list, service).Env {
		env[variable.Name] = append(env[variable.Name], variable.Value)
	}
	return env
}

func container(t testing.TB, list []object, service string) corev1.Container {
	t.Helper()
	return find[appsv1.Deployment](t, list, "Deployment", "freshet-"+service).Spec.Template.Spec.Containers[0]
}
