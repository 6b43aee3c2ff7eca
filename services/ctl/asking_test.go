package main_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/freshet-io/freshet/services/ctl/catalogue"
	"github.com/freshet-io/freshet/services/ctl/inspect"
)

// away are the settings of an installation of which nothing answers.
func away(t *testing.T) []string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "pipeline.yaml")
	if err := os.WriteFile(file, catalogue.PipelineFile(), 0o600); err != nil {
		t.Fatal(err)
	}
	return []string{"FRESHET_KAFKA_BROKERS=127.0.0.1:1", "FRESHET_WEAVIATE_URL=http://127.0.0.1:2", "FRESHET_WEAVIATE_GRPC=127.0.0.1:2", "FRESHET_PIPELINE=" + file}
}

// status runs `freshet status`, which has to end with a code.
func status(t *testing.T, code int, args ...string) string {
	t.Helper()
	cmd := freshet(t.Context(), away(t), append([]string{"status"}, args...)...)
	var out, log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &log
	_ = cmd.Run()
	if got := cmd.ProcessState.ExitCode(); got != code || log.Len() > 0 {
		t.Errorf("freshet status %q ends with %d, want %d: %s", args, got, code, log.String())
	}
	return out.String()
}

func TestCommands_sayThatTheyWaitForKafka(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	cmd := freshet(ctx, away(t), "dlq", "list")
	said, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	// What it says once it has given up comes later.
	if line, err := bufio.NewReader(said).ReadString('\n'); line != "waiting up to 30s for Kafka at 127.0.0.1:1\n" {
		t.Errorf("it says first %q: %v", line, err)
	}
	stop()
	_ = cmd.Wait() // it was stopped
}

func TestStatus_thatCouldAskNobodyDoesNotSayThatAllIsWell(t *testing.T) {
	t.Run("as a page", func(t *testing.T) {
		t.Parallel()
		page := status(t, 3)
		text := strings.Join(strings.Fields(page), " ")
		if !strings.HasPrefix(text, "not known whether all is well is not known: Kafka at 127.0.0.1:1 and Weaviate at http://127.0.0.1:2 could not be asked (unknown) → ") ||
			strings.Contains(page, "all well ") || !strings.Contains(page, "Product: whether it takes writes is not known") {
			t.Error(page)
		}
		for _, stage := range []string{"ingest", "embed", "embed-bulk", "write"} {
			if !strings.Contains(text, " "+stage+" ? ? ? - ? ?") {
				t.Errorf("%s: members, rate, lag, what is stuck or retries are known, of nobody:\n%s", stage, page)
			}
		}
	})
	t.Run("as JSON, to a monitor", func(t *testing.T) {
		t.Parallel()
		var s inspect.Status
		if err := json.Unmarshal([]byte(status(t, 3, "-o", "json", "--check")), &s); err != nil {
			t.Fatal(err)
		}
		if len(s.Trouble) != 1 || s.Trouble[0].Code != inspect.CauseUnknown || s.Trouble[0].Do == "" || len(s.Index) != 1 || s.Index[0].Writable != nil {
			t.Errorf("%+v", s)
		}
	})
}
