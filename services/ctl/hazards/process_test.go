package hazards_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/freshet-io/freshet/libs/fake/local"
)

// process is the write service. It can be started again after its end; the logs of all its lives
// are one.
type process struct {
	t       *testing.T
	env     []string
	log     lockedBuffer
	begin   int // of this life in the log
	program *local.Program
}

// lockedBuffer is a log that is read while it is written.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

// Write implements io.Writer.
func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func (p *process) start() {
	p.t.Helper()
	p.begin = len(p.log.String())
	var err error
	if p.program, err = local.StartProgram("write", writeBinary(p.t), p.env, &p.log); err != nil {
		p.t.Fatal(err)
	}
}

// stop ends the process and returns its exit code.
func (p *process) stop() int {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(p.t.Context()), 30*time.Second)
	defer cancel()
	code, err := p.program.Stop(ctx)
	if err != nil {
		p.t.Errorf("stopping write: %v", err)
	}
	return code
}

// failure says that the process has ended by itself.
func (p *process) failure() error {
	if p.program.Running() {
		return nil
	}
	return fmt.Errorf("write has ended by itself: %s", lastLine(p.log.String()))
}

func lastLine(log string) string {
	lines := strings.Split(strings.TrimSpace(log), "\n")
	return lines[len(lines)-1]
}

var adminAddress = regexp.MustCompile(`"admin_address":"([^"]+)"`)

// get asks the admin port; it returns "" where nobody answers.
func (p *process) get(path string) string {
	found := adminAddress.FindStringSubmatch(p.log.String()[p.begin:])
	if found == nil {
		return ""
	}
	client := http.Client{Timeout: 2 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Get("http://" + found[1] + path)
	if err != nil {
		return ""
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return ""
	}
	return string(b)
}

// awaitReady waits until write has its index and its partitions. Before it has the one, it does not
// know that it lacks the other.
func (p *process) awaitReady() {
	p.t.Helper()
	p.awaitAnswer("/metrics", "freshet_index_broken{")
	p.awaitAnswer("/readyz", "ok\n")
}

// awaitAnswer waits until the answer of the admin port contains the words.
func (p *process) awaitAnswer(path string, words ...string) {
	p.t.Helper()
	answer := ""
	defer func() {
		if p.t.Failed() {
			p.t.Logf("%s of write answers %q", path, answer)
		}
	}()
	await(p.t, time.Minute, fmt.Sprintf("write answers %s with %q", path, words), func() (bool, error) {
		answer = p.get(path)
		for _, w := range words {
			if !strings.Contains(answer, w) {
				return false, p.failure()
			}
		}
		return true, nil
	})
}

// await polls until the answer is yes.
func await(t *testing.T, bound time.Duration, what string, ask func() (bool, error)) {
	t.Helper()
	deadline := time.Now().Add(bound)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		yes, err := ask()
		switch {
		case err != nil:
			t.Fatalf("waiting until %s: %v", what, err)
		case yes:
			return
		case time.Now().After(deadline):
			t.Fatalf("waiting until %s: not within %s", what, bound)
		}
		<-tick.C
	}
}
