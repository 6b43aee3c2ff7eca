package redis_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	goredis "github.com/redis/go-redis/v9"

	"github.com/freshet-io/freshet/libs/fake/local"
	"github.com/freshet-io/freshet/libs/fake/local/localtest"
	"github.com/freshet-io/freshet/libs/kafka"
	"github.com/freshet-io/freshet/libs/pipeline"
	"github.com/freshet-io/freshet/libs/service"
)

func secret(text string) service.Secret { return service.NewSecret(text) }

func kafkaAt(t *testing.T, brokers string) kafka.Config {
	t.Helper()
	var cfg struct{ Kafka kafka.Config }
	if err := service.Load([]string{"FRESHET_KAFKA_BROKERS=" + brokers}, &cfg); err != nil {
		t.Fatal(err)
	}
	return cfg.Kafka
}

func TestRun_aCluster(t *testing.T) {
	cluster := startCluster(t, local.RedisOptions{})
	var hosts []string
	for _, n := range cluster {
		hosts = append(hosts, n.Address)
	}
	const streams = 6 // of which any two nodes have some
	var topics []string
	var all []pipeline.Feed
	for i := range streams {
		topics = append(topics, fmt.Sprint("shard-", i))
		all = append(all, feeds(fmt.Sprintf("shard:%d:stream", i), topics[i])...)
	}
	all[0].Stream = "{tagged}:shard:0"
	r := newRig(t, startKfake(t), "redis-cluster://"+hosts[1], goredis.NewClusterClient(&goredis.ClusterOptions{Addrs: hosts, Protocol: 2}), topics...)
	add := func(from, to int) {
		for _, f := range all {
			for n := from; n <= to; n++ {
				r.until("the cluster takes an entry", func() bool {
					return r.redis.XAdd(t.Context(), &goredis.XAddArgs{Stream: f.Stream, Values: []string{"seq", strconv.Itoa(n)}}).Err() == nil
				})
			}
		}
	}
	r.start(r.cfg, all)
	add(1, 100)
	for _, topic := range topics {
		r.await(topic, 100)
	}
	if err := cluster[2].Kill(); err != nil {
		t.Fatal(err)
	}
	if err := cluster[2].Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	add(101, 200)
	for _, topic := range topics {
		r.await(topic, 200)
		r.inOrder(r.read(topic), 1, 200)
	}
}

func TestRun_aFailoverOfSentinels(t *testing.T) {
	s := startSentinel(t, local.RedisOptions{})
	client := goredis.NewFailoverClient(&goredis.FailoverOptions{MasterName: s.master, SentinelAddrs: []string{s.Address}, Protocol: 2, MaxRetries: -1})
	r := newRig(t, startKfake(t), "redis-sentinel://"+s.Address+"/"+s.master, client)
	r.begin()
	r.add(1, 1000)
	r.await(topic, 1000)
	r.settled()
	// Redis copies to its replicas after it has answered: what is not there yet goes with the master.
	if copies, err := client.Wait(t.Context(), 1, patience).Result(); copies != 1 || err != nil {
		t.Fatal(copies, err)
	}
	if err := s.nodes[0].Kill(); err != nil {
		t.Fatal(err)
	}
	r.add(1001, 2000)
	r.await(topic, 2000)
	r.inOrder(r.read(topic), 1, 2000)
}

func TestRun_certificatesAndAPasswordThatChanges(t *testing.T) {
	files := certificates(t)
	server := localtest.Redis(t, local.RedisOptions{CA: files("ca.crt"), Cert: files("server.crt"), Key: files("server.key"), Args: []string{"--requirepass", "first"}})
	admin := goredis.NewClient(&goredis.Options{Addr: server.Address, Protocol: 2, CredentialsProvider: func() (string, string) { return "", read(t, files("password")) }})
	write(t, files("password"), "first")
	r := newRig(t, startKfake(t), "rediss://"+server.Secure, admin)
	env := []string{
		"FRESHET_REDIS_URL=" + r.cfg.URL, "FRESHET_REDIS_PASSWORD_FILE=" + files("password"), "FRESHET_REDIS_GROUP=" + group,
		"FRESHET_REDIS_TLS_CA_FILE=" + files("ca.crt"), "FRESHET_REDIS_TLS_CERT_FILE=" + files("client.crt"), "FRESHET_REDIS_TLS_KEY_FILE=" + files("client.key"),
	}
	var settings settings
	if err := service.Load(env, &settings); err != nil {
		t.Fatal(err)
	}
	r.start(settings.Redis, feeds(stream, topic))
	r.add(1, 10)
	r.await(topic, 10)
	// Redis has the new password before the file: the reader is refused for a while.
	if err := admin.ConfigSet(t.Context(), "requirepass", "second").Err(); err != nil {
		t.Fatal(err)
	}
	if _, err := admin.ClientKillByFilter(t.Context(), "TYPE", "normal", "SKIPME", "yes").Result(); err != nil {
		t.Fatal(err)
	}
	r.until("the reader is refused", func() bool { return strings.Contains(r.log.String(), "WRONGPASS") })
	write(t, files("password"), "second")
	r.add(11, 20)
	r.await(topic, 20)
	r.inOrder(r.read(topic), 1, 20)
}

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path+".new", []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", filepath.Clean(path)); err != nil {
		t.Fatal(err)
	}
}
