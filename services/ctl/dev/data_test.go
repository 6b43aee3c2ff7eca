package dev

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/freshet-io/freshet/libs/fake/local"
	"github.com/freshet-io/freshet/libs/fake/local/localtest"
	"github.com/freshet-io/freshet/libs/kafka"
	"github.com/freshet-io/freshet/libs/pipeline"
	"github.com/freshet-io/freshet/libs/service"
	"github.com/freshet-io/freshet/libs/weaviate"
	"github.com/freshet-io/freshet/services/ctl/rig"
)

func TestOptions_eachPipelineFileHasADefaultFolderOfItsOwn(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", "/cache")
	t.Chdir(t.TempDir())
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	folder := func(pipeline string) string {
		data, err := Options{Pipeline: pipeline}.defaultData()
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	if got := folder(""); got != "/cache/freshet/dev" {
		t.Errorf("the catalogue is in %s", got)
	}
	a, b := folder("a.yaml"), folder("b.yaml")
	if a == b || a == folder("") || b == folder("") || filepath.Dir(a) != "/cache/freshet" {
		t.Errorf("the files are in %s and %s, the catalogue in %s", a, b, folder(""))
	}
	if again := folder(filepath.Join(here, "a.yaml")); again != a {
		t.Errorf("a file is in %s by its name, and in %s by its whole path", a, again)
	}
}

func TestRunning_findsEachThatRunsWithADefaultFolder(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	if running := Running(); len(running) != 0 {
		t.Errorf("without a cache %v runs", running)
	}
	cache, err := local.CacheDir()
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for name, runs := range map[string]bool{"dev": true, "dev-1": true, "dev-2": false, "debezium": true} {
		data := filepath.Join(cache, name)
		if err := os.MkdirAll(data, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(connectionFile(data), []byte("A="+name+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		unlock, err := lock(data)
		if err != nil {
			t.Fatal(err)
		}
		if runs {
			defer unlock()
		} else {
			unlock()
		}
		if runs && name != "debezium" {
			want = append(want, name)
		}
	}
	running := Running()
	if len(running) != len(want) {
		t.Errorf("%v run, want %v", running, want)
	}
	for _, name := range want {
		if got := running[filepath.Join(cache, name)]; !slices.Equal(got, []string{"A=" + name}) {
			t.Errorf("%s has the settings %q", name, got)
		}
	}
}

func TestRun_aSpaceThatNobodyEmbedsIsRefusedBeforeAnythingIsMade(t *testing.T) {
	t.Setenv("FRESHET_OPENAI_URL", "http://127.0.0.1:9/v1") // named, and not asked
	data, file := t.TempDir(), filepath.Join(t.TempDir(), "pipeline.yaml")
	space := "space: {provider: builtin, model: text-embedding-3-large, dimensions: 3072}"
	if err := os.WriteFile(file, rig.PipelineFile(space), 0o600); err != nil {
		t.Fatal(err)
	}
	var said bytes.Buffer
	err := Run(t.Context(), Options{Data: data, Pipeline: file, Events: file, Rate: 1, Out: &said})
	if err == nil || strings.Contains(said.String(), "starting Weaviate") {
		t.Errorf("the error is %v, and it says %s", err, said.String())
	}
	if _, err := os.Stat(filepath.Join(data, "kafka")); err == nil {
		t.Error("there is a Kafka already")
	}
}

func TestStack_whereAFolderDoesNotFitItSaysWhatHelpsInDev(t *testing.T) {
	server := localtest.Weaviate(t, local.WeaviateOptions{})
	cfg := weaviate.Config{URL: "http://" + server.REST, GRPC: server.GRPC, APIKey: service.NewSecret(server.APIKey)}
	open := func(space string) error {
		path := filepath.Join(t.TempDir(), "pipeline.yaml")
		if err := os.WriteFile(path, rig.PipelineFile(space), 0o600); err != nil {
			t.Fatal(err)
		}
		file, err := pipeline.Load(path)
		if err != nil {
			t.Fatal(err)
		}
		index, err := rig.OpenIndex(t.Context(), cfg, file, kafka.Identity{TopicID: strings.Repeat("0", 31) + "1", Partitions: 1, DeadLetters: 1})
		if err != nil {
			return err
		}
		return index.Close()
	}
	if err := open("space: {provider: hash, model: hash, dimensions: 8}"); err != nil {
		t.Fatal(err)
	}
	misfit := open("space: {provider: hash, model: hash, dimensions: 9}")
	inside := &stack{options: Options{Data: "/the/folder"}}
	err := inside.adviseOnData(misfit)
	if err == nil || strings.Contains(err.Error(), "rebuild") || !strings.Contains(err.Error(), "in /the/folder") || !strings.Contains(err.Error(), "give --data another folder, or remove this one") {
		t.Errorf("it says %v", err)
	}
	beside := &stack{options: Options{Data: "/the/folder", Weaviate: "http://weaviate"}}
	if err := beside.adviseOnData(misfit); err == nil || strings.Contains(err.Error(), "--data") {
		t.Errorf("of a Weaviate that is not in the folder it says %v", err)
	}
}
