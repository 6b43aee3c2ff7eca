package e2e_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestVersions has topics and collections made by an earlier build, rolls its services over to this build and back, one by one
// while changes flow, and compares the index with what was sent. On the way each two services have been of either build, and
// for a while each service of both.
// FRESHET_TEST_PREVIOUS is the commit or tag of the earlier build.
func TestVersions(t *testing.T) {
	previous := os.Getenv("FRESHET_TEST_PREVIOUS")
	if previous == "" {
		t.Skip("builds an earlier commit: make test-versions")
	}
	broker, earlier := startKafka(t), earlierBuild(t, previous)
	k := newKiller(t, seedOr(t, 1), plan{
		brokers: broker.Brokers, session: killedSession, changes: 4_000, items: 1_500, build: earlier,
		apply: func(r *rig) {
			r.freshet(0, "", "topics", "apply", "--partitions", strconv.Itoa(int(r.partitions)), "--replication", "1", "--min-in-sync", "1")
		},
	})
	k.startAll()
	watched := k.watch()
	steps := []struct{ service, build string }{
		{"write", ""}, {"embed", ""}, {"ingest", ""}, // as an upgrade should, from the end of the way to its beginning
		{"write", earlier}, {"embed", earlier}, {"ingest", earlier},
	}
	share := len(k.picks) / (len(steps) + 1)
	k.flow(share)
	old := map[string]*process{}
	for _, s := range services {
		old[s] = k.running[s]
	}
	for i, step := range steps {
		k.rig.build = step.build
		next := k.start(step.service, fmt.Sprint(step.service, i))
		next.awaitReady()
		k.flow(share / 2) // both are at work
		old[step.service].stop()
		old[step.service] = next
		k.flow(share / 2)
	}
	k.produce(len(k.picks))
	if err := k.client.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	k.settle(5 * time.Minute)
	k.verdict(k.table.add("roll over and back", previous), k.items, watched(), nil)
	// What embed has paid for it finds in its own cache, until write has put it into the index: the next owner of a partition does
	// not have that cache. Two owners change, each while so much is sent.
	if again := k.provider.paidAgain(); again > 2*share {
		t.Errorf("%d texts were paid for once more", again)
	}
	k.conclude()
}

// earlierBuild returns a folder with the binaries of a commit.
func earlierBuild(t *testing.T, commit string) string {
	t.Helper()
	tree, binaries := t.TempDir(), t.TempDir()
	archive := exec.Command("git", "archive", "-o", filepath.Join(binaries, "tree.tar"), commit)
	archive.Dir = workspace(t)
	unpack := exec.Command("tar", "-xf", filepath.Join(binaries, "tree.tar"), "-C", tree)
	build := exec.Command("go", slices.Concat([]string{"build", "-o", binaries + string(filepath.Separator)}, strings.Fields("./services/ingest ./services/embed ./services/write ./services/ctl"))...)
	build.Dir = tree
	for _, c := range []*exec.Cmd{archive, unpack, build} {
		if out, err := c.CombinedOutput(); err != nil {
			t.Fatalf("building %s: %s: %v\n%s", commit, c, err, out)
		}
	}
	return binaries
}
