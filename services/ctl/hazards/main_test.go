package hazards_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "freshet-hazards-")
	if err != nil {
		fmt.Fprintln(os.Stderr, "making a folder for the tests:", err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	built.path = filepath.Join(dir, "freshet-write")
	code := m.Run()
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, "the tests left something behind:", err)
		return 1
	}
	return code
}

// built is the binary of write, built when the first test needs it.
var built struct {
	path string
	once sync.Once
	err  error
}

func writeBinary(t *testing.T) string {
	t.Helper()
	built.once.Do(func() {
		if out, err := exec.Command("go", "build", "-o", built.path, "github.com/freshet-io/freshet/services/write").CombinedOutput(); err != nil {
			built.err = fmt.Errorf("building write: %w\n%s", err, out)
		}
	})
	if built.err != nil {
		t.Fatal(built.err)
	}
	return built.path
}
