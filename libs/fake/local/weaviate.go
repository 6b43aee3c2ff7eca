package local

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"net"
	"os/exec"
	"slices"
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

	*Server
}

// StartWeaviate starts the server from the cache and returns when it is ready on both ports. The caller stops it. ctx
// bounds the start only; the server lives on when it ends.
func StartWeaviate(ctx context.Context, o WeaviateOptions) (*Weaviate, error) {
	binary, err := WeaviatePath()
	if err != nil {
		return nil, err
	}
	key := rand.Text()
	s, err := Start(ctx, Description{
		Name: "weaviate", Data: o.Data, Ports: portsOfWeaviate, Log: o.Log,
		Command: func(_ context.Context, s *Server) (*exec.Cmd, error) {
			env := append(weaviateEnv(s, key), "CLUSTER_HOSTNAME=node1", "RAFT_BOOTSTRAP_EXPECT=1")
			return weaviateCommand(s, append(slices.Clone(o.Wrap), binary), append(env, o.Env...))
		},
		Ready: func(ctx context.Context, s *Server) error { return weaviateReady(ctx, s, key) },
	})
	if err != nil {
		return nil, err
	}
	return weaviateOf(s, key), nil
}

// portsOfWeaviate is how many ports one server has: HTTP, gRPC, gossip, data, raft and raft's calls, in this order.
const portsOfWeaviate = 6

func weaviateOf(s *Server, key string) *Weaviate {
	return &Weaviate{REST: s.Address(0), GRPC: s.Address(1), APIKey: key, Server: s}
}

func weaviateCommand(s *Server, command, env []string) (*exec.Cmd, error) {
	path, err := exec.LookPath(command[0])
	if err != nil {
		return nil, fmt.Errorf("looking for %s: %w", command[0], err)
	}
	args := append(slices.Clone(command), "--host", "127.0.0.1", "--port", s.Port(0), "--scheme", "http")
	return &exec.Cmd{Path: path, Args: args, Dir: s.Data, Env: env}, nil
}

// weaviateEnv returns the settings of a node on this machine, but for its name and the others. The gRPC and cluster ports listen on all interfaces
// whatever is set, so a key is always asked for. Without CLUSTER_IN_LOCALHOST, CLUSTER_ADVERTISE_ADDR and
// RAFT_BOOTSTRAP_EXPECT a machine without a default route ends it at once; the RAFT times halve its start.
func weaviateEnv(s *Server, key string) []string {
	env := []string{
		"PERSISTENCE_DATA_PATH=" + s.Data,
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
		env = append(env, name+"="+s.Port(i+1))
	}
	return env
}

// weaviateReady asks once whether both ports answer. The HTTP port says that the schema has a leader; the gRPC port opens
// on its own.
func weaviateReady(ctx context.Context, s *Server, key string) error {
	if err := askWeaviate(ctx, s, key, "/v1/.well-known/ready", nil); err != nil {
		return err
	}
	conn, err := (&net.Dialer{Timeout: askLimit}).DialContext(ctx, "tcp", s.Address(1))
	if err != nil {
		return fmt.Errorf("asking weaviate: %w", err)
	}
	return conn.Close()
}

func askWeaviate(ctx context.Context, s *Server, key, path string, out any) error {
	return Ask(ctx, "weaviate", "http://"+s.Address(0)+path, key, out)
}
