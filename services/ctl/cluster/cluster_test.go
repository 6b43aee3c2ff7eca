package cluster_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/freshet-io/freshet/libs/record"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestCluster kills each node once while write works, and shows what a read and a search through each of them find, by a
// plain client and by Freshet's.
func TestCluster(t *testing.T) {
	if os.Getenv("FRESHET_TEST_CLUSTER") == "" {
		t.Skip("SKIPPED: three nodes want a machine for themselves; `make test` runs it last, with FRESHET_TEST_CLUSTER=1")
	}
	b := newBed(t)
	b.compareNothing() // else Weaviate may mend what a plain client is to show
	b.startWrite()
	b.send(b.first())
	b.settle()

	b.trickle(500)
	b.kill(2)
	b.trickle(1000)
	b.restart(2)
	b.trickle(500)
	b.settle()
	b.plainly("node 3 was killed under load, a plain client through it", 2)
	b.carefully("the same, Freshet's client", 2).mustHold(t)

	b.kill(1)
	b.trickle(1000)
	b.settle() // so that nothing comes to node 2 by itself
	b.restart(1)
	b.plainly("node 2 was away, a plain client through it", 1).mustShowLosses(t)
	b.carefully("the same, Freshet's client", 1).mustHold(t)

	b.trickle(500)
	b.kill(0)
	b.trickle(500)
	b.restart(0)
	b.trickle(500)
	b.settle()
	for n := range b.nodes {
		b.carefully(fmt.Sprintf("the node of write was killed under load, through node %d", n+1), n).mustHold(t)
	}
	for n := range b.nodes {
		b.plainly(fmt.Sprintf("the same, a plain client through node %d", n+1), n).mustHold(t) // those reads have repaired it
	}
	b.sendNames(b.unfoundAnywhere())
	b.settle()
	for n := range b.nodes {
		v := b.carefully(fmt.Sprintf("what was not found has a new text, through node %d", n+1), n)
		v.mustHold(t)
		if len(v.unfound) > 0 {
			t.Errorf("node %d does not find %v by their own vectors", n+1, v.unfound)
		}
	}
	t.Logf("%-75s %5s %5s %5s %s\n%s", "case", "items", "lost", "stale", "not found by its own vector", strings.Join(b.table, "\n"))
}

// unfoundAnywhere returns the items that some node does not find by their own vectors.
func (b *bed) unfoundAnywhere() []int {
	b.t.Helper()
	var ids []int
	for n := range b.nodes {
		ids = append(ids, b.unfound(n)...)
	}
	return ids
}

// sendNames gives items a new text.
func (b *bed) sendNames(ids []int) {
	b.t.Helper()
	var changes []*record.Vector
	for _, id := range ids {
		changes = append(changes, b.row(id, b.name(id)))
	}
	b.send(changes)
}
