package main

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestLoad_aFaultOfThePipelineFileIsToldWithTheOthers(t *testing.T) {
	file := filepath.Join(t.TempDir(), "pipeline.yaml")
	if err := os.WriteFile(file, []byte("apiVersion: freshet/v0\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("FRESHET_PIPELINE", file)
	t.Setenv("FRESHET_KAFKA_BROKERS", "nowhere:1")
	t.Setenv("FRESHET_KAFKA_METADATA_MIN_AGE", "soon")
	err := load(new(layoutConfig), io.Discard)
	if err == nil {
		t.Fatal("the settings are taken")
	}
	for _, fault := range []string{
		`FRESHET_KAFKA_METADATA_MIN_AGE: "soon" is no duration`,
		`pipeline.yaml": line 1: apiVersion: "freshet/v0" is not freshet/v1`,
	} {
		if !strings.Contains(err.Error(), fault) {
			t.Errorf("no %s in\n%v", fault, err)
		}
	}
}
