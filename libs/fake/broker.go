// Package fake owns the stand-ins that tests and `freshet dev` run against: a
// Kafka broker inside the process here, real servers as child processes in local.
//
// It is a module of its own, so that no service's binary carries a stand-in.
package fake

import (
	"fmt"
	"strings"

	"github.com/twmb/franz-go/pkg/kfake"
)

// Broker is a Kafka broker inside this process. It lacks quotas, OAUTHBEARER and
// real replication; its groups, offsets, transactions and topic ids are like Kafka's.
type Broker struct{ cluster *kfake.Cluster }

// StartBroker starts a broker on a free port of the loopback address. With a data
// folder its log is on disk and outlives it; without, all of it stays in memory.
func StartBroker(data string) (*Broker, error) {
	options := []kfake.Opt{kfake.NumBrokers(1)}
	if data != "" {
		options = append(options, kfake.DataDir(data))
	}
	cluster, err := kfake.NewCluster(options...)
	if err != nil {
		return nil, fmt.Errorf("starting the broker inside this process: %w", err)
	}
	return &Broker{cluster}, nil
}

// Brokers returns the broker's address, host:port.
func (b *Broker) Brokers() string { return strings.Join(b.cluster.ListenAddrs(), ",") }

// Close stops the broker.
func (b *Broker) Close() { b.cluster.Close() }
