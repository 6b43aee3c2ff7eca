package providers

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/freshet-io/freshet/libs/fault"
	"github.com/freshet-io/freshet/libs/pipeline"
	"github.com/freshet-io/freshet/libs/service"
	"github.com/freshet-io/freshet/libs/telemetry"
)

// serve answers with the same vector each time, under the key that is right.
func serve(t *testing.T, key string, vector []float32) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer "+key {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"model": "bge-m3", "data": []any{map[string]any{"index": 0, "embedding": vector}}})
	}))
	t.Cleanup(s.Close)
	return s.URL
}

func open(t *testing.T, environ ...string) (Provider, error) {
	t.Helper()
	var cfg struct {
		OpenAI OpenAI `envconfig:"OPENAI"`
	}
	if err := service.Load(environ, &cfg); err != nil {
		return nil, err
	}
	return Open(pipeline.Space{Provider: "openai", Model: "bge-m3", Dimensions: 3}, cfg.OpenAI, slog.New(slog.DiscardHandler))
}

func TestStartRefusesABackupOfAnotherSpaceOverTheSettings(t *testing.T) {
	first := serve(t, "k1", []float32{1, 2, 3})
	tel, err := telemetry.New(t.Context(), telemetry.Config{Exporter: "none"}, "test", "test")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tel.Close(t.Context()) }()
	for name, tt := range map[string]struct {
		vector []float32
		says   string
	}{
		"the same space":    {[]float32{1, 2, 3.1}, ""},
		"another dimension": {[]float32{1, 2}, "2 dimensions, not 3"},
		"another space":     {[]float32{3, 1, 2}, "cosine"},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := open(t, "FRESHET_OPENAI_URL="+first, "FRESHET_OPENAI_KEY=wrong,k1",
				"FRESHET_OPENAI_BACKUP_URL="+serve(t, "k2", tt.vector), "FRESHET_OPENAI_BACKUP_KEY=k2")
			if err != nil {
				t.Fatal(err)
			}
			err = Start(t.Context(), p, tel.Metrics)
			if tt.says == "" && err != nil || tt.says != "" && (fault.ClassOf(err) != fault.Fatal || !strings.Contains(err.Error(), tt.says)) {
				t.Errorf("error is %v, and should say %q", err, tt.says)
			}
		})
	}
}

func TestBackupWithoutAURLIsAWrongSetting(t *testing.T) {
	for _, setting := range []string{"FRESHET_OPENAI_BACKUP_KEY=k", "FRESHET_OPENAI_BACKUP_MODEL=m"} {
		if _, err := open(t, setting); err == nil || !strings.Contains(err.Error(), "FRESHET_OPENAI_BACKUP_URL") {
			t.Errorf("%s: %v", setting, err)
		}
	}
}
