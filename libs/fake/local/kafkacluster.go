package local

import (
	"context"
	"fmt"
	"io"
	"os/exec"
	"strings"
)

const (
	clusterInSync  = 2 // of the three replicas of a partition have a record when it is acknowledged
	portsOfOneNode = 3
)

// KafkaClusterOptions says how to start three brokers. The zero value is good for a test.
type KafkaClusterOptions struct {
	Log io.Writer // gets the brokers' warnings and errors; nil: nowhere
	// Advertise, if set, returns the address under which clients are told to reach the node that listens for them at the
	// given one: a proxy's. It is called again, for a new address, where a port was taken. The brokers reach each other
	// without it.
	Advertise func(node int, listens string) (advertised string, err error)
}

// KafkaCluster is three brokers on this machine, each a controller too; topics get three replicas, of which two must be
// in sync. Its data is temporary.
type KafkaCluster struct {
	Brokers string // the seed brokers, separated by commas, as clients are told them

	nodes []*KafkaNode

	*cluster
}

// KafkaNode is one broker of a cluster. Kill and Restart are those of a server of its own; Stop is the cluster's.
type KafkaNode struct {
	ID int // Kafka's, from 1

	*Server
	node *node
}

// Listens returns the address at which the broker listens for clients.
func (n *KafkaNode) Listens() string { return n.node.Listens }

// StartKafkaCluster starts three brokers from the cache and returns when all of them take part. The caller stops them.
// ctx bounds the start only. It takes about 500 MB and 6 s.
func StartKafkaCluster(ctx context.Context, o KafkaClusterOptions) (*KafkaCluster, error) {
	java, err := kafkaJVM()
	if err != nil {
		return nil, err
	}
	k := &KafkaCluster{}
	k.cluster, err = startCluster(ctx, "kafka", portsOfOneNode, func(c *cluster, ports []int) error {
		return k.layOut(c, o, java, ports)
	})
	if err != nil {
		return nil, err
	}
	return k, nil
}

func (k *KafkaCluster) layOut(c *cluster, o KafkaClusterOptions, java JVM, ports []int) error {
	var brokers, quorum, voters []string
	k.nodes = nil
	for i := range clusterNodes {
		own := ports[i*portsOfOneNode:]
		n := &node{
			ID: i + 1, Replicas: clusterNodes, InSync: clusterInSync, JVM: java,
			Listens: loopback(own[0]), Advertised: loopback(own[0]), Internal: loopback(own[1]), Controller: loopback(own[2]),
		}
		if o.Advertise != nil {
			var err error
			if n.Advertised, err = o.Advertise(n.ID, n.Listens); err != nil {
				return fmt.Errorf("advertising kafka's node %d: %w", n.ID, err)
			}
		}
		brokers, quorum = append(brokers, n.Advertised), append(quorum, n.Controller)
		voters = append(voters, fmt.Sprintf("%d@%s:%s", n.ID, n.Controller, directoryID(n.ID)))
		s, err := c.add(own, Description{
			Name: fmt.Sprintf("kafka-%d", n.ID), Log: o.Log,
			Command: func(ctx context.Context, s *Server) (*exec.Cmd, error) {
				n.Quorum = strings.Join(quorum, ",")
				return n.launch(ctx, s, "--initial-controllers", strings.Join(voters, ","))
			},
			Ready: n.ready,
		})
		if err != nil {
			return err
		}
		k.nodes = append(k.nodes, &KafkaNode{ID: n.ID, node: n, Server: s})
	}
	k.Brokers = strings.Join(brokers, ",")
	return nil
}

// directoryID is any 16 bytes in base64url, another one for each node.
func directoryID(node int) string { return fmt.Sprintf("3zcCAAAAQACAAAAAAAAA%cA", 'A'+node) }

// Nodes returns the brokers in the order of their ids.
func (k *KafkaCluster) Nodes() []*KafkaNode { return k.nodes }
