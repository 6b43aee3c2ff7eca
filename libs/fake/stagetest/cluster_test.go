package stagetest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/freshet-io/freshet/libs/fake/local"
	"github.com/freshet-io/freshet/libs/fake/local/localtest"
	"github.com/freshet-io/freshet/libs/kafka"
	"github.com/freshet-io/freshet/libs/record"
	"github.com/freshet-io/freshet/libs/stage"
)

// TestCluster has changes flow through a stage over three brokers of which two must have each record, and takes one
// after the other away: the leader of what the stage reads, the active controller, and the network to the coordinator
// of the stage's group, for longer than its session. Each time a batch is with the handler.
func TestCluster_losesAndReordersNothingWhileALeaderAControllerAndTheNetworkFail(t *testing.T) {
	nodes := newFront(t)
	kafkas := localtest.KafkaCluster(t, local.KafkaClusterOptions{Advertise: nodes.advertise})
	c := &cluster{
		world: newWorldOn(t, broker{
			seeds:  strings.Split(kafkas.Brokers, ","),
			layout: kafka.Layout{Partitions: 4, Replication: 3, MinInSync: 2},
			slow:   true,
		}),
		kafkas: kafkas, gate: newGate(),
	}
	s := c.stage(c.gate.handle)
	s.Settings.SessionTimeout, s.Settings.RebalanceTimeout, s.Settings.Drain = 3*time.Second, 6*time.Second, 2*time.Second
	stop := c.run(s)
	flow := c.flow()
	for _, fault := range []struct {
		name     string
		replaced bool // another node takes the node's place: the brokers see a death, but not a network that only clients lack
		node     func() int
		strike   func(node int) (heal func())
	}{
		{"the leader of a source partition is killed", true, c.leader, c.kill},
		{"the active controller is killed", true, c.controller, c.kill},
		{"the network to the group's coordinator is cut", false, c.coordinator, func(node int) func() {
			heal := nodes.cut(node)
			t := time.NewTimer(s.Settings.SessionTimeout + 2*time.Second)
			return func() { <-t.C; heal() }
		}},
	} {
		node := fault.node()
		c.gate.close()
		c.gate.awaitOneInside(t)
		begin, unfinished := time.Now(), c.unfinished()
		heal := fault.strike(node)
		c.gate.open()
		if fault.replaced {
			sent := flow.sent.Load()
			c.await("changes go on to be sent", func(context.Context) (bool, error) { return flow.sent.Load() > sent+50, nil })
		}
		heal()
		healed := time.Now()
		c.passed(flow.sent.Load())
		t.Logf("%s (node %d): %d records unfinished at that moment; healed after %s, caught up %s later",
			fault.name, node, unfinished, healed.Sub(begin).Round(100*time.Millisecond), time.Since(healed).Round(100*time.Millisecond))
		if unfinished == 0 {
			t.Errorf("%s: nothing was unfinished at that moment", fault.name)
		}
	}
	n := flow.stop()
	c.passed(n)
	if err := stop(); err != nil {
		t.Error(err)
	}
	c.compare(n)
}

// cluster is a world whose brokers fail.
type cluster struct {
	*world

	kafkas *local.KafkaCluster
	gate   *gate
}

// kill ends a node at once. heal starts it again, and returns when it takes part.
func (c *cluster) kill(node int) (heal func()) {
	c.Helper()
	n := c.kafkas.Nodes()[node-1]
	if err := n.Kill(); err != nil {
		c.Fatal(err)
	}
	return func() {
		if err := n.Restart(c.Context()); err != nil {
			c.Fatal(err)
		}
	}
}

// leader returns the node that leads the first partition of the source.
func (c *cluster) leader() int {
	c.Helper()
	topics, err := kadm.NewClient(c.client).ListTopics(c.Context(), c.source)
	if err := errors.Join(err, topics.Error()); err != nil {
		c.Fatal(err)
	}
	return int(topics[c.source].Partitions[0].Leader)
}

// controller returns the node that is the active controller: the brokers' metadata names any one.
func (c *cluster) controller() int {
	c.Helper()
	request := kmsg.NewPtrDescribeQuorumRequest()
	topic, partition := kmsg.NewDescribeQuorumRequestTopic(), kmsg.NewDescribeQuorumRequestTopicPartition()
	topic.Topic, topic.Partitions = "__cluster_metadata", append(topic.Partitions, partition)
	request.Topics = append(request.Topics, topic)
	answer, err := request.RequestWith(c.Context(), c.client)
	if err != nil {
		c.Fatal(err)
	}
	return int(answer.Topics[0].Partitions[0].LeaderID)
}

// coordinator returns the node that knows the members of the stage's group.
func (c *cluster) coordinator() int {
	c.Helper()
	coordinators := kadm.NewClient(c.client).FindGroupCoordinators(c.Context(), c.group)
	if err := coordinators.Error(); err != nil {
		c.Fatal(err)
	}
	return int(coordinators[c.group].NodeID)
}

