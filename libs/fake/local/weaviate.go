package local

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"slices"
	"strconv"
	"time"
)

// WeaviateOptions says how to start Weaviate. The zero value is good for a test.
type WeaviateOptions struct {
	Data string    // folder of the data, made if missing; empty: a temporary one that Stop removes
	Log  io.Writer // gets the server's log; nil: nowhere (errors carry its last line). It must be safe to write to at any time
	Env  []string  // further settings as NAME=value; they win over the ones made here
	Wrap []string  // a command that the server's is appended to, as arguments; it becomes the server by exec
}

// Weaviate is a running Weaviate server. All methods are safe for concurrent use.
type Weaviate struct {
	REST   string // host:port of the HTTP API, loopback only
	GRPC   string // host:port of the gRPC API
	APIKey string // random for each start; the only way in

	*server
}

// StartWeaviate starts the server from the cache and returns when it is ready on both ports. The caller stops it. ctx
// bounds the start only; the server lives on when it ends.
func StartWeaviate(ctx context.Context, o WeaviateOptions) (*Weaviate, error) {
	binary, err := WeaviatePath()
	if err != nil {
		return nil, err
	}
	s, err := newServer("weaviate", o.Data)
	if err != nil {
		return nil, err
	}
	w := &Weaviate{APIKey: rand.Text(), server: s}
	var env []string
	s.launch = func(ctx context.Context) (*child, error) {
		return w.launchAs(ctx, append(slices.Clone(o.Wrap), binary), slices.Concat(env, o.Env), o.Log, w.ready)
	}
	err = s.startFirst(ctx, portsOfWeaviate, func(ports []int) {
		w.listenAt(ports)
		env = append(weaviateEnv(s.data, w.APIKey, ports), "CLUSTER_HOSTNAME=node1", "RAFT_BOOTSTRAP_EXPECT=1")
	})
	if err != nil {
		return nil, err
	}
	return w, nil
}

// portsOfWeaviate is how many ports one server has: HTTP, gRPC, gossip, data, raft and raft's calls, in this order.
const portsOfWeaviate = 6

func (w *Weaviate) listenAt(ports []int) { w.REST, w.GRPC = loopback(ports[0]), loopback(ports[1]) }

// launchAs starts the server's process and returns when it is ready.
func (w *Weaviate) launchAs(ctx context.Context, command, env []string, log io.Writer, ready func(context.Context) error) (*child, error) {
	host, port, err := net.SplitHostPort(w.REST)
	if err != nil {
		return nil, fmt.Errorf("starting %s: %w", w.name, err)
	}
	// ctx is the start's: its end must not kill the server.
	cmd := exec.CommandContext(context.WithoutCancel(ctx), command[0], append(command[1:], "--host", host, "--port", port, "--scheme", "http")...) //nolint:gosec // a test's own
	cmd.Dir = w.data
	c, err := startChild(w.name, cmd, env, log)
	if err != nil {
		return nil, err
	}
	return c, c.awaitReady(ctx, ready)
}

// weaviateEnv returns the settings of a node on this machine, but for its name and the others. The gRPC and cluster ports listen on all interfaces
// whatever is set, so a key is always asked for. Without CLUSTER_IN_LOCALHOST, CLUSTER_ADVERTISE_ADDR and
// RAFT_BOOTSTRAP_EXPECT a machine without a default route ends it at once; the RAFT times halve its start.
func weaviateEnv(data, key string, ports []int) []string {
	env := []string{
		"PERSISTENCE_DATA_PATH=" + data,
		"AUTHENTICATION_ANONYMOUS_ACCESS_ENABLED=false",
		"AUTHENTICATION_APIKEY_ENABLED=true",
		"AUTHENTICATION_APIKEY_ALLOWED_KEYS=" + key,
		"AUTHENTICATION_APIKEY_USERS=freshet",
		"AUTHORIZATION_ADMINLIST_ENABLED=true",
		"AUTHORIZATION_ADMINLIST_USERS=freshet",
		"AUTOSCHEMA_ENABLED=false",
		"DEFAULT_VECTORIZER_MODULE=none",
		"DISABLE_TELEMETRY=true",
		"GO_PROFILING_DISABLE=true",
		"CLUSTER_IN_LOCALHOST=true",
		"CLUSTER_ADVERTISE_ADDR=127.0.0.1",
		"RAFT_HEARTBEAT_TIMEOUT=1",
		"RAFT_ELECTION_TIMEOUT=1",
		"RAFT_LEADER_LEASE_TIMEOUT=1",
		"RAFT_TIMEOUTS_MULTIPLIER=1",
	}
	for i, name := range []string{
		"GRPC_PORT", "CLUSTER_GOSSIP_BIND_PORT", "CLUSTER_DATA_BIND_PORT", "RAFT_PORT", "RAFT_INTERNAL_RPC_PORT",
	} {
		env = append(env, name+"="+strconv.Itoa(ports[i+1]))
	}
	return env
}

// ready asks once whether both ports answer. The HTTP port says that the schema has a leader; the gRPC port opens on its
// own.
func (w *Weaviate) ready(ctx context.Context) error {
	if err := w.get(ctx, "/v1/.well-known/ready", nil); err != nil {
		return err
	}
	conn, err := (&net.Dialer{Timeout: askLimit}).DialContext(ctx, "tcp", w.GRPC)
	if err != nil {
		return fmt.Errorf("asking weaviate: %w", err)
	}
	return conn.Close()
}

// askLimit bounds one question whether the server is ready.
const askLimit = 2 * time.Second

// get asks once for a path of the HTTP API, and reads the JSON of the answer where out is not nil.
func (w *Weaviate) get(ctx context.Context, path string, out any) error {
	ctx, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+w.REST+path, http.NoBody)
	if err != nil {
		return fmt.Errorf("asking weaviate: %w", err)
	}
	req.Header.Set("Authorization", "Bearer "+w.APIKey)
	// A transport of its own: no idle connection is left behind, and no proxy setting applies to loopback.
	resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
	if err != nil {
		return fmt.Errorf("asking weaviate: %w", err)
	}
	defer func() { _ = resp.Body.Close() }() // it was only read
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("asking weaviate: it answers %s", resp.Status)
	}
	if out == nil {
		return nil
	}
	if err := json.NewDecoder(resp.Body).Decode(out); err != nil {
		return fmt.Errorf("asking weaviate: %w", err)
	}
	return nil
}
