package local

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
)

// clusterNodes is the least number of nodes of which one may be away while the others are a majority.
const clusterNodes = 3

// cluster is what clusters of Weaviate and of Kafka have in common: servers on this machine that start together, and
// their temporary data.
type cluster struct {
	name    string
	data    string
	servers []*Server
}

// startCluster starts servers on free ports and returns when all are ready. layOut is called in the cluster's data
// folder, and again with other ports where one was taken; it says which servers there are.
func startCluster(ctx context.Context, name string, portsOfOne int, layOut func(c *cluster, ports []int) error) (*cluster, error) {
	c := &cluster{name: name}
	var err error
	if c.data, err = os.MkdirTemp("", "freshet-"+name+"s-"); err != nil {
		return nil, fmt.Errorf("making a folder for %s: %w", name, err)
	}
	err = startOnFreePorts(ctx, clusterNodes*portsOfOne, func(ports []int) error {
		c.servers = nil
		if err := layOut(c, ports); err != nil {
			return err
		}
		return c.start(ctx)
	})
	if err != nil {
		_ = os.RemoveAll(c.data)
		return nil, err
	}
	return c, nil
}

// add describes a node, which has the first of the given ports. Its folder is named after one of them, too: what a start
// left that found one taken is of no use on others.
func (c *cluster) add(ports []int, d Description) (*Server, error) {
	d.Data = filepath.Join(c.data, fmt.Sprintf("%s-%d", d.Name, ports[0]))
	s, err := newServer(d)
	if err != nil {
		return nil, err
	}
	s.ports = ports
	c.servers = append(c.servers, s)
	return s, nil
}

// start starts all nodes side by side: none is ready before a second one is.
func (c *cluster) start(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	errs := make([]error, len(c.servers))
	var all sync.WaitGroup
	for i, s := range c.servers {
		all.Go(func() {
			var started *child
			if started, errs[i] = s.launch(ctx); errs[i] != nil {
				cancel() // the others could wait long for this one
				return
			}
			s.child = started
		})
	}
	all.Wait()
	err := errors.Join(errs...)
	if err != nil {
		c.kill()
	}
	return err
}

// Stop ends the nodes and removes their data. It kills them: the last two could not hand anything over, and would try
// for long.
func (c *cluster) Stop(context.Context) error {
	c.kill()
	if err := os.RemoveAll(c.data); err != nil {
		return fmt.Errorf("removing the folder of %s: %w", c.name, err)
	}
	return nil
}

func (c *cluster) kill() {
	for _, s := range c.servers {
		_ = s.Kill() // an error means that it has ended already
		s.mu.Lock()
		s.child = nil
		s.mu.Unlock()
	}
}
