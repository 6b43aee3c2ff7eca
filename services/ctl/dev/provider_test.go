package dev

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/freshet-io/freshet/services/ctl/rig"
)

func TestOpenPipeline_asksNobodyWhomNobodyHasNamed(t *testing.T) {
	const ofOpenAI, server = "space: {provider: openai, model: m, dimensions: 8}", "http://127.0.0.1:9/v1"
	const backup = "http://127.0.0.1:7/v1" // in the environment
	for name, tt := range map[string]struct {
		space, provider, env string
		said, err            string
	}{
		"openai, and nobody is named":       {space: ofOpenAI, err: "nothing says which server"},
		"openai, and another one is chosen": {space: ofOpenAI, provider: "builtin", env: server, err: "--provider is builtin"},
		"builtin, and a server is chosen":   {space: rig.BuiltinSpace, provider: server, err: "--provider is " + server},
		"openai by its name":                {space: ofOpenAI, provider: "openai", said: "by https://api.openai.com/v1, model m"},
		"openai by a URL":                   {space: ofOpenAI, provider: server, env: "http://127.0.0.1:8/v1", said: "by " + server},
		"openai by the environment":         {space: ofOpenAI, env: server, said: "by " + server + " and, while that is away, by " + backup},
		"builtin, and nobody is named":      {space: rig.BuiltinSpace, env: server, said: "on this machine, by the provider builtin"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("FRESHET_OPENAI_URL", tt.env)
			t.Setenv("FRESHET_OPENAI_BACKUP_URL", backup)
			t.Setenv("FRESHET_OPENAI_KEY", "a-key-for-something-else")
			if tt.env == "" {
				os.Unsetenv("FRESHET_OPENAI_URL") //nolint:errcheck,gosec // Setenv above puts back what was there
			}
			path := filepath.Join(t.TempDir(), "pipeline.yaml")
			if err := os.WriteFile(path, rig.PipelineFile(tt.space), 0o600); err != nil {
				t.Fatal(err)
			}
			var said bytes.Buffer
			s := &stack{options: Options{Pipeline: path, Events: "-", Provider: tt.provider, Out: &said}}
			err := s.openPipeline(t.Context())
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) || !strings.Contains(err.Error(), path) {
					t.Fatalf("the error is %v; want one of %s that says %q", err, path, tt.err)
				}
				return
			}
			if err != nil || !strings.Contains(said.String(), tt.said) {
				t.Fatalf("it says %q, %v; want %q", said.String(), err, tt.said)
			}
			if cleared := slices.Contains(s.environ, "FRESHET_OPENAI_BACKUP_URL="); cleared != (tt.provider != "") || cleared && strings.Contains(said.String(), backup) {
				t.Errorf("the backup of another server: it says %q, and the settings are %q", said.String(), s.environ)
			}
			// The commands beside must ask the same server.
			if told := slices.ContainsFunc(s.environ, func(kv string) bool { return strings.HasPrefix(kv, "FRESHET_OPENAI_URL=") }); told != (tt.space == ofOpenAI) {
				t.Errorf("the settings are %q", s.environ)
			}
		})
	}
}
