package pipeline_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/freshet-io/freshet/libs/pipeline"
	"github.com/freshet-io/freshet/libs/service"
)

// settings are those of a service that reads a pipeline file.
type settings struct {
	Pipeline pipeline.Setting `required:"true" desc:"path of the pipeline file"`
	Lanes    int              `default:"2" desc:"how many"`
	Admin    service.Admin
}

func TestSetting_itsFaultsAreToldWithTheOthersALineEach(t *testing.T) {
	dir := t.TempDir()
	faulty := filepath.Join(dir, "faulty.yaml")
	good, err := os.ReadFile(filepath.Join("testdata", "shop.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	text := strings.ReplaceAll(string(good), "collection:", "colection:")
	if err := os.WriteFile(faulty, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		path, want string
		lines      int // at least
	}{
		"none":   {"", "FRESHET_PIPELINE is not set: path of the pipeline file", 3},
		"absent": {filepath.Join(dir, "absent.yaml"), `absent.yaml": reading the pipeline file: no such file or directory`, 3},
		"faulty": {faulty, "colection: unknown key, did you mean collection?", 4},
	} {
		t.Run(name, func(t *testing.T) {
			var cfg settings
			err := service.Load([]string{"FRESHET_PIPELINE=" + tt.path, "FRESHET_LANES=two", "FRESHET_ADMIN_ADDRESS=99999"}, &cfg)
			if err == nil {
				t.Fatal("no error")
			}
			lines := strings.Split(strings.TrimPrefix(err.Error(), "reading the configuration: "), "\n")
			if len(lines) < tt.lines || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%d lines, want %d with %q in them:\n%v", len(lines), tt.lines, tt.want, err)
			}
			for _, line := range lines {
				if !strings.HasPrefix(line, "FRESHET_PIPELINE") && !strings.HasPrefix(line, "FRESHET_LANES: ") && !strings.HasPrefix(line, "FRESHET_ADMIN_ADDRESS ") {
					t.Errorf("a line does not say what setting it is of: %s", line)
				}
			}
		})
	}
}

func TestSetting_hasTheFile(t *testing.T) {
	path := filepath.Join("testdata", "shop.yaml")
	var cfg settings
	if err := service.Load([]string{"FRESHET_PIPELINE=" + path}, &cfg); err != nil {
		t.Fatal(err)
	}
	if cfg.Pipeline.Path != path || cfg.Pipeline.File == nil || len(cfg.Pipeline.File.Pipelines) == 0 {
		t.Errorf("got %+v", cfg.Pipeline)
	}
}
