package main

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/freshet-io/freshet/services/ctl/catalogue"
)

// The page has to come up where nothing else does: it is looked at when something is away.
func TestConsole_comesUpThoughNothingAnswersAndEndsWhenTold(t *testing.T) {
	file := filepath.Join(t.TempDir(), "pipeline.yaml")
	if err := os.WriteFile(file, catalogue.PipelineFile(), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{
		"KAFKA_BROKERS": "127.0.0.1:1", "WEAVIATE_URL": "http://127.0.0.1:1", "WEAVIATE_GRPC": "127.0.0.1:1", "PIPELINE": file,
	} {
		t.Setenv("FRESHET_"+name, value)
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	out, said := io.Pipe()
	cmd := consoleCommand()
	cmd.SetArgs(nil)
	cmd.SetOut(said)
	ended := make(chan error, 1)
	go func() { ended <- cmd.ExecuteContext(ctx) }()
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	url := regexp.MustCompile(`http://127\.0\.0\.1:\d+`).FindString(line)
	status, page := get(t, url+"/", "")
	token := regexp.MustCompile(`name="token" content="(\w+)"`).FindStringSubmatch(page)
	if status != http.StatusOK || token == nil {
		t.Fatalf("%s: status %d\n%s", line, status, page)
	}
	if status, text := get(t, url+"/api/search?q=tent", token[1]); status != http.StatusBadGateway || !strings.Contains(text, "127.0.0.1:1") {
		t.Errorf("a search without an index: %d %s", status, text)
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func get(t *testing.T, url, token string) (status int, body string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Freshet-Token", token)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}
