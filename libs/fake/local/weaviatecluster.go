package local

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strings"
)

// WeaviateClusterOptions says how to start three Weaviate servers. The zero value is good for a test.
type WeaviateClusterOptions struct {
	Log io.Writer // gets the servers' logs; nil: nowhere. It must be safe to write to at any time
	Env []string  // further settings of each server as NAME=value; they win over the ones made here
}

// WeaviateCluster is three servers on this machine that are one Weaviate: a collection may have three copies, of which
// two are a majority. Its data is temporary.
type WeaviateCluster struct {
	nodes  []*Weaviate
	quorum int // nodes that a starting one must see, itself among them

	*cluster
}

// StartWeaviateCluster starts three servers from the cache and returns when each of them sees the others. The caller
// stops them. ctx bounds the start only. It takes about 400 MB and 6 s.
func StartWeaviateCluster(ctx context.Context, o WeaviateClusterOptions) (*WeaviateCluster, error) {
	binary, err := WeaviatePath()
	if err != nil {
		return nil, err
	}
	w := &WeaviateCluster{quorum: clusterNodes}
	w.cluster, err = startCluster(ctx, "weaviate", portsOfWeaviate, func(c *cluster, ports []int) error {
		return w.layOut(c, o, binary, ports)
	})
	if err != nil {
		return nil, err
	}
	w.quorum = clusterNodes/2 + 1 // a node must come back while another one is away
	return w, nil
}

func (w *WeaviateCluster) layOut(c *cluster, o WeaviateClusterOptions, binary string, ports []int) error {
	var gossip, raft []string
	for i := range clusterNodes {
		own := ports[i*portsOfWeaviate:]
		gossip, raft = append(gossip, loopback(own[2])), append(raft, fmt.Sprintf("node%d:%d", i+1, own[4]))
	}
	key := rand.Text()
	w.nodes = nil
	for i := range clusterNodes {
		s, err := c.add(ports[i*portsOfWeaviate:], Description{
			Name: fmt.Sprintf("weaviate-%d", i+1), Log: o.Log,
			Command: func(_ context.Context, s *Server) (*exec.Cmd, error) {
				return weaviateCommand(s, []string{binary}, slices.Concat(weaviateEnv(s, key), []string{
					fmt.Sprintf("CLUSTER_HOSTNAME=node%d", i+1),
					// All of them, itself too: it is no error then that no other one is there yet.
					"CLUSTER_JOIN=" + strings.Join(gossip, ","),
					"RAFT_JOIN=" + strings.Join(raft, ","),
					fmt.Sprintf("RAFT_BOOTSTRAP_EXPECT=%d", clusterNodes),
				}, o.Env))
			},
			Ready: func(ctx context.Context, s *Server) error { return w.joined(ctx, s, key) },
		})
		if err != nil {
			return err
		}
		w.nodes = append(w.nodes, weaviateOf(s, key))
	}
	return nil
}

// joined asks once whether a node is ready and sees a quorum.
func (w *WeaviateCluster) joined(ctx context.Context, s *Server, key string) error {
	if err := weaviateReady(ctx, s, key); err != nil {
		return err
	}
	var seen struct{ Nodes []struct{ Status string } }
	if err := askWeaviate(ctx, s, key, "/v1/nodes", &seen); err != nil {
		return err
	}
	healthy := 0
	for _, other := range seen.Nodes {
		if other.Status == "HEALTHY" {
			healthy++
		}
	}
	if healthy < w.quorum {
		return errors.New("asking weaviate: the node has not joined yet")
	}
	return nil
}

// Nodes returns the servers, which share a key. Kill and Restart are those of a server of its own, but that a restarted
// one is ready when it sees another; Stop is the cluster's.
func (w *WeaviateCluster) Nodes() []*Weaviate { return w.nodes }
