package redis_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/freshet-io/freshet/libs/fake/local"
	"github.com/freshet-io/freshet/libs/fake/local/localtest"
)

// startCluster starts three servers that share the keys out among them, and end with the test. With certificates they
// speak TLS with each other, too. It returns when each of them knows all slots' owners.
func startCluster(t *testing.T, o local.RedisOptions) []*local.Redis {
	t.Helper()
	const slots = 16384 // places for keys in a cluster
	o.Args = append([]string{"--cluster-enabled", "yes"}, o.Args...)
	nodes := []*local.Redis{localtest.Redis(t, o), localtest.Redis(t, o), localtest.Redis(t, o)}
	for i, n := range nodes {
		first, next := i*slots/len(nodes), (i+1)*slots/len(nodes)
		host, port := n.Among()
		_, err := n.Do(t.Context(), "CLUSTER", "ADDSLOTSRANGE", strconv.Itoa(first), strconv.Itoa(next-1))
		_, errMeet := nodes[0].Do(t.Context(), "CLUSTER", "MEET", host, port, n.Bus())
		if err := errors.Join(err, errMeet); err != nil {
			t.Fatal(err)
		}
	}
	for _, n := range nodes {
		awaitInfo(t, n, "the nodes are one cluster", "cluster_state:ok", "CLUSTER", "INFO")
	}
	return nodes
}

// sentinel is a master, its replica, and what makes the replica the master where that one is away for a second.
type sentinel struct {
	*local.Redis // the sentinel itself

	nodes  []*local.Redis
	master string // the name of the master
}

// startSentinel starts the three, which end with the test, and returns when the sentinel knows both others, and the replica
// has what the master has. With certificates they speak TLS with each other, too.
func startSentinel(t *testing.T, o local.RedisOptions) sentinel {
	t.Helper()
	master := localtest.Redis(t, o)
	host, port := master.Among()
	one := o
	one.Args = append([]string{"--replicaof", host, port}, o.Args...)
	replica := localtest.Redis(t, one)
	s := sentinel{nodes: []*local.Redis{master, replica}, master: "mymaster"}
	server := localtest.Server(t, nil, local.Description{
		Name: "sentinel", Ports: 2, Ready: local.RedisReady,
		Command: func(_ context.Context, server *local.Server) (*exec.Cmd, error) {
			settings := append(o.Secure(server), "port "+server.Port(0), "bind 127.0.0.1", fmt.Sprintf("sentinel monitor %s %s %s 1", s.master, host, port),
				"sentinel down-after-milliseconds "+s.master+" 1000", "sentinel failover-timeout "+s.master+" 5000")
			config := filepath.Join(server.Data, "sentinel.conf") // the sentinel writes into it
			if err := os.WriteFile(config, []byte(strings.Join(settings, "\n")+"\n"), 0o600); err != nil {
				return nil, err
			}
			return local.RedisCommand(server, config, "--sentinel")
		},
	})
	s.Redis = &local.Redis{Address: server.Address(0), Secure: server.Address(1), Server: server}
	awaitInfo(t, s.Redis, "the sentinel knows the replica", "slaves=1", "INFO", "sentinel")
	awaitInfo(t, replica, "the replica is in sync", "master_link_status:up", "INFO", "replication")
	return s
}

// awaitInfo waits until a server's answer to a command says something.
func awaitInfo(t *testing.T, n *local.Redis, what, said string, command ...string) {
	t.Helper()
	until(t, what, func() bool {
		info, err := n.Do(t.Context(), command...)
		return err == nil && strings.Contains(info, said)
	})
}