// unfinished counts the records of the source that the group has not committed.
func (c *cluster) unfinished() int64 {
	c.Helper()
	ends, err := kadm.NewClient(c.client).ListEndOffsets(c.Context(), c.source)
	if err := errors.Join(err, ends.Error()); err != nil {
		c.Fatal(err)
	}
	var sum int64
	ends.Each(func(o kadm.ListedOffset) { sum += o.Offset })
	return sum - c.committed()
}

// passed waits until the group has committed n records.
func (c *cluster) passed(n int64) {
	c.Helper()
	c.await(fmt.Sprintf("%d records are committed", n), func(ctx context.Context) (bool, error) {
		offsets, err := kadm.NewClient(c.client).FetchOffsets(ctx, c.group)
		if err != nil || offsets.Error() != nil {
			return false, nil //nolint:nilerr // a broker that is away answers later
		}
		var sum int64
		offsets.Each(func(o kadm.OffsetResponse) { sum += o.At })
		return sum >= n, nil
	})
}

// flow is changes that are sent one after the other until stop, numbered from 0 on: change n is of key n modulo flowKeys.
type flow struct {
	sent atomic.Int64 // and acknowledged
	stop func() int64 // returns how many there were
}

const flowKeys = 8

func keyOf(n int64) string { return fmt.Sprint("k", n%flowKeys) }

func (c *cluster) flow() *flow {
	f := &flow{}
	ctx, cancel := context.WithCancel(c.Context())
	done := make(chan int64)
	go func() {
		tick := time.NewTicker(4 * time.Millisecond)
		defer tick.Stop()
		n := int64(0)
		for ; ctx.Err() == nil; n++ {
			key := []byte(keyOf(n))
			r := &kgo.Record{Topic: c.source, Partition: record.Partition(key, sourcePartitions), Key: key, Value: fmt.Appendf(nil, "%06d", n)}
			c.client.Produce(c.Context(), r, func(_ *kgo.Record, err error) {
				// Those of a test that has failed are not sent any more: its own words must not drown in theirs.
				if err != nil && !c.Failed() {
					c.Errorf("sending a change: %v", err)
				}
				f.sent.Add(1)
			})
			<-tick.C
		}
		done <- n
	}()
	f.stop = func() int64 {
		cancel()
		n := <-done
		if err := c.client.Flush(c.Context()); err != nil {
			c.Fatal(err)
		}
		return n
	}
	return f
}

// compare reads everything that the stage has handed on: each change must be there, and of a key the first copies of
// its changes in their order. Copies may come again.
func (c *cluster) compare(n int64) {
	c.Helper()
	seen, newest, copies := map[string]bool{}, map[string]string{}, 0
	for _, r := range c.all(c.topics.DocumentsLive()) {
		copies++
		v := string(r.Value)
		key, _, _ := strings.Cut(v, "=")
		if !seen[v] && v < newest[key] {
			c.Errorf("%s comes for the first time after %s", v, newest[key])
		}
		newest[key] = max(newest[key], v)
		seen[v] = true
	}
	for i := range n {
		if v := fmt.Sprintf("%s=%06d", keyOf(i), i); !seen[v] {
			c.Errorf("%s is lost", v)
		}
	}
	c.Logf("%d changes, %d copies", n, copies)
}

// all returns the records of a topic up to its present end.
func (w *world) all(topic string) []*kgo.Record {
	w.Helper()
	ends, err := kadm.NewClient(w.client).ListEndOffsets(w.Context(), topic)
	if err := errors.Join(err, ends.Error()); err != nil {
		w.Fatal(err)
	}
	n := 0
	ends.Each(func(o kadm.ListedOffset) { n += int(o.Offset) })
	return w.read(topic, n)
}

// gate holds batches in the handler while it is closed.
type gate struct {
	mu     sync.Mutex
	opens  chan struct{} // closed while the gate is open
	inside chan struct{} // has one element once a batch waits
}

func newGate() *gate {
	g := &gate{}
	g.close()
	g.open()
	return g
}

func (g *gate) close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.opens, g.inside = make(chan struct{}), make(chan struct{}, 1)
}

func (g *gate) open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	close(g.opens)
}

// awaitOneInside returns when a batch has come to the closed gate.
func (g *gate) awaitOneInside(t *testing.T) {
	t.Helper()
	select {
	case <-g.inside:
	case <-time.After(clusterBound):
		t.Fatalf("no batch came to the handler within %s", clusterBound)
	}
}

func (g *gate) handle(ctx context.Context, batch []string) ([]stage.Outcome[string], error) {
	g.mu.Lock()
	opens, inside := g.opens, g.inside
	g.mu.Unlock()
	select {
	case <-opens:
		return copies(ctx, batch)
	default:
	}
	select {
	case inside <- struct{}{}:
	default: // another one has said so
	}
	select {
	case <-opens:
		return copies(ctx, batch)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
