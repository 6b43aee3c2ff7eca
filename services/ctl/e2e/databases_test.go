package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/freshet-io/freshet/libs/fake/local"
	"github.com/freshet-io/freshet/libs/fake/local/localtest"
)

// startPostgres starts a PostgreSQL with logical replication, on loopback only, that ends with the test, after its
// clients have left: it waits for them. Its superuser is postgres, without a password. It does not wait for the disk: a
// kill loses nothing, a power cut would.
func startPostgres(t *testing.T) *local.Server {
	t.Helper()
	home, err := local.PostgresPackage.Path()
	return localtest.Server(t, err, local.Description{
		Name: "postgres", Ports: 1,
		Command: func(ctx context.Context, s *local.Server) (*exec.Cmd, error) {
			data, path := filepath.Join(s.Data, "data"), filepath.Join(home, "bin", "postgres")
			args := []string{path, "-D", data, "-p", s.Port(0)}
			for _, setting := range []string{
				"listen_addresses=127.0.0.1", "unix_socket_directories=", "wal_level=logical", "fsync=off", "shared_buffers=32MB",
				"dynamic_shared_memory_type=mmap", // in the data folder, where a kill leaves nothing behind
			} {
				args = append(args, "-c", setting)
			}
			environ, as := []string{"LC_ALL=C"}, local.Unprivileged()
			initialise := exec.CommandContext(ctx, filepath.Join(home, "bin", "initdb"), "-D", data, "-U", "postgres", "-A", "trust",
				"-E", "UTF8", "--locale=C", "--no-sync")
			initialise.Env, initialise.SysProcAttr = environ, as
			return &exec.Cmd{Path: path, Args: args, Env: environ, SysProcAttr: as}, makeOnce(data, initialise)
		},
		Ready: func(_ context.Context, s *local.Server) error { return s.Said("ready to accept connections") },
	})
}

// startMariaDB starts a MariaDB that logs whole rows, on loopback only, that ends with the test. Its user root has no
// password.
func startMariaDB(t *testing.T) *local.Server {
	t.Helper()
	home, err := local.MariaDBPackage.Path()
	who, errUser := user.Current() // root must be named
	return localtest.Server(t, errors.Join(err, errUser), local.Description{
		Name: "mariadb", Ports: 1,
		Command: func(ctx context.Context, s *local.Server) (*exec.Cmd, error) {
			data, path := filepath.Join(s.Data, "data"), filepath.Join(home, "bin", "mariadbd")
			common := []string{"--no-defaults", "--basedir=" + home, "--datadir=" + data, "--user=" + who.Username}
			initialise := exec.CommandContext(ctx, filepath.Join(home, "scripts", "mariadb-install-db"),
				append(common, "--auth-root-authentication-method=normal", "--skip-test-db", "--skip-name-resolve")...)
			initialise.Env = []string{"PATH=" + os.Getenv("PATH"), "TMPDIR=" + s.Data}
			// With TLS it would make a key at each start, which takes a busy machine up to a minute.
			args := append(append([]string{path}, common...),
				"--bind-address=127.0.0.1", "--port="+s.Port(0), "--socket=socket", "--tmpdir="+s.Data, "--skip-name-resolve", "--skip-ssl",
				"--server-id=1", "--log-bin=binlog", "--binlog-format=ROW", "--binlog-row-image=FULL",
				"--character-set-server=utf8mb4", "--innodb-buffer-pool-size=32M", "--innodb-flush-log-at-trx-commit=0")
			return &exec.Cmd{Path: path, Args: args}, makeOnce(data, initialise)
		},
		Ready: func(_ context.Context, s *local.Server) error { return s.Said("ready for connections") },
	})
}

// makeOnce has a command make a data folder that is not there.
func makeOnce(data string, initialise *exec.Cmd) error {
	if _, err := os.Stat(data); err == nil {
		return nil
	}
	if out, err := initialise.CombinedOutput(); err != nil {
		return fmt.Errorf("making %s: %w: %s", data, err, out)
	}
	return nil
}

func TestDatabases_stopLeavesNoProcessPortOrFolder(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	for _, start := range []func(*testing.T) *local.Server{startPostgres, startMariaDB} {
		s := start(t)
		ports.add(s.Address(0))
		pid := s.PID()
		if err := syscall.Kill(pid, 0); pid == 0 || err != nil {
			t.Fatalf("before the stop, process %d: %v", pid, err)
		}
		if err := s.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := syscall.Kill(pid, 0); !errors.Is(err, syscall.ESRCH) {
			t.Errorf("process %d after the stop: %v, want none", pid, err)
		}
		assertNothingLeft(t)
	}
}

// assertNothingLeft wants the temporary folder to be empty.
func assertNothingLeft(t *testing.T) {
	t.Helper()
	left, err := os.ReadDir(os.TempDir())
	if err != nil || len(left) > 0 {
		t.Errorf("left in the temporary folder: %v (%v), want nothing", left, err)
	}
}
