package local_test

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/freshet-io/freshet/libs/fake/local"
	"github.com/freshet-io/freshet/libs/fake/local/localtest"
)

const parentEnv = "FRESHET_TEST_PARENT"

// TestParent is not a test of its own: TestWeaviate_diesWithItsParent runs it in another process and kills that.
func TestParent(t *testing.T) {
	data := os.Getenv(parentEnv)
	if data == "" {
		t.Skip("only for TestWeaviate_diesWithItsParent")
	}
	w, err := local.StartWeaviate(t.Context(), local.WeaviateOptions{Data: data})
	if err != nil {
		t.Fatal(err)
	}
	fmt.Printf("pid %d\n", w.PID())
	<-t.Context().Done()
}

// A kill -9 gives a process no time to end its children: the kernel does it.
func TestWeaviate_diesWithItsParent(t *testing.T) {
	localtest.Weaviate(t, local.WeaviateOptions{}) // skips or fails where there is none
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	parent := exec.CommandContext(t.Context(), self, "-test.run=^TestParent$", "-test.v")
	parent.Env = append(os.Environ(), parentEnv+"="+t.TempDir())
	out, err := parent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	pid := 0
	for lines := bufio.NewScanner(out); pid == 0 && lines.Scan(); {
		if number, ok := strings.CutPrefix(lines.Text(), "pid "); ok {
			if pid, err = strconv.Atoi(number); err != nil {
				t.Fatal(err)
			}
		}
	}
	if pid == 0 || syscall.Kill(pid, 0) != nil {
		t.Fatalf("the server's process %d does not run under its parent", pid)
	}
	if err := parent.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = parent.Wait() // it was killed
	deadline := time.After(10 * time.Second)
	for tick := time.NewTicker(20 * time.Millisecond); ; {
		if gone(pid) {
			return
		}
		select {
		case <-deadline:
			t.Fatalf("process %d outlived its parent", pid)
		case <-tick.C:
		}
	}
}

// gone counts a zombie as gone: whose child an orphan becomes, and when it is reaped, is not ours.
func gone(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ESRCH) {
		return true
	}
	_, after, _ := strings.Cut(string(stat), ") ")
	return strings.HasPrefix(after, "Z")
}
