package e2e_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/freshet-io/freshet/libs/fake/local"
	"github.com/freshet-io/freshet/libs/fake/local/localtest"
)

// prometheus is a running Prometheus, on loopback only, whose data is temporary.
type prometheus struct{ *local.Server }

// startPrometheus starts a server that ends with the test, scrapes the targets each second, and looks at them by the rules.
func startPrometheus(t *testing.T, targets []string, rules string) prometheus {
	t.Helper()
	path, err := local.PrometheusPackage.Path("usr", "bin", "prometheus")
	// JSON is YAML.
	config, errConfig := json.Marshal(map[string]any{
		"global":     map[string]any{"scrape_interval": "1s", "evaluation_interval": "1s"},
		"rule_files": []string{"rules.yml"},
		"scrape_configs": []any{map[string]any{
			"job_name": "freshet", "static_configs": []any{map[string]any{"targets": targets}},
		}},
	})
	return prometheus{localtest.Server(t, errors.Join(err, errConfig), local.Description{
		Name: "prometheus", Ports: 1,
		Command: func(_ context.Context, s *local.Server) (*exec.Cmd, error) {
			file := filepath.Join(s.Data, "prometheus.yml")
			args := []string{path, "--config.file=" + file, "--storage.tsdb.path=" + filepath.Join(s.Data, "data"), "--web.listen-address=" + s.Address(0)}
			return &exec.Cmd{Path: path, Args: args, Dir: s.Data}, errors.Join(
				os.WriteFile(file, config, 0o600), os.WriteFile(filepath.Join(s.Data, "rules.yml"), []byte(rules), 0o600))
		},
		Ready: func(ctx context.Context, s *local.Server) error {
			return local.Ask(ctx, "prometheus", "http://"+s.Address(0)+"/-/ready", "", nil)
		},
	})}
}

// has reports whether an expression has a value now that is a number.
func (p prometheus) has(ctx context.Context, expr string) (bool, error) {
	var answer struct {
		Data struct{ Result []struct{ Value [2]any } }
	}
	query := url.Values{"query": {expr}}
	if err := local.Ask(ctx, "prometheus", "http://"+p.Address(0)+"/api/v1/query?"+query.Encode(), "", &answer); err != nil {
		return false, fmt.Errorf("%s: %w", expr, err)
	}
	for _, r := range answer.Data.Result {
		text, _ := r.Value[1].(string)
		if value, err := strconv.ParseFloat(text, 64); err == nil && !math.IsNaN(value) {
			return true, nil
		}
	}
	return false, nil
}
