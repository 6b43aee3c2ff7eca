package local

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
)

// Postgres is a running PostgreSQL with logical replication, on loopback only. Its superuser is postgres, without a
// password. It does not wait for the disk: a kill loses nothing, a power cut would. All methods are safe for concurrent
// use.
type Postgres struct {
	Address string // host:port

	*server
}

// StartPostgres starts PostgreSQL from the cache, with an empty temporary data folder, and returns when it takes
// connections. log gets what it says; nil: nowhere. The caller stops it, after its clients have left: it waits for them.
// ctx bounds the start only.
func StartPostgres(ctx context.Context, log io.Writer) (*Postgres, error) {
	home, err := PostgresHome()
	if err != nil {
		return nil, err
	}
	s, err := newServer("postgres", "")
	if err != nil {
		return nil, err
	}
	p := &Postgres{server: s}
	s.launch = func(ctx context.Context) (*child, error) { return p.start(ctx, home, log) }
	if err := s.startFirst(ctx, 1, func(ports []int) { p.Address = loopback(ports[0]) }); err != nil {
		return nil, err
	}
	return p, nil
}

// start makes the data folder, where that is new, and starts the server.
func (p *Postgres) start(ctx context.Context, home string, log io.Writer) (*child, error) {
	data := filepath.Join(p.data, "data")
	if _, err := os.Stat(data); err != nil {
		if err := initialise(ctx, home, data); err != nil {
			return nil, err
		}
	}
	_, port, err := net.SplitHostPort(p.Address)
	if err != nil {
		return nil, fmt.Errorf("starting postgres: %w", err)
	}
	args := []string{"-D", data, "-p", port}
	for _, setting := range []string{
		"listen_addresses=127.0.0.1", "unix_socket_directories=", "wal_level=logical", "fsync=off", "shared_buffers=32MB",
		"dynamic_shared_memory_type=mmap", // in the data folder, where a kill leaves nothing behind
	} {
		args = append(args, "-c", setting)
	}
	// ctx is the start's: its end must not kill the server.
	cmd := exec.CommandContext(context.WithoutCancel(ctx), filepath.Join(home, "bin", "postgres"), args...)
	cmd.SysProcAttr = unprivileged()
	c, err := startChild("postgres", cmd, []string{"LC_ALL=C"}, log)
	if err != nil {
		return nil, err
	}
	return c, c.awaitReady(ctx, c.said("ready to accept connections"))
}

func initialise(ctx context.Context, home, data string) error {
	cmd := exec.CommandContext(ctx, filepath.Join(home, "bin", "initdb"), "-D", data, "-U", "postgres", "-A", "trust",
		"-E", "UTF8", "--locale=C", "--no-sync")
	cmd.Env = []string{"LC_ALL=C"}
	cmd.SysProcAttr = unprivileged()
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("making postgres's folder: %w: %s", err, out)
	}
	return nil
}
