package e2e_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/procfs"

	"github.com/freshet-io/freshet/libs/fake/local"
)

// process is one instance of a service. It can be started again after its end; the
// logs of all its lives are in one file.
type process struct {
	t       *testing.T
	service string
	name    string // of this instance
	env     []string
	build   string // as of rig
	log     *logFile
	program *local.Program
}

func (p *process) start() {
	p.t.Helper()
	p.log.restart()
	var err error
	if p.program, err = local.StartProgram(p.name, binaryOf(p.t, p.build, p.service), p.env, p.log); err != nil {
		p.t.Fatal(err)
	}
}

// kill is kill -9.
func (p *process) kill() { p.program.Kill() }

// pause is SIGSTOP: the process is there and does nothing, as on a machine that is frozen. It returns when all threads stand: one
// of them takes the signal, and on a busy machine the others go on until that one is given a processor.
func (p *process) pause() error {
	err := syscall.Kill(p.program.PID(), syscall.SIGSTOP)
	for deadline := time.Now().Add(30 * time.Second); err == nil; <-time.After(time.Millisecond) {
		threads, wrong := procfs.AllThreads(p.program.PID())
		if wrong != nil || !slices.ContainsFunc(threads, runs) { // without /proc nobody can say
			break
		}
		if time.Now().After(deadline) {
			err = fmt.Errorf("%s does not stand still", p.name)
		}
	}
	return err
}

// runs reports whether a thread is not stopped.
func runs(thread procfs.Proc) bool {
	stat, err := thread.Stat()
	return err == nil && stat.State != "T"
}

// resume has a paused process go on in the midst of what it did.
func (p *process) resume() error { return syscall.Kill(p.program.PID(), syscall.SIGCONT) }

// stop asks the process to end, and fails where it does not end well.
func (p *process) stop() {
	p.t.Helper()
	if p.program == nil {
		return
	}
	_ = p.resume() // a test that failed may have left it paused: it would not hear of its end
	ctx, cancel := context.WithTimeout(context.WithoutCancel(p.t.Context()), 30*time.Second)
	defer cancel()
	code, err := p.program.Stop(ctx)
	p.program = nil
	if err != nil || code != 0 {
		p.t.Errorf("%s ended with code %d after SIGTERM: %v", p.name, code, err)
	}
}

// failure says that the process has ended by itself.
func (p *process) failure() error {
	if p.program != nil && !p.program.Running() {
		return fmt.Errorf("%s has ended by itself: %s", p.name, p.log.tail(1))
	}
	return nil
}

// ready reports whether the process says that all its stages have their partitions.
func (p *process) ready() bool {
	status, _ := p.get("/readyz")
	return status == http.StatusOK
}

func (p *process) awaitReady() {
	p.t.Helper()
	await(p.t, time.Minute, p.name+" is ready", func() (bool, error) { return p.ready(), p.failure() })
}

// outcomes returns how many items have had an outcome with the given labels.
func (p *process) outcomes(labels ...string) int {
	p.t.Helper()
	status, body := p.get("/metrics")
	if status != http.StatusOK {
		p.t.Fatalf("%s does not show its metrics: status %d", p.name, status)
	}
	sum := 0.0
	for line := range strings.Lines(body) {
		series, value, _ := strings.Cut(strings.TrimSpace(line), "} ")
		if !strings.HasPrefix(series, "freshet_items_total{") {
			continue
		}
		matches := true
		for _, label := range labels {
			matches = matches && strings.Contains(series, label)
		}
		if n, err := strconv.ParseFloat(value, 64); matches && err == nil {
			sum += n
		}
	}
	return int(sum)
}

func (p *process) get(path string) (status int, body string) {
	address := p.log.adminAddress()
	if address == "" {
		return 0, ""
	}
	client := http.Client{Timeout: 2 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Get("http://" + address + path)
	if err != nil {
		return 0, ""
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, ""
	}
	return resp.StatusCode, string(b)
}

// logFile takes a process's log, and reads from it where the process listens.
type logFile struct {
	mu      sync.Mutex
	file    *os.File
	line    []byte // the last one, not yet ended
	address string
}

// restart forgets what belongs to the process that has ended.
func (l *logFile) restart() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.address, l.line = "", nil
}

// Write implements io.Writer.
func (l *logFile) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.address == "" {
		l.line = append(l.line, b...)
		for {
			line, rest, ended := bytes.Cut(l.line, []byte("\n"))
			if !ended {
				break
			}
			l.line = rest
			l.look(line)
		}
	}
	return l.file.Write(b)
}

func (l *logFile) look(line []byte) {
	var started struct {
		Address string `json:"admin_address"`
	}
	if json.Unmarshal(line, &started) == nil && started.Address != "" {
		l.address = started.Address
		ports.add(started.Address)
	}
}

func (l *logFile) adminAddress() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.address
}

// tail returns the last lines of the log.
func (l *logFile) tail(n int) string {
	b, err := os.ReadFile(l.file.Name())
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

// await asks until the answer is yes, and fails the test on an error or after the bound.
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
