package local

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// RedisCluster is three servers on this machine that share the keys out among them. Its data is temporary.
type RedisCluster struct {
	Nodes []*Redis

	*cluster
}

const (
	slots           = 16384 // places for keys in a cluster
	portsOfOneRedis = 3     // for clients, for those with TLS, and for the other nodes
)

// StartRedisCluster starts three servers from the cache and returns when they are one. With certificates they speak TLS with
// each other, too. The caller stops them.
func StartRedisCluster(ctx context.Context, o RedisOptions) (*RedisCluster, error) {
	r := &RedisCluster{}
	var buses []int
	var err error
	r.cluster, err = startCluster(ctx, "redis", portsOfOneRedis, func(c *cluster, ports []int) error {
		r.Nodes, buses = nil, nil
		for own := range slices.Chunk(ports, portsOfOneRedis) {
			one, bus := o, own[portsOfOneRedis-1]
			one.Args = append([]string{"--cluster-enabled", "yes", "--cluster-port", strconv.Itoa(bus)}, o.Args...)
			s, err := c.add(own, redisDescription(one))
			if err != nil {
				return err
			}
			r.Nodes, buses = append(r.Nodes, redisOf(s, o)), append(buses, bus)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if err := r.join(ctx, buses); err != nil {
		_ = r.Stop(ctx) // that they did not join is the error worth having
		return nil, err
	}
	return r, nil
}

// join shares out the slots, has the nodes meet, and waits until each of them knows all slots' owners.
func (r *RedisCluster) join(ctx context.Context, buses []int) error {
	each := slots / len(r.Nodes)
	for i, n := range r.Nodes {
		first, last := i*each, (i+1)*each-1
		if i == len(r.Nodes)-1 {
			last = slots - 1
		}
		if _, err := n.Do(ctx, "CLUSTER", "ADDSLOTSRANGE", strconv.Itoa(first), strconv.Itoa(last)); err != nil {
			return err
		}
		host, port := n.among()
		if _, err := r.Nodes[0].Do(ctx, "CLUSTER", "MEET", host, port, strconv.Itoa(buses[i])); err != nil {
			return err
		}
	}
	return until(ctx, "redis's nodes are one cluster", func() error {
		for _, n := range r.Nodes {
			if info, err := n.Do(ctx, "CLUSTER", "INFO"); err != nil || !strings.Contains(info, "cluster_state:ok") {
				return errors.Join(err, errors.New("not all slots have an owner"))
			}
		}
		return nil
	})
}

// RedisSentinel is a master, its replica, and a sentinel that makes the replica the master where that one is away for a
// second. Their data is temporary.
type RedisSentinel struct {
	Sentinel string // host:port
	Secure   string // of the sentinel, with TLS; empty where none was asked for
	Master   string // the name of the master
	Nodes    []*Redis
	Watch    *Redis // the sentinel itself

	servers []*Redis
	data    string
}

// StartRedisSentinel starts the three from the cache and returns when the sentinel knows both others, and the replica has
// what the master has. With certificates they speak TLS with each other, too. The caller stops them.
func StartRedisSentinel(ctx context.Context, o RedisOptions) (*RedisSentinel, error) {
	data, err := os.MkdirTemp("", "freshet-sentinel-")
	if err != nil {
		return nil, fmt.Errorf("making a folder for the sentinel: %w", err)
	}
	r := &RedisSentinel{Master: "mymaster", data: data}
	if err := r.start(ctx, o); err != nil {
		_ = r.Stop(ctx) // that they did not start is the error worth having
		return nil, err
	}
	return r, nil
}

func (r *RedisSentinel) start(ctx context.Context, o RedisOptions) error {
	for i := range 2 {
		one := o
		one.Data = filepath.Join(r.data, strconv.Itoa(i))
		if i > 0 {
			host, port := r.Nodes[0].among()
			one.Args = append([]string{"--replicaof", host, port}, o.Args...)
		}
		n, err := StartRedis(ctx, one)
		if err != nil {
			return err
		}
		r.Nodes, r.servers = append(r.Nodes, n), append(r.servers, n)
	}
	s, err := Start(ctx, Description{
		Name: "sentinel", Data: filepath.Join(r.data, "sentinel"), Ports: 2, Log: o.Log, Ready: redisReady,
		Command: func(_ context.Context, s *Server) (*exec.Cmd, error) { return r.watchBy(s, o) },
	})
	if err != nil {
		return err
	}
	watch := redisOf(s, o)
	r.Watch, r.Sentinel, r.Secure = watch, watch.Address, watch.Secure
	r.servers = append(r.servers, watch)
	return until(ctx, "the sentinel knows the replica", func() error {
		known, err := watch.Do(ctx, "INFO", "sentinel")
		if err != nil || !strings.Contains(known, "slaves=1") {
			return errors.Join(err, errors.New("it has none"))
		}
		state, err := r.Nodes[1].Do(ctx, "INFO", "replication")
		if err != nil || !strings.Contains(state, "master_link_status:up") {
			return errors.Join(err, errors.New("it is not in sync"))
		}
		return nil
	})
}

// watchBy returns the sentinel's command.
func (r *RedisSentinel) watchBy(s *Server, o RedisOptions) (*exec.Cmd, error) {
	host, port := r.Nodes[0].among()
	settings := append(o.secure(s), "port "+s.Port(0), "bind 127.0.0.1", fmt.Sprintf("sentinel monitor %s %s %s 1", r.Master, host, port),
		"sentinel down-after-milliseconds "+r.Master+" 1000", "sentinel failover-timeout "+r.Master+" 5000")
	config := filepath.Join(s.Data, "sentinel.conf") // the sentinel writes into it
	if err := os.WriteFile(config, []byte(strings.Join(settings, "\n")+"\n"), 0o600); err != nil {
		return nil, fmt.Errorf("writing the sentinel's settings: %w", err)
	}
	return redisCommand(s, config, "--sentinel")
}

// Stop ends the servers and removes their data.
func (r *RedisSentinel) Stop(ctx context.Context) error {
	var errs []error
	for _, s := range slices.Backward(r.servers) {
		errs = append(errs, s.Stop(ctx))
	}
	return errors.Join(append(errs, os.RemoveAll(r.data))...)
}

// until waits until something holds.
func until(ctx context.Context, what string, holds func() error) error {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	for {
		err := holds()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting until %s: %w", what, err)
		case <-time.After(pollEvery):
		}
	}
}
