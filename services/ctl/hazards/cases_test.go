package hazards_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/freshet-io/freshet/libs/fake/local"
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
		{name: "Weaviate is killed when all is acknowledged", strike: killIdleServer},
		{name: "write is killed in mid-batch", strike: killWrite},
		{name: "connections end in mid-batch", strike: cutPuts},
		{name: "the disk is full", server: ownDisk, strike: fillDisk},
		{name: "no memory", server: littleMemory, strike: exhaustMemory},
		{name: "the certificate changes", prepare: (*bed).encrypt, strike: changeCertificate},
		{name: "the API key is revoked", server: usersOfItsOwn, prepare: (*bed).makeUser, strike: revokeKey},
	}
}

// plants are cases with a rule of the writer left out. That a put flushes is not among them: without it, what a kill of an
// idle server loses is fed again with the last minute (writer.Keeper), so that it takes both to lose.
func plants() []*hazard {
	return []*hazard{
		{name: "a read-only shard, the batch answer trusted", naive: func() *naive { return &naive{trusts: true, lazy: true} }, strike: untilHurt(readOnlyUnseen)},
		{name: "connections end in mid-batch, no nonce", naive: func() *naive { return &naive{repeats: true} }, strike: untilHurt(func(b *bed, _ time.Duration) { cutPuts(b) })},
		{name: "write is killed in mid-batch, no version check", naive: func() *naive { return &naive{forgets: true} }, prepare: (*bed).rememberNothing, strike: killWrite},
	}
}

// rememberNothing has write read each item each time, so that it sees what the naive index says of it.
func (*bed) rememberNothing() []string { return []string{"FRESHET_WRITE_REMEMBERED_BYTES=0"} }

const mainClass, sideClass = collection + "_g1", collection + "_g1_side"

// setShards sets the status of the shards of classes.
func (b *bed) setShards(status string, classes ...string) {
	b.t.Helper()
	for _, class := range classes {
		shards := "schema/" + class + "/shards"
		var list []struct{ Name string }
		if err := json.Unmarshal(b.rest(http.MethodGet, shards, ""), &list); err != nil || len(list) == 0 {
			b.t.Fatalf("shards: %v %v", list, err)
		}
		for _, s := range list {
			b.rest(http.MethodPut, shards+"/"+s.Name, `{"status":"`+status+`"}`)
		}
	}
}

// readOnly is what an operator sees of a read-only shard, and how it ends.
func readOnly(b *bed) {
	b.inPut(0, func() { b.setShards("READONLY", mainClass) })
	b.send(burst)
	b.awaitBroken("of collection Product_g1 is READONLY: free the disk")
	b.setShards("READY", mainClass)
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

// untilHurt strikes at ever later moments of a put until it has done harm, twelve times at most, up to 121 ms behind its begin:
// which moment does depends on the machine. What is done in doubt after a start is done once more, and would
// be put right, so that it begins when all is settled.
func untilHurt(strike func(b *bed, after time.Duration)) func(*bed) {
	return func(b *bed) {
		for i := range 12 {
			b.settle()
			if v := b.verdict(); len(v.lost)+len(v.stale)+len(v.unfound) > 0 {
				return
			}
			strike(b, time.Duration(i*i)*time.Millisecond)
		}
	}
}

// readOnlyUnseen is readOnly for a writer that does not see it.
func readOnlyUnseen(b *bed, after time.Duration) {
	b.inPut(after, func() { b.setShards("READONLY", mainClass) })
	b.send(burst)
	wait(2 * time.Second)
	b.setShards("READY", mainClass)
}

func killServer(b *bed) {
	for i := range 2 {
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

// killIdleServer kills Weaviate when nothing is under way: what it acknowledged must outlive that.
func killIdleServer(b *bed) {
	for range 3 {
		b.send(burst)
		b.settle()
		if err := b.server.Kill(); err != nil {
			b.t.Fatal(err)
		}
		if err := b.server.Restart(b.t.Context()); err != nil {
			b.t.Fatal(err)
		}
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
	// The call that has waited longest may have begun a while after the stop.
	await(b.t, 5*time.Minute, "a call has failed", func() (bool, error) {
		return strings.Contains(b.write.log.String(), "the index takes no writes"), b.write.failure()
	})
	signal(syscall.SIGCONT)
	b.awaitMended()
}

// usersOfItsOwn lets users be made and revoked while the server runs.
func usersOfItsOwn(*testing.T) local.WeaviateOptions {
	return local.WeaviateOptions{Env: []string{"AUTHENTICATION_DB_USERS_ENABLED=true", "AUTHORIZATION_ADMINLIST_USERS=freshet,writer"}}
}

// makeUser gives write a key of its own.
func (b *bed) makeUser() (environ []string) {
	b.t.Helper()
	var user struct{ APIKey string }
	if err := json.Unmarshal(b.rest(http.MethodPost, "users/db/writer", "{}"), &user); err != nil || user.APIKey == "" {
		b.t.Fatalf("making a user: %v", err)
	}
	return []string{"FRESHET_WEAVIATE_API_KEY=" + user.APIKey}
}

// revokeKey: the service stops with one line, and nothing is committed that is not stored.
func revokeKey(b *bed) {
	b.settle()
	b.inPut(5*time.Millisecond, func() { b.rest(http.MethodPost, "users/db/writer/deactivate", "{}") })
	await(b.t, time.Minute, "write ends", func() (bool, error) { return !b.write.program.Running(), nil })
	if code := b.write.stop(); code != 1 {
		b.t.Errorf("write ended with code %d, want 1", code)
	}
	if line := lastLine(b.write.log.String()); !strings.Contains(line, "stopped by a fatal fault") || !strings.Contains(line, "Weaviate refuses the API key") {
		b.t.Errorf("the last line is %s", line)
	}
	b.checkCommitted()
	b.rest(http.MethodPost, "users/db/writer/activate", "{}")
	b.write.start()
	b.write.awaitReady()
}
