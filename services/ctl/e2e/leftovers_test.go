package e2e_test

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// What the end of the run relies on: each kind of thing that a test may leave is seen.
func TestLeftovers_eachKindIsSeen(t *testing.T) {
	temporary := t.TempDir()
	if err := os.WriteFile(filepath.Join(temporary, "forgotten"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	ports.add(listener.Addr().String())
	child := exec.Command("sleep", "60")
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	stop := make(chan struct{})
	go func() { <-stop }()
	seen := leftovers(temporary)
	close(stop)
	_ = child.Process.Kill()
	_ = child.Wait()
	for _, want := range []string{"temporary file forgotten", "open port " + listener.Addr().String(), "(sleep 60 )", "unexpected goroutines"} {
		if seen == nil || !strings.Contains(seen.Error(), want) {
			t.Errorf("%q is not seen: %v", want, seen)
		}
	}
}
