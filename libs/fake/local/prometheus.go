package local

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// PrometheusOptions says what Prometheus scrapes, and by which rules it looks at it.
type PrometheusOptions struct {
	Targets []string      // addresses whose /metrics are scraped
	Every   time.Duration // between two scrapes; in whole seconds
	Rules   string        // what is in a file of rules; empty for none
	Log     io.Writer     // gets the server's log; nil: nowhere (errors carry its last line)
}

// Prometheus is a running Prometheus, on loopback only, whose data is temporary.
type Prometheus struct{ *Server }

// Sample is a value of a query with its labels.
type Sample struct {
	Labels map[string]string
	Value  float64
}

// PromtoolPath returns the path of promtool, of the same version as the server.
func PromtoolPath() (string, error) { return PrometheusPackage.Path("usr", "bin", "promtool") }

// StartPrometheus starts a server from the cache and returns when it answers. The caller stops it. ctx bounds the start only.
func StartPrometheus(ctx context.Context, o PrometheusOptions) (*Prometheus, error) {
	s, err := Start(ctx, Description{
		Name: "prometheus", Ports: 1, Log: o.Log,
		Ready: func(ctx context.Context, s *Server) error {
			_, err := (&Prometheus{s}).get(ctx, "/-/ready", nil)
			return err
		},
		Command: func(_ context.Context, s *Server) (*exec.Cmd, error) {
			path, err := PrometheusPackage.Path("usr", "bin", "prometheus")
			if err != nil {
				return nil, err
			}
			config := filepath.Join(s.Data, "prometheus.yml")
			for name, text := range map[string]string{config: o.config(), filepath.Join(s.Data, "rules.yml"): o.Rules} {
				if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
					return nil, fmt.Errorf("writing what Prometheus reads: %w", err)
				}
			}
			args := []string{path, "--config.file=" + config, "--storage.tsdb.path=" + filepath.Join(s.Data, "data"), "--web.listen-address=" + s.Address(0)}
			return &exec.Cmd{Path: path, Args: args, Dir: s.Data}, nil
		},
	})
	if err != nil {
		return nil, err
	}
	return &Prometheus{s}, nil
}

func (o PrometheusOptions) config() string {
	// JSON is YAML.
	config, _ := json.Marshal(map[string]any{ // it has only texts
		"global":     map[string]any{"scrape_interval": o.Every.String(), "evaluation_interval": o.Every.String()},
		"rule_files": []string{"rules.yml"},
		"scrape_configs": []any{map[string]any{
			"job_name": "freshet", "static_configs": []any{map[string]any{"targets": o.Targets}},
		}},
	})
	return string(config)
}

// Query returns the samples that an expression has now, and nothing of those that are no number.
func (p *Prometheus) Query(ctx context.Context, expr string) ([]Sample, error) {
	body, err := p.get(ctx, "/api/v1/query", url.Values{"query": {expr}})
	if err != nil {
		return nil, err
	}
	var answer struct {
		Data struct {
			Result []struct {
				Metric map[string]string
				Value  [2]any
			}
		}
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return nil, fmt.Errorf("reading the answer to %s: %w", expr, err)
	}
	var samples []Sample
	for _, r := range answer.Data.Result {
		text, _ := r.Value[1].(string)
		if value, err := strconv.ParseFloat(text, 64); err == nil && !math.IsNaN(value) {
			samples = append(samples, Sample{r.Metric, value})
		}
	}
	return samples, nil
}

func (p *Prometheus) get(ctx context.Context, path string, query url.Values) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	at := url.URL{Scheme: "http", Host: p.Address(0), Path: path, RawQuery: query.Encode()}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, at.String(), nil)
	if err != nil {
		return nil, err
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("asking prometheus: %w", err)
	}
	defer func() { _ = resp.Body.Close() }() // it was only read
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("asking prometheus: status %d: %s", resp.StatusCode, strings.TrimSpace(string(body)))
	}
	return body, err
}
