package local

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
)

// Ports are taken from below the range that the system gives to outgoing connections (32768 and up): a port out of that
// range could be lent to some client while a killed server is away, and its restart on the same port would fail.
// Kubernetes' node ports (30000 and up) are left alone too.
const (
	firstPort = 15000
	lastPort  = 29999
)

// freePorts returns n ports in a row that nobody listened on a moment ago: Weaviate's nodes take it that the cluster's
// ports follow each other, and one with scattered ports never becomes ready. Another process may take one of them before
// the server does; startOnFreePorts tries again then.
func freePorts(ctx context.Context, n int) ([]int, error) {
	for range 100 {
		first := firstPort + rand.IntN(lastPort-firstPort-n)
		if ports := freeRow(ctx, first, n); ports != nil {
			return ports, nil
		}
	}
	return nil, fmt.Errorf("finding %d free ports between %d and %d", n, firstPort, lastPort)
}

// freeRow returns the n ports from first on, or nil where one of them is taken.
func freeRow(ctx context.Context, first, n int) []int {
	ports := make([]int, n)
	for i := range ports {
		ports[i] = first + i
		// All interfaces, because Weaviate listens on all of them with most of its ports.
		l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", ":"+strconv.Itoa(ports[i]))
		if err != nil {
			return nil
		}
		defer func() { _ = l.Close() }()
	}
	return ports
}

// errPortTaken says that a server ended at once because another process had one of its ports.
var errPortTaken = errors.New("a port was taken")

// startOnFreePorts calls start with n free ports, and again with others while it fails with errPortTaken.
func startOnFreePorts(ctx context.Context, n int, start func(ports []int) error) error {
	var err error
	for range 5 {
		var ports []int
		if ports, err = freePorts(ctx, n); err != nil {
			return err
		}
		if err = start(ports); !errors.Is(err, errPortTaken) {
			return err
		}
	}
	return err
}

func loopback(port int) string {
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
}
