package hazards_test

import (
	"encoding/json"
	"net/http"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/freshet-io/freshet/libs/fault"
)

// stopped is for how long Weaviate stands still: a little longer than a call may take.
const stopped = 62 * time.Second

// hazards are the cases; those that wait longest come first.
func hazards() []*hazard {
	return []*hazard{
		{name: "Weaviate stands still for a minute", strike: standStill},
		{name: "a slow server", delay: 150 * time.Millisecond, strike: func(b *bed) { b.send(burst) }},
		{name: "a read-only shard", strike: readOnly},
		{name: "Weaviate is killed in mid-batch", strike: killServer},
		{name: "write is killed in mid-batch", strike: killWrite},
		{name: "connections end in mid-batch", strike: cutPuts},
	}
}

// plants are cases with a rule of the writer left out.
func plants() []*hazard {
	return []*hazard{
		{name: "a read-only shard, the batch answer trusted", naive: func() *naive { return &naive{trusts: true} }, strike: readOnlyUnseen},
		{name: "connections end in mid-batch, no nonce", naive: func() *naive { return &naive{repeats: true} }, strike: cutPuts},
		{name: "write is killed in mid-batch, no version check", naive: func() *naive { return &naive{forgets: true} }, strike: killWrite},
	}
}

// setShards sets the status of the shards of the main collection.
func (b *bed) setShards(status string) {
	b.t.Helper()
	const shards = "schema/" + collection + "_g1/shards"
	var list []struct{ Name string }
	if err := json.Unmarshal(b.rest(http.MethodGet, shards, ""), &list); err != nil || len(list) == 0 {
		b.t.Fatalf("shards: %v %v", list, err)
	}
	for _, s := range list {
		b.rest(http.MethodPut, shards+"/"+s.Name, `{"status":"`+status+`"}`)
	}
}

// readOnly is what an operator sees of a read-only shard, and how it ends.
func readOnly(b *bed) {
	b.inPut(0, func() { b.setShards("READONLY") })
	b.send(burst)
	b.awaitBroken("of collection Product_g1 is READONLY: free the disk")
	b.setShards("READY")
	b.awaitMended()
}

// awaitBroken waits until the service says that the index takes no writes, and why.
func (b *bed) awaitBroken(why string) {
	b.t.Helper()
	b.write.awaitAnswer("/readyz", "index of Product: ", why)
	b.write.awaitAnswer("/metrics", `freshet_index_broken{collection="Product"} 1`)
}

func (b *bed) awaitMended() {
	b.t.Helper()
	b.write.awaitAnswer("/metrics", `freshet_index_broken{collection="Product"} 0`)
	b.write.awaitReady()
	for _, line := range []string{"the index takes no writes", "the index takes writes again"} {
		if !strings.Contains(b.write.log.String(), line) {
			b.t.Errorf("the log does not say %q", line)
		}
	}
}

// readOnlyUnseen is readOnly for a writer that does not see it.
func readOnlyUnseen(b *bed) {
	b.inPut(0, func() { b.setShards("READONLY") })
	b.send(burst)
	wait(2 * time.Second)
	b.setShards("READY")
}

func killServer(b *bed) {
	for i := range 3 {
		b.inPut(time.Duration(5+10*i)*time.Millisecond, func() {
			if err := b.server.Kill(); err != nil {
				b.t.Error(err)
			}
		})
		if err := b.server.Restart(b.t.Context()); err != nil {
			b.t.Fatal(err)
		}
		b.awaitMended()
	}
}

func killWrite(b *bed) {
	for i := range 3 {
		b.inPut(time.Duration(5+10*i)*time.Millisecond, b.write.program.Kill)
		b.write.start()
		b.write.awaitReady()
	}
}

// cutPuts ends the connections while puts are under way: whether they are stored nobody hears.
func cutPuts(b *bed) {
	for i := range 10 {
		b.inPut(time.Duration(4*i)*time.Millisecond, b.proxy.cut)
	}
}

func standStill(b *bed) {
	signal := func(s syscall.Signal) {
		if err := syscall.Kill(b.server.PID(), s); err != nil {
			b.t.Error(err)
		}
	}
	b.inPut(10*time.Millisecond, func() { signal(syscall.SIGSTOP) })
	wait(stopped)
	signal(syscall.SIGCONT)
	b.awaitMended()
}

var _ = fault.Fatal
var _ = os.Args
