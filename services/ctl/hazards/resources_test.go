package hazards_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/freshet-io/freshet/libs/fake/local"
)

// holdDisk mounts a small disk and holds it. In a name space of users that needs no right, and the
// disk goes with its holder.
const holdDisk = `mount -t tmpfs -o size=128m freshet "$1" && echo mounted && exec sleep 900`

// ownDisk gives a server a small disk of its own.
func ownDisk(t *testing.T) local.WeaviateOptions {
	t.Helper()
	data := t.TempDir()
	holder := exec.Command("unshare", "--user", "--map-root-user", "--mount", "sh", "-c", holdDisk, "sh", data)
	said, err := holder.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var complaint strings.Builder
	holder.Stderr = &complaint
	enter, err := exec.LookPath("nsenter")
	if err == nil {
		err = holder.Start()
	}
	if err == nil {
		t.Cleanup(func() { _, _ = holder.Process.Kill(), holder.Wait() })
		_, err = bufio.NewReader(said).ReadString('\n')
	}
	switch {
	case err == nil:
	case os.Getenv("CI") == "true":
		t.Fatalf("CI runs every test, and a small disk needs unshare, nsenter and name spaces of users: %v %s", err, &complaint)
	default:
		t.Skipf("SKIPPED, NOT TESTED: a small disk needs unshare, nsenter and name spaces of users: %v %s", err, &complaint)
	}
	wrap := []string{enter, "--user", "--mount", "--preserve-credentials", "--target", strconv.Itoa(holder.Process.Pid), "--"}
	return local.WeaviateOptions{Data: data, Wrap: wrap}
}

// fillDisk fills the disk to its last byte, as another program could, and frees it. A shard that was
// set READY again would go on failing: the writer of its vector index has seen the error.
func fillDisk(b *bed) {
	ballast := filepath.Join(fmt.Sprintf("/proc/%d/root", b.server.PID()), b.options.Data, "ballast")
	b.inPut(0, func() {
		if err := fill(ballast); !errors.Is(err, syscall.ENOSPC) {
			b.t.Errorf("the disk is not full: %v", err)
		}
	})
	b.send(burst)
	b.awaitBroken("is READONLY: free the disk, then restart Weaviate")
	if err := os.Remove(ballast); err != nil {
		b.t.Fatal(err)
	}
	if err := b.server.Restart(b.t.Context()); err != nil {
		b.t.Fatal(err)
	}
	b.awaitMended()
}

func fill(path string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	for zeros := make([]byte, 64<<10); err == nil; {
		_, err = f.Write(zeros)
	}
	return errors.Join(err, f.Close())
}

func littleMemory(*testing.T) local.WeaviateOptions {
	return local.WeaviateOptions{Env: []string{"GOMEMLIMIT=200MiB"}}
}

// exhaustMemory takes the server's memory away and gives it back.
func exhaustMemory(b *bed) {
	for range 4 {
		release := b.hoard(200 << 20)
		b.send(burst)
		b.awaitBroken("memory")
		release()
		b.awaitMended()
	}
}

// hoard begins a request of so many bytes and does not end it, so that the server keeps them.
func (b *bed) hoard(size int) (release func()) {
	b.t.Helper()
	conn, err := net.Dial("tcp", b.server.REST)
	if err != nil {
		b.t.Fatal(err)
	}
	w := bufio.NewWriter(conn)
	fmt.Fprintf(w, "POST /v1/batch/objects HTTP/1.1\r\nHost: weaviate\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n{\"objects\":[{\"class\":\"", b.server.APIKey, 2*size)
	if _, err = io.CopyN(w, letters{}, int64(size)); err == nil {
		err = w.Flush()
	}
	if err != nil {
		b.t.Fatal(err)
	}
	return func() { _ = conn.Close() }
}

// letters is text without end.
type letters struct{}

// Read implements io.Reader.
func (letters) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'a'
	}
	return len(p), nil
}
