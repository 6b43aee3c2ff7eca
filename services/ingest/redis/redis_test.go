package redis_test

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"github.com/freshet-io/freshet/libs/fake/local"
	"github.com/freshet-io/freshet/libs/fake/local/localtest"
	"github.com/freshet-io/freshet/libs/fault"
	"github.com/freshet-io/freshet/libs/pipeline"
	"github.com/freshet-io/freshet/libs/record"
	"github.com/freshet-io/freshet/services/ingest/redis"
)

// newPlainRig has a Redis of its own, and a Kafka within this process.
func newPlainRig(t *testing.T, topics ...string) (*rig, *local.Redis) {
	t.Helper()
	server := localtest.Redis(t, local.RedisOptions{})
	return newRig(t, startKfake(t), "redis://"+server.Address, connect(t, server.Address), topics...), server
}

func TestRun_whatARecordIs(t *testing.T) {
	r, _ := newPlainRig(t, "wrapped")
	add := func(stream string, fields ...string) string {
		id, err := r.redis.XAdd(t.Context(), &goredis.XAddArgs{Stream: stream, Values: fields}).Result()
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	id := add(stream, "product_id", "7", "name", "帐篷 \"2\"", "update_type", "delete", "name", "second")
	add(stream, "name", "caf\xe9")
	add(stream, "name", strings.Repeat("x", 300_000))
	add("cdc", "key", `{"id":1}`, "value", `{"after":{"id":1}}`)
	add("cdc", "key", `{"id":2}`, "payload", "elsewhere")
	add(stream, "seq", "1")
	add("cdc", "value", `{"seq":1}`)

	r.start(r.cfg, append(feeds(stream, topic), pipeline.Feed{Redis: pipeline.Redis{Stream: "cdc", Value: "value", Key: "key"}, Topic: "wrapped"}))
	r.await(topic, 1)
	r.await("wrapped", 1)

	plain, wrapped := r.read(topic), r.read("wrapped")
	if got, want := string(plain[0].Value), `{"product_id":"7","name":"帐篷 \"2\"","update_type":"delete","name":"second"}`; got != want || plain[0].Key != nil {
		t.Errorf("a row: %q, key %q", got, plain[0].Key)
	}
	if header(plain[0], record.HeaderRedisStream) != stream || header(plain[0], record.HeaderRedisID) != id {
		t.Errorf("its headers: %v", plain[0].Headers)
	}
	stamps, err := record.DecodeStamps([]byte(header(plain[0], record.HeaderStamps)))
	if added, _, _ := strings.Cut(id, "-"); err != nil || strconv.FormatInt(stamps.Start().UnixMilli(), 10) != added {
		t.Errorf("added at %s, stamps %v %v", added, stamps.Start(), err)
	}
	if string(plain[1].Value) != "{\"name\":\"caf\xe9\"}" {
		t.Errorf("not UTF-8: %q", plain[1].Value)
	}
	if why := header(plain[2], record.HeaderFault); !strings.HasPrefix(why, "oversize: ") || !strings.Contains(why, "takes 200000") || len(plain[2].Value) < 100_000 {
		t.Errorf("too large: %q, %d bytes", why, len(plain[2].Value))
	}
	if string(wrapped[0].Key) != `{"id":1}` || string(wrapped[0].Value) != `{"after":{"id":1}}` {
		t.Errorf("a change: %q %q", wrapped[0].Key, wrapped[0].Value)
	}
	if why := header(wrapped[1], record.HeaderFault); why != "format-mismatch: the entry has no field value, which source.redis.value names" ||
		string(wrapped[1].Key) != `{"id":2}` || string(wrapped[1].Value) != `{"key":"{\"id\":2}","payload":"elsewhere"}` {
		t.Errorf("without its field: %q %q %q", why, wrapped[1].Key, wrapped[1].Value)
	}
}

func TestRun_whatIsPendingAtAnotherGoesFirst(t *testing.T) {
	r, _ := newPlainRig(t)
	r.add(1, 25)
	if err := r.redis.XGroupCreate(t.Context(), stream, group, "0").Err(); err != nil {
		t.Fatal(err)
	}
	// A reader that is gone: some of what it was given is acknowledged, the rest is not.
	given, err := r.redis.XReadGroup(t.Context(), &goredis.XReadGroupArgs{Group: group, Consumer: "gone", Streams: []string{stream, ">"}, Count: 25}).Result()
	if err != nil || len(given[0].Messages) != 25 {
		t.Fatal(given, err)
	}
	for _, m := range given[0].Messages[:10] {
		if err := r.redis.XAck(t.Context(), stream, group, m.ID).Err(); err != nil {
			t.Fatal(err)
		}
	}
	r.add(26, 40)
	r.begin()
	r.await(topic, 40)
	r.settled()
	r.inOrder(r.read(topic), 11, 40)
}

func TestRun_oneOfTwoReadsAndTheOtherTakesOverAtOnce(t *testing.T) {
	r, _ := newPlainRig(t)
	r.cfg.Lease = time.Hour // nobody waits for its end
	stops := []func() error{r.begin(), r.begin()}
	r.add(1, 3000)
	r.await(topic, 3000)
	// The one that stops leaves nothing half done: nothing comes again.
	if err := stops[0](); err != nil {
		t.Fatal(err)
	}
	r.add(3001, 4000)
	r.await(topic, 4000)
	if err := stops[1](); err != nil {
		t.Fatal(err)
	}
	r.settled()
	records := r.read(topic)
	stalled := strings.Contains(r.log.String(), "reading a Redis stream again") // the machine: then some come again
	if r.inOrder(records, 1, 4000); len(records) != 4000 && !stalled {
		t.Errorf("%d records of 4000 entries", len(records))
	}
	if held, err := r.redis.Exists(t.Context(), lease).Result(); held != 0 || err != nil {
		t.Errorf("the lease outlives its readers: %d %v", held, err)
	}
}

func TestRun_nothingIsLostWhereRedisIsKilled(t *testing.T) {
	r, server := newPlainRig(t)
	stop := r.begin()
	const each = 2500
	for i := range 4 {
		r.add(i*each+1, i*each+each/2)
		r.until("some are passed on", func() bool { return len(r.read(topic)) > i*each })
		if err := server.Kill(); err != nil {
			t.Fatal(err)
		}
		if err := server.Restart(t.Context()); err != nil {
			t.Fatal(err)
		}
		r.add(i*each+each/2+1, (i+1)*each)
	}
	r.await(topic, 4*each)
	r.settled()
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	r.inOrder(r.read(topic), 1, 4*each)
}

func TestRun_idsThatGoBack(t *testing.T) {
	r, _ := newPlainRig(t)
	r.begin()
	r.add(1, 100)
	r.await(topic, 100)
	// Deleted and made anew, with ids far below those that were read.
	if err := r.redis.Del(t.Context(), stream).Err(); err != nil {
		t.Fatal(err)
	}
	for n := 101; n <= 200; n++ {
		if err := r.redis.XAdd(t.Context(), &goredis.XAddArgs{Stream: stream, ID: fmt.Sprintf("%d-1", n), Values: []string{"seq", strconv.Itoa(n)}}).Err(); err != nil {
			t.Fatal(err)
		}
	}
	r.await(topic, 200)
	r.inOrder(r.read(topic), 1, 200)
	if !strings.Contains(r.log.String(), "NOGROUP") || strings.Count(r.log.String(), "the group was not there") != 2 {
		t.Error("nobody is told that the group was gone")
	}
}

func TestRun_entriesThatAreRemovedUnreadAreTold(t *testing.T) {
	r, _ := newPlainRig(t)
	stop := r.begin()
	r.add(1, 100)
	r.await(topic, 100)
	r.settled()
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	r.add(101, 300)
	// 60 of them are removed before anybody reads, and 20 that a reader had begun with.
	if err := r.redis.XTrimMaxLen(t.Context(), stream, 140).Err(); err != nil {
		t.Fatal(err)
	}
	stop = r.begin()
	r.await(topic, 300)
	r.settled()
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	if log := r.log.String(); strings.Count(log, "before they were read") != 1 || !strings.Contains(log, "entries=60") {
		t.Error("nobody is told of the entries that were removed unread")
	}
	// A loss is told once, and what is read may be removed.
	if err := r.redis.XTrimMaxLen(t.Context(), stream, 0).Err(); err != nil {
		t.Fatal(err)
	}
	r.add(301, 310)
	stop = r.begin()
	r.await(topic, 310)
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	if strings.Count(r.log.String(), "before they were read") != 1 {
		t.Error("a loss is told twice, or one that was none")
	}
	if err := r.redis.XReadGroup(t.Context(), &goredis.XReadGroupArgs{Group: group, Consumer: "gone", Streams: []string{stream, ">"}, Block: -1}).Err(); err != goredis.Nil { //nolint:errorlint // as it is
		t.Fatal(err)
	}
	r.add(311, 330)
	if err := r.redis.XReadGroup(t.Context(), &goredis.XReadGroupArgs{Group: group, Consumer: "gone", Streams: []string{stream, ">"}}).Err(); err != nil {
		t.Fatal(err)
	}
	if err := r.redis.XTrimMaxLen(t.Context(), stream, 5).Err(); err != nil {
		t.Fatal(err)
	}
	r.begin()
	r.await(topic, 330)
	if log := r.log.String(); !strings.Contains(log, "before that was acknowledged") || !strings.Contains(log, "entries=15") {
		t.Error("nobody is told of the entries that were removed while they were pending")
	}
}

func TestRun_stopsWhereOnlyAPersonCanHelp(t *testing.T) {
	files := certificates(t)
	server := localtest.Redis(t, local.RedisOptions{
		CA: files("ca.crt"), Cert: files("server.crt"), Key: files("server.key"), Args: []string{"--requirepass", "right"},
	})
	brokers := startKfake(t)
	admin := goredis.NewClient(&goredis.Options{Addr: server.Address, Password: "right", Protocol: 2})
	r := newRig(t, brokers, "redis://"+server.Address, admin)
	wrong := func(change func(*redis.Config), stream, want string) {
		t.Helper()
		cfg := r.cfg
		change(&cfg)
		p, err := newProcess(t.Context(), r.log)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		err = redis.Run(ctx, p, cfg, kafkaAt(t, brokers), "freshet", feeds(stream, topic))
		if fault.ClassOf(err) != fault.Fatal || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "not-it") {
			t.Errorf("want %q: %v", want, err)
		}
	}
	if err := admin.Set(t.Context(), "text", "x", 0).Err(); err != nil {
		t.Fatal(err)
	}
	if err := admin.Do(t.Context(), "ACL", "SETUSER", "reader", "on", ">pass", "~*", "+@read").Err(); err != nil {
		t.Fatal(err)
	}
	wrong(func(c *redis.Config) { c.URL = "" }, stream, "FRESHET_REDIS_URL is not set")
	wrong(func(*redis.Config) {}, stream, "check FRESHET_REDIS_USERNAME")
	wrong(func(c *redis.Config) { c.Password = secret("not-it") }, stream, "WRONGPASS")
	wrong(func(c *redis.Config) { c.Password = secret("right") }, "text", "must name a stream")
	wrong(func(c *redis.Config) { c.Username, c.Password = "reader", secret("pass") }, stream, "allow the user eval, evalsha")
	wrong(func(c *redis.Config) { c.URL = "rediss://" + server.Secure }, stream, "check FRESHET_REDIS_TLS")
	wrong(func(c *redis.Config) {
		c.URL, c.TLS.CAFile = "rediss://"+server.Secure, files("ca.crt") // without a certificate of its own
	}, stream, "check FRESHET_REDIS_TLS")
}

func TestRun_leavesNothingBehind(t *testing.T) {
	before := goleak.IgnoreCurrent()
	var r *rig
	t.Cleanup(func() { // behind the rig's own
		if !t.Skipped() {
			r.until("all goroutines have ended", func() bool { return goleak.Find(before) == nil })
		}
	})
	r, _ = newPlainRig(t)
	stop := r.begin()
	r.add(1, 10)
	r.await(topic, 10)
	if err := stop(); err != nil {
		t.Fatal(err)
	}
}
