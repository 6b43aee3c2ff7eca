package local

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
)

// MariaDB is a running MariaDB that logs whole rows, on loopback only. Its user root has no password. All methods are
// safe for concurrent use.
type MariaDB struct {
	Address string // host:port

	*server
}

// StartMariaDB starts MariaDB from the cache, with an empty temporary data folder, and returns when it takes
// connections. log gets what it says; nil: nowhere. The caller stops it. ctx bounds the start only.
func StartMariaDB(ctx context.Context, log io.Writer) (*MariaDB, error) {
	home, err := MariaDBHome()
	if err != nil {
		return nil, err
	}
	who, err := user.Current() // root must be named
	if err != nil {
		return nil, fmt.Errorf("starting mariadb: %w", err)
	}
	s, err := newServer("mariadb", "")
	if err != nil {
		return nil, err
	}
	m := &MariaDB{server: s}
	s.launch = func(ctx context.Context) (*child, error) { return m.start(ctx, home, who.Username, log) }
	if err := s.startFirst(ctx, 1, func(ports []int) { m.Address = loopback(ports[0]) }); err != nil {
		return nil, err
	}
	return m, nil
}

// start makes the data folder, where that is new, and starts the server.
func (m *MariaDB) start(ctx context.Context, home, who string, log io.Writer) (*child, error) {
	data := filepath.Join(m.data, "data")
	common := []string{"--no-defaults", "--basedir=" + home, "--datadir=" + data, "--user=" + who}
	if _, err := os.Stat(data); err != nil {
		cmd := exec.CommandContext(ctx, filepath.Join(home, "scripts", "mariadb-install-db"), //nolint:gosec // of the cache
			append(common, "--auth-root-authentication-method=normal", "--skip-test-db", "--skip-name-resolve")...)
		cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "TMPDIR=" + m.data}
		if out, err := cmd.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("making mariadb's folder: %w: %s", err, out)
		}
	}
	_, port, err := net.SplitHostPort(m.Address)
	if err != nil {
		return nil, fmt.Errorf("starting mariadb: %w", err)
	}
	// ctx is the start's: its end must not kill the server. With TLS it would make a key at each start, which takes a busy
	// machine up to a minute.
	cmd := exec.CommandContext(context.WithoutCancel(ctx), filepath.Join(home, "bin", "mariadbd"), append(common, //nolint:gosec // of the cache
		"--bind-address=127.0.0.1", "--port="+port, "--socket=socket", "--tmpdir="+m.data, "--skip-name-resolve", "--skip-ssl",
		"--server-id=1", "--log-bin=binlog", "--binlog-format=ROW", "--binlog-row-image=FULL",
		"--character-set-server=utf8mb4", "--innodb-buffer-pool-size=32M", "--innodb-flush-log-at-trx-commit=0")...)
	c, err := startChild("mariadb", cmd, nil, log)
	if err != nil {
		return nil, err
	}
	return c, c.awaitReady(ctx, c.said("ready for connections"))
}
