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

	*Server
}

// StartRedis starts a server from the cache and returns when it answers. The caller stops it. ctx bounds the start only.
func StartRedis(ctx context.Context, o RedisOptions) (*Redis, error) {
	s, err := Start(ctx, Description{
		Name: "redis", Data: o.Data, Ports: 3, Log: o.Log, Ready: RedisReady,
		Command: func(_ context.Context, s *Server) (*exec.Cmd, error) {
			args := []string{
				"--port", s.Port(0), "--cluster-port", s.Port(2), "--bind", "127.0.0.1", "--dir", s.Data,
				"--appendonly", "yes", "--appendfsync", "always", "--save", "",
			}
			for _, setting := range o.Secure(s) {
				name, value, _ := strings.Cut(setting, " ")
				args = append(args, "--"+name, value)
			}
			return RedisCommand(s, append(args, o.Args...)...)
		},
	})
	if err != nil {
		return nil, err
	}
	r := &Redis{Address: s.Address(0), Server: s}
	if o.CA != "" {
		r.Secure = s.Address(1)
	}
	return r, nil
}

// Secure returns the settings of TLS at a server's second port, also among servers, where there is TLS.
func (o RedisOptions) Secure(s *Server) []string {
	if o.CA == "" {
		return nil
	}
	return []string{
		"tls-port " + s.Port(1), "tls-ca-cert-file " + o.CA, "tls-cert-file " + o.Cert, "tls-key-file " + o.Key,
		"tls-replication yes", "tls-cluster yes",
	}
}

// Among returns where other servers of its kind reach it.
func (r *Redis) Among() (host, port string) {
	host, port, _ = strings.Cut(cmp.Or(r.Secure, r.Address), ":")
	return host, port
}

// Bus returns the port for the other nodes of a cluster.
func (r *Redis) Bus() string { return r.Port(2) }

// RedisCommand returns the command that runs redis-server with arguments.
func RedisCommand(s *Server, args ...string) (*exec.Cmd, error) {
	path, err := RedisPackage.Path("usr", "bin", "redis-server")
	if err != nil {
		return nil, err
	}
	lib := filepath.Join(filepath.Dir(path), "..", "..", "lib")
	return &exec.Cmd{Path: path, Args: append([]string{path}, args...), Dir: s.Data, Env: []string{"LD_LIBRARY_PATH=" + lib}}, nil
}

// RedisReady asks once whether a server answers at its first port.
func RedisReady(ctx context.Context, s *Server) error {
	_, err := (&Redis{Address: s.Address(0)}).Do(ctx, "PING")
	if err != nil && strings.Contains(err.Error(), "NOAUTH") {
		return nil // it answers, and has a password
	}
	return err
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
