package tests

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// skaffold is the part of skaffold.yaml that names what is in this repository.
type skaffold struct {
	Build struct {
		Artifacts []struct {
			Image, Context string
			Ko             struct {
				Dir            string
				Flags, Ldflags []string
				Dependencies   struct{ Paths []string }
			}
		}
	}
	Deploy deployment
	Verify []struct {
		ExecutionMode struct {
			KubernetesCluster struct{ JobManifestPath string }
		}
	}
	Profiles []struct {
		Deploy  deployment
		Patches []struct{ Value any }
	}
}

type deployment struct{ Helm struct{ Releases []release } }

type release struct {
	ChartPath         string
	ValuesFiles       []string
	SetValueTemplates map[string]string
}

// releases returns those of all profiles.
func (s skaffold) releases(t testing.TB) []release {
	t.Helper()
	list := s.Deploy.Helm.Releases
	for _, profile := range s.Profiles {
		list = append(list, profile.Deploy.Helm.Releases...)
		for _, patch := range profile.Patches {
			if text, err := yaml.Marshal(patch.Value); err == nil && strings.Contains(string(text), "chartPath") {
				var added release
				if err := yaml.Unmarshal(text, &added); err != nil {
					t.Fatal(err)
				}
				list = append(list, added)
			}
		}
	}
	return list
}

func TestSkaffold_isValid(t *testing.T) {
	file := root + "/../shared/samples/skaffold/config-skaffold-v4beta14.json"
	schema, err := os.ReadFile(file)
	switch {
	case err != nil && os.Getenv("CI") == "true":
		t.Fatal(err)
	case err != nil:
		t.Skipf("Skaffold's schema is not beside the repository, so skaffold.yaml is not held against it: %v", err)
	}
	text, err := os.ReadFile(root + "/skaffold.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if text, err = yaml.YAMLToJSONStrict(text); err != nil {
		t.Fatal(err)
	}
	if err := compile(t, "skaffold.json", content(t, schema)).Validate(content(t, text)); err != nil {
		t.Error(err)
	}
}

func TestSkaffold_namesWhatIsThere(t *testing.T) {
	s := read[skaffold](t, root+"/skaffold.yaml")
	var paths []string
	for _, artifact := range s.Build.Artifacts {
		paths = append(paths, artifact.Context, artifact.Ko.Dir)
		paths = append(paths, artifact.Ko.Dependencies.Paths...)
	}
	for _, test := range s.Verify {
		paths = append(paths, test.ExecutionMode.KubernetesCluster.JobManifestPath)
	}
	releases := s.releases(t)
	for _, release := range releases {
		paths = append(append(paths, release.ChartPath), release.ValuesFiles...)
	}
	if len(releases) != 3 || !slices.Contains(paths, "charts/freshet-dev") {
		t.Errorf("releases: %+v", releases)
	}
	for _, path := range paths {
		if _, err := os.Stat(filepath.Join(root, path)); err != nil && path != "{{.VALUES}}" {
			t.Error(err)
		}
	}
	text, err := os.ReadFile(root + "/charts/freshet-dev/selftest-job.yaml")
	if err != nil {
		t.Fatal(err)
	}
	validate(t, objects(t, text))
}

// What `make images` and `make release` build is what skaffold.yaml builds.
func TestSkaffold_buildsWhatMakeImagesBuilds(t *testing.T) {
	type build struct {
		Dir            string
		Flags, Ldflags []string
	}
	images := read[struct{ Builds []build }](t, root+"/scripts/images/.ko.yaml").Builds
	artifacts := read[skaffold](t, root+"/skaffold.yaml").Build.Artifacts
	if len(images) != len(artifacts) {
		t.Errorf("%d images and %d artifacts", len(images), len(artifacts))
	}
	for _, artifact := range artifacts {
		if !slices.ContainsFunc(images, func(b build) bool {
			version := strings.ReplaceAll(strings.Join(b.Ldflags, " "), "{{.Env.VERSION}}", `{{default "dev" .VERSION}}`)
			return b.Dir == artifact.Ko.Dir && slices.Equal(b.Flags, artifact.Ko.Flags) && version == strings.Join(artifact.Ko.Ldflags, " ")
		}) {
			t.Errorf("no image is built as %+v", artifact.Ko)
		}
	}
}

// The command line is the one that ko makes of an artifact, so that CI builds what skaffold.yaml builds.
func TestSkaffold_itsArtifactsBuild(t *testing.T) {
	for _, artifact := range read[skaffold](t, root+"/skaffold.yaml").Build.Artifacts {
		flags := strings.ReplaceAll(strings.Join(artifact.Ko.Ldflags, " "), `{{default "dev" .VERSION}}`, "v7")
		binary := filepath.Join(t.TempDir(), artifact.Image)
		build := exec.CommandContext(t.Context(), "go", slices.Concat([]string{"build", "-o", binary, "-ldflags", flags}, artifact.Ko.Flags, []string{"./" + artifact.Ko.Dir})...)
		build.Dir = filepath.Join(root, artifact.Context)
		build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOWORK=")
		if output, err := build.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", build, err, output)
		}
		version, err := exec.CommandContext(t.Context(), binary, "--version").Output()
		if err != nil || !strings.Contains(string(version), "v7") {
			t.Errorf("%s calls itself %s, %v", artifact.Image, version, err)
		}
	}
}

// The images hold what `make build` builds: the same programs, with the same version in the same place.
func TestSkaffold_buildsWhatMakeBuilds(t *testing.T) {
	s := read[skaffold](t, root+"/skaffold.yaml")
	output, err := exec.CommandContext(t.Context(), "make", "--no-print-directory", "-n", "-C", root, "build", "VERSION=v7").Output()
	if err != nil {
		t.Fatal(err)
	}
	commands := string(output)
	modules := glob(t, root+"/services/*/go.mod")
	if len(s.Build.Artifacts) != len(modules) {
		t.Errorf("%d images of %d programs", len(s.Build.Artifacts), len(modules))
	}
	for _, artifact := range s.Build.Artifacts {
		version := strings.ReplaceAll(artifact.Ko.Ldflags[len(artifact.Ko.Ldflags)-1], `{{default "dev" .VERSION}}`, "v7")
		if !strings.Contains(commands, "-ldflags '"+version+"'") {
			t.Errorf("%s is linked with %s; make build runs\n%s", artifact.Image, version, commands)
		}
		if !slices.Contains(artifact.Ko.Flags, "-trimpath") || !strings.Contains(commands, "-trimpath") {
			t.Errorf("%s is built with %v; make build runs\n%s", artifact.Image, artifact.Ko.Flags, commands)
		}
		if !slices.Contains(modules, filepath.Join(root, artifact.Ko.Dir, "go.mod")) {
			t.Errorf("%s is built in %s, which is no service", artifact.Image, artifact.Ko.Dir)
		}
	}
	for _, release := range s.releases(t) {
		if release.ChartPath != "charts/freshet" {
			continue
		}
		for name, ref := range release.SetValueTemplates {
			if text, err := template(t, chart, devValues, at(name, "registry.example.org/image@sha256:0")); err != nil || !strings.Contains(string(text), "registry.example.org/image@sha256:0") {
				t.Errorf("%s: %s changes no image: %v", name, ref, err)
			}
		}
	}
}
