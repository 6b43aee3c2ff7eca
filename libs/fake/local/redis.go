package local

import (
	"bufio"
	"cmp"
	"context"
	"fmt"
	"io"
	"net"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// RedisOptions says how to start Redis. The zero value is good for a test.
type RedisOptions struct {
	Data string    // folder of the data, made if missing; empty: a temporary one that Stop removes
	Log  io.Writer // gets the server's log; nil: nowhere (errors carry its last line)
	Args []string  // further settings, as on its command line; they win over the ones made here
	// CA, Cert and Key are files in PEM. With them a second port wants TLS and a client's certificate of the authority.
	CA, Cert, Key string
}

// Redis is a running Redis server, on loopback only. What it has acknowledged is on the disk: it forgets nothing when it
// is killed. All methods are safe for concurrent use.
type Redis struct {
	Address string // host:port
	Secure  string // host:port of the port with TLS, empty where none was asked for

	*server
}

// StartRedis starts a server from the cache and returns when it answers. The caller stops it. ctx bounds the start only.
func StartRedis(ctx context.Context, o RedisOptions) (*Redis, error) {
	s, err := newServer("redis", o.Data)
	if err != nil {
		return nil, err
	}
	r := &Redis{server: s}
	if err := s.startFirst(ctx, 2, func(ports []int) { r.layOut(o, ports) }); err != nil {
		return nil, err
	}
	return r, nil
}

// secure returns the settings of TLS, also among servers.
func (o RedisOptions) secure(port int) []string {
	return []string{
		"tls-port " + strconv.Itoa(port), "tls-ca-cert-file " + o.CA, "tls-cert-file " + o.Cert, "tls-key-file " + o.Key,
		"tls-replication yes", "tls-cluster yes",
	}
}

// among returns where other servers of its kind reach it.
func (r *Redis) among() (host, port string) {
	host, port, _ = strings.Cut(cmp.Or(r.Secure, r.Address), ":")
	return host, port
}

// layOut decides what the server is launched with; its second port is for TLS, where there is TLS.
func (r *Redis) layOut(o RedisOptions, ports []int) {
	r.Address = loopback(ports[0])
	args := []string{
		"--port", strconv.Itoa(ports[0]), "--bind", "127.0.0.1", "--dir", r.data,
		"--appendonly", "yes", "--appendfsync", "always", "--save", "",
	}
	if o.CA != "" {
		r.Secure = loopback(ports[1])
		for _, setting := range o.secure(ports[1]) {
			name, value, _ := strings.Cut(setting, " ")
			args = append(args, "--"+name, value)
		}
	}
	args = append(args, o.Args...)
	r.launch = func(ctx context.Context) (*child, error) { return r.launchWith(ctx, o.Log, args...) }
}

// launchWith starts the process and returns when it answers.
func (r *Redis) launchWith(ctx context.Context, log io.Writer, args ...string) (*child, error) {
	path, err := RedisPath()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(context.WithoutCancel(ctx), path, args...) //nolint:gosec // a test's own
	cmd.Dir = r.data
	lib := filepath.Join(filepath.Dir(path), "..", "..", "lib")
	c, err := startChild(r.name, cmd, []string{"LD_LIBRARY_PATH=" + lib}, log)
	if err != nil {
		return nil, err
	}
	return c, c.awaitReady(ctx, func(ctx context.Context) error {
		_, err := r.Do(ctx, "PING")
		if err != nil && strings.Contains(err.Error(), "NOAUTH") {
			return nil // it answers, and has a password
		}
		return err
	})
}

// Do sends one command over a connection of its own and returns the answer: a text or a number, or of a list its length.
func (r *Redis) Do(ctx context.Context, command ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", r.Address)
	if err != nil {
		return "", fmt.Errorf("asking redis: %w", err)
	}
	defer func() { _ = conn.Close() }() // it was only read
	if at, bounded := ctx.Deadline(); bounded {
		_ = conn.SetDeadline(at) // it is a connection of TCP
	}
	fmt.Fprintf(conn, "*%d\r\n", len(command))
	for _, arg := range command {
		fmt.Fprintf(conn, "$%d\r\n%s\r\n", len(arg), arg)
	}
	in := bufio.NewReader(conn)
	line, err := in.ReadString('\n')
	if err != nil {
		return "", fmt.Errorf("asking redis: %w", err)
	}
	kind, text := line[0], strings.TrimSpace(line[1:])
	switch kind {
	case '-':
		return "", fmt.Errorf("asking redis for %s: %s", command[0], text)
	case '$':
		n, _ := strconv.Atoi(text) // a bulk's length
		bulk := make([]byte, max(n, 0))
		_, err = io.ReadFull(in, bulk)
		return string(bulk), err
	}
	return text, nil
}
