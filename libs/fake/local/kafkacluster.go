package local

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
)

// clusterNodes is the least number of brokers with which one may be away: each partition has three replicas, and a
// record is acknowledged when two have it.
const (
	clusterNodes    = 3
	clusterInSync   = 2
	portsOfOneNode  = 3
	clusterTempName = "freshet-kafkas-"
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
	data  string
}

// KafkaNode is one broker of a cluster. Kill and Restart are those of a server of its own; Stop is the cluster's.
type KafkaNode struct {
	ID int // Kafka's, from 1

	node   *node
	server *server
}

// PID returns the id of the broker's process, 0 where it does not run.
func (n *KafkaNode) PID() int { return n.server.PID() }

// Listens returns the address at which the broker listens for clients.
func (n *KafkaNode) Listens() string { return n.node.Listens }

// Kill ends the broker at once, as kill -9 and a crash do, and returns when it is gone.
func (n *KafkaNode) Kill() error { return n.server.Kill() }

// Restart starts the broker again, and returns when it takes part in the cluster.
func (n *KafkaNode) Restart(ctx context.Context) error { return n.server.Restart(ctx) }

// StartKafkaCluster starts three brokers from the cache and returns when all of them take part. The caller stops them.
// ctx bounds the start only. It takes about 500 MB and 6 s.
func StartKafkaCluster(ctx context.Context, o KafkaClusterOptions) (*KafkaCluster, error) {
	java, home, err := findKafka()
	if err != nil {
		return nil, err
	}
	k := &KafkaCluster{}
	if k.data, err = os.MkdirTemp("", clusterTempName); err != nil {
		return nil, fmt.Errorf("making a folder for kafka: %w", err)
	}
	err = startOnFreePorts(ctx, clusterNodes*portsOfOneNode, func(ports []int) error {
		if err := k.layOut(o, java, home, ports); err != nil {
			return err
		}
		return k.start(ctx)
	})
	if err != nil {
		_ = os.RemoveAll(k.data)
		return nil, err
	}
	return k, nil
}

// layOut describes the nodes on the given ports.
func (k *KafkaCluster) layOut(o KafkaClusterOptions, java, home string, ports []int) error {
	var brokers, quorum, voters []string
	k.nodes = nil
	for i := range clusterNodes {
		own := ports[i*portsOfOneNode:]
		name := fmt.Sprintf("kafka-%d", i+1)
		n := &node{
			ID: i + 1, Replicas: clusterNodes, InSync: clusterInSync,
			Listens: loopback(own[0]), Advertised: loopback(own[0]), Internal: loopback(own[1]), Controller: loopback(own[2]),
			// Of the ports, too: what a start left that found one taken is of no use on others.
			jvm: jvm{java: java, home: home, data: filepath.Join(k.data, fmt.Sprintf("%s-%d", name, own[0]))},
		}
		if o.Advertise != nil {
			var err error
			if n.Advertised, err = o.Advertise(n.ID, n.Listens); err != nil {
				return fmt.Errorf("advertising kafka's node %d: %w", n.ID, err)
			}
		}
		brokers, quorum = append(brokers, n.Advertised), append(quorum, n.Controller)
		voters = append(voters, fmt.Sprintf("%d@%s:%s", n.ID, n.Controller, directoryID(n.ID)))
		s, err := newServer(name, n.data)
		if err != nil {
			return err
		}
		k.nodes = append(k.nodes, &KafkaNode{ID: n.ID, node: n, server: s})
	}
	k.Brokers = strings.Join(brokers, ",")
	for _, n := range k.nodes {
		n.node.Quorum = strings.Join(quorum, ",")
		n.server.launch = func(ctx context.Context) (*child, error) {
			return n.node.launch(ctx, n.server.name, o.Log, "--initial-controllers", strings.Join(voters, ","))
		}
	}
	return nil
}

// directoryID is any 16 bytes in base64url, another one for each node.
func directoryID(node int) string { return fmt.Sprintf("3zcCAAAAQACAAAAAAAAA%cA", 'A'+node) }

// start starts all nodes side by side: none is ready before a second one is.
func (k *KafkaCluster) start(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	errs := make([]error, len(k.nodes))
	var all sync.WaitGroup
	for i, n := range k.nodes {
		all.Go(func() {
			var c *child
			if c, errs[i] = n.server.launch(ctx); errs[i] != nil {
				cancel() // the others could wait long for this one
				return
			}
			n.server.child = c
		})
	}
	all.Wait()
	err := errors.Join(errs...)
	if err != nil {
		k.kill()
	}
	return err
}

// Nodes returns the brokers in the order of their ids.
func (k *KafkaCluster) Nodes() []*KafkaNode { return k.nodes }

// Stop ends the brokers and removes their data. It kills them: the last two could not hand anything over, and would try
// for long.
func (k *KafkaCluster) Stop(context.Context) error {
	k.kill()
	if err := os.RemoveAll(k.data); err != nil {
		return fmt.Errorf("removing the folder of kafka: %w", err)
	}
	return nil
}

func (k *KafkaCluster) kill() {
	for _, n := range k.nodes {
		_ = n.server.Kill() // an error means that it has ended already
		n.server.mu.Lock()
		n.server.child = nil
		n.server.mu.Unlock()
	}
}
