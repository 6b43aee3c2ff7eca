// Package ladder_test installs the chart into a real Kubernetes of one node, has changes flow there, and disturbs it.
//
//	changes → Kafka ─┐                        node address 10.99.0.1: Kafka, Weaviate, embeddings, in this process
//	                 └▶ [ingest] [embed] [write] pods of the chart, in namespaces that enforce `restricted`
//	compare ◀─ Weaviate ◀──────────────────┘
//
// scripts/test-kubernetes.sh builds what it needs, and runs it in the network namespace of the cluster.
package ladder_test

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

// TestLadder climbs from an API server alone to pods that are killed under load. Each step stands on those before it.
func TestLadder(t *testing.T) {
	if os.Getenv("FRESHET_TEST_KUBERNETES") == "" {
		t.Skip("SKIPPED: it needs root and a cluster of its own: `make test-kubernetes`")
	}
	l := &ladder{t: t, began: time.Now()}
	t.Cleanup(l.print)
	c := newCluster(t)

	l.step("2  the API server answers", c.api)
	l.step("2  the resources of the examples are valid", c.validateExamples)
	l.step("2  helm install, of the chart alone", c.installAlone)
	l.step("2  helm upgrade", c.upgradeAlone)
	l.step("2  helm rollback", c.rollBackAlone)
	l.step("2  helm uninstall leaves nothing", c.uninstallAlone)

	l.step("3  the node is ready", c.node)
	l.step("3  a pod that is not restricted is refused", c.restricted)
	r := &release{cluster: c}
	l.step("3  Kafka, Weaviate and the embeddings answer", func() (string, error) {
		r.servers = newServers(t)
		r.shop = newShop(t, r.servers)
		return "at the node's address", nil
	})
	l.step("3  the README's three commands", r.install)
	l.step("3  changes flow from topic to search", r.flow)
	l.step("3  helm test", r.selftest)
	l.step("3  rolling upgrade under load", r.underLoad(r.roll))
	l.step("3  configuration changed under load", r.underLoad(r.configure))
	l.step("3  secret rotated under load", r.underLoad(r.rotate))
	l.step("3  a pod of each service evicted under load", r.underLoad(r.evict))
	l.step("3  a pod of each service killed under load", r.underLoad(r.kill))
	l.step("3  scaled out to 3 and in to 1 under load", r.underLoad(r.scale))
	l.step("3  helm test once more", r.selftest)
	l.step("3  helm uninstall leaves nothing", r.uninstall)
}

// ladder is the steps that were made.
type ladder struct {
	t     *testing.T
	began time.Time
	rows  []string
}

// step makes a step, and ends the test where it fails. Its result is a few words.
func (l *ladder) step(name string, do func() (string, error)) {
	l.t.Helper()
	began := time.Now()
	result, err := do()
	if err != nil {
		result = "FAILED"
	}
	l.rows = append(l.rows, fmt.Sprintf("%-48s %8.1f  %s", name, time.Since(began).Seconds(), result))
	l.t.Log(l.rows[len(l.rows)-1])
	if err != nil {
		l.t.Fatalf("%s: %v", strings.TrimSpace(name[1:]), err)
	}
}

func (l *ladder) print() {
	fmt.Printf("\n%-48s %8s  %s\n%s\n%-48s %8.1f\n", "rung, step", "seconds", "result", strings.Join(l.rows, "\n"), "in all", time.Since(l.began).Seconds())
}

// await asks until the answer is nil, or it took too long, and returns the last answer.
func await(ask func() error) error {
	deadline := time.Now().Add(slow)
	for {
		err := ask()
		if err == nil {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("after %s: %w", slow, err)
		}
		time.Sleep(200 * time.Millisecond)
	}
}
