package e2e_test

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { os.Exit(run(m)) }

// run gives the tests a folder of their own for everything temporary, and fails where
// they leave anything: a goroutine, a child process, an open port or a file.
func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "freshet-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, "making a folder for the tests:", err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	binaries.dir = filepath.Join(dir, "bin")
	temporary := filepath.Join(dir, "tmp")
	if err := errors.Join(os.Mkdir(temporary, 0o700), os.Setenv("TMPDIR", temporary)); err != nil {
		fmt.Fprintln(os.Stderr, "making a folder for the tests:", err)
		return 1
	}
	code := m.Run()
	if err := leftovers(temporary); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, "the tests left something behind:", err)
		return 1
	}
	return code
}

func leftovers(temporary string) error {
	errs := []error{goleak.Find()}
	for _, pid := range children() {
		errs = append(errs, fmt.Errorf("child process %d (%s)", pid, commandLine(pid)))
	}
	for _, address := range ports.list() {
		if conn, err := (&net.Dialer{Timeout: time.Second}).Dial("tcp", address); err == nil {
			errs = append(errs, conn.Close(), fmt.Errorf("open port %s", address))
		}
	}
	entries, err := os.ReadDir(temporary)
	for _, e := range entries {
		errs = append(errs, fmt.Errorf("temporary file %s", e.Name()))
	}
	return errors.Join(append(errs, err)...)
}

// children lists the processes that this one has started and that still are. Where
// there is no /proc it finds none.
func children() []int {
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	var pids []int
	for _, path := range stats {
		b, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended meanwhile
		}
		// pid (name with anything in it) state ppid …
		fields := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:]))
		if len(fields) > 1 && fields[1] == strconv.Itoa(os.Getpid()) {
			pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(path)))
			pids = append(pids, pid)
		}
	}
	return pids
}

func commandLine(pid int) string {
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	return strings.ReplaceAll(string(b), "\x00", " ")
}

// ports are all addresses on which something of a test listened.
var ports addresses

type addresses struct {
	mu  sync.Mutex
	all []string
}

func (a *addresses) add(list ...string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.all = append(a.all, list...)
}

func (a *addresses) list() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.all
}

// binaries are the services, built when the first test needs them.
var binaries struct {
	dir  string
	once sync.Once
	err  error
}

// binary returns the path of a service's binary, built once a test run: go's own
// cache decides how long that takes.
func binary(t *testing.T, service string) string {
	t.Helper()
	binaries.once.Do(func() {
		build := exec.Command("go", "build", "-o", binaries.dir+string(filepath.Separator), "./services/ingest", "./services/embed", "./services/write", "./services/ctl")
		build.Dir = workspace(t)
		if out, err := build.CombinedOutput(); err != nil {
			binaries.err = fmt.Errorf("building the services: %w\n%s", err, out)
		}
	})
	if binaries.err != nil {
		t.Fatal(binaries.err)
	}
	return filepath.Join(binaries.dir, service)
}

// binaryOf returns the path of a service's binary in a folder of another build, or of this one where that is empty.
func binaryOf(t *testing.T, build, service string) string {
	t.Helper()
	if build == "" {
		return binary(t, service)
	}
	return filepath.Join(build, service)
}

// workspace returns the folder of go.work.
func workspace(t *testing.T) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for ; dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.work")); err == nil {
			return dir
		}
	}
	t.Fatal("no go.work above this folder")
	return ""
}
