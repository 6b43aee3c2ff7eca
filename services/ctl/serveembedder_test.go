package main_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/freshet-io/freshet/services/embed/builtin"
)

// freshet is the command as a process of its own. It is told to stop when the test ends.
func freshet(ctx context.Context, environ []string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, os.Args[0], args...)
	cmd.Env = append(append(os.Environ(), "FRESHET_TEST_RUN=freshet"), environ...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = time.Minute
	return cmd
}

const embedderKey = "the-key-of-the-test"

// startEmbedder returns the base URL of a `freshet serve-embedder`, and what stops it.
func startEmbedder(t *testing.T) (url string, stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	cmd := freshet(ctx, []string{"FRESHET_EMBEDDER_KEY=" + embedderKey}, "serve-embedder", "--listen", "127.0.0.1:0")
	var log bytes.Buffer
	cmd.Stderr = &log
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var stopped bool
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := cmd.Wait(); cmd.ProcessState.ExitCode() != 0 {
			t.Errorf("it ended with %v\n%s", err, log.String())
		}
	}
	t.Cleanup(stop)
	line, err := bufio.NewReader(out).ReadString('\n')
	url = regexp.MustCompile(`http://\S+/v1/embeddings`).FindString(line)
	if url == "" {
		t.Fatalf("it says %q (%v) and no URL", line, err)
	}
	return strings.TrimSuffix(url, "/embeddings"), stop
}

// vectorsOf are those of the model itself.
func vectorsOf(t *testing.T, texts []string) [][]float32 {
	t.Helper()
	model, err := builtin.New()
	if err != nil {
		t.Fatal(err)
	}
	answer, err := model.Embed(t.Context(), texts)
	if err != nil {
		t.Fatal(err)
	}
	return answer.Vectors
}

func wantVectors(t *testing.T, form string, got, want [][]float32) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d vectors, not %d", form, len(got), len(want))
	}
	for i := range want {
		if len(got[i]) != len(want[i]) {
			t.Fatalf("%s: vector %d has %d numbers", form, i, len(got[i]))
		}
		for k := range want[i] {
			if d := got[i][k] - want[i][k]; d > 1e-5 || d < -1e-5 { // chunks of other sizes are added up otherwise
				t.Fatalf("%s: vector %d is not the model's: %v, not %v at %d", form, i, got[i][k], want[i][k], k)
			}
		}
	}
}

var embedderTexts = []string{"Tunnel Tent for two campers", "无线降噪蓝牙耳机", "Organic green tea, 100 bags"}

func TestServeEmbedder_answersOpenAIsOwnPythonClient(t *testing.T) {
	interpreter := python(t)
	url, _ := startEmbedder(t)
	texts, err := json.Marshal(embedderTexts)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), interpreter, "testdata/openai_client.py", url, embedderKey, string(texts))
	cmd.Env = append(os.Environ(), "NO_PROXY=127.0.0.1")
	var log bytes.Buffer
	cmd.Stderr = &log
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, log.String())
	}
	var got struct {
		Base64, Float [][]float32
	}
	if err := json.Unmarshal(out, &got); err != nil {
		t.Fatal(err)
	}
	want := vectorsOf(t, embedderTexts)
	wantVectors(t, "base64", got.Base64, want)
	wantVectors(t, "float", got.Float, want)
}

func TestServeEmbedder_answersPlainHTTPUntilItIsToldToStop(t *testing.T) {
	url, stop := startEmbedder(t)
	pool := &http.Transport{}
	defer pool.CloseIdleConnections()
	post := func(key string) (int, []byte) {
		body, err := json.Marshal(map[string]any{"model": builtin.Name, "input": embedderTexts})
		if err != nil {
			t.Fatal(err)
		}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+"/embeddings", bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+key)
		resp, err := (&http.Client{Transport: pool}).Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = resp.Body.Close() }()
		answer, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, answer
	}
	if status, body := post("another"); status != http.StatusUnauthorized {
		t.Errorf("another key gets %d %s", status, body)
	}
	status, body := post(embedderKey)
	var answer struct {
		Data []struct{ Embedding []float32 }
	}
	if err := json.Unmarshal(body, &answer); err != nil || status != http.StatusOK {
		t.Fatalf("%d, %v: %.300s", status, err, body)
	}
	var got [][]float32
	for _, d := range answer.Data {
		got = append(got, d.Embedding)
	}
	wantVectors(t, "plain", got, vectorsOf(t, embedderTexts))
	stop()
	address := strings.TrimSuffix(strings.TrimPrefix(url, "http://"), "/v1")
	if conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", address); err == nil {
		_ = conn.Close()
		t.Error("the port is open after the end")
	}
}

func TestServeEmbedder_aPortThatIsTakenIsOneLine(t *testing.T) {
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	out, err := freshet(t.Context(), nil, "serve-embedder", "--listen", l.Addr().String()).CombinedOutput()
	if err == nil || strings.Count(string(out), "\n") != 1 || !strings.Contains(string(out), "--listen") {
		t.Errorf("%v: %s", err, out)
	}
}
