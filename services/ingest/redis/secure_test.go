package redis_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"strings"
	"testing"

	goredis "github.com/redis/go-redis/v9"

	"github.com/freshet-io/freshet/libs/fake/local"
)

// secured is certificates of all parts of a Redis, and passwords of its nodes and of its sentinel.
type secured struct {
	t     *testing.T
	files func(name string) string
}

func newSecured(t *testing.T) secured { return secured{t, certificates(t)} }

func (s secured) server() local.RedisOptions {
	return local.RedisOptions{CA: s.files("ca.crt"), Cert: s.files("server.crt"), Key: s.files("server.key")}
}

// do has nodes carry out a command, which is words.
func (s secured) do(command string, nodes ...*local.Redis) {
	s.t.Helper()
	for _, n := range nodes {
		if _, err := n.Do(s.t.Context(), strings.Fields(command)...); err != nil {
			s.t.Fatal(err)
		}
	}
}

// client is what the test's own client has.
func (s secured) client() *tls.Config {
	s.t.Helper()
	pair, err := tls.LoadX509KeyPair(s.files("client.crt"), s.files("client.key"))
	if err != nil {
		s.t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM([]byte(read(s.t, s.files("ca.crt"))))
	return &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: pool, Certificates: []tls.Certificate{pair}}
}

// reads has a reader with these certificates and passwords read what the client adds.
func (s secured) reads(url string, client goredis.UniversalClient, begun func(*rig)) {
	s.t.Helper()
	r := newRig(s.t, startKfake(s.t), url, client)
	r.cfg.Password, r.cfg.Sentinel.Password = secret("right"), secret("watch")
	r.cfg.TLS.CAFile, r.cfg.TLS.CertFile, r.cfg.TLS.KeyFile = s.files("ca.crt"), s.files("client.crt"), s.files("client.key")
	r.begin()
	r.add(1, 500)
	r.await(topic, 500)
	begun(r)
	r.add(501, 1000)
	r.await(topic, 1000)
	r.inOrder(r.read(topic), 1, 1000)
}

func TestRun_aClusterWithCertificatesAndAPassword(t *testing.T) {
	s := newSecured(t)
	cluster := startCluster(t, s.server())
	s.do("CONFIG SET requirepass right", cluster...)
	var hosts []string
	for _, n := range cluster {
		hosts = append(hosts, n.Secure)
	}
	client := goredis.NewClusterClient(&goredis.ClusterOptions{Addrs: hosts, Protocol: 2, Password: "right", TLSConfig: s.client()})
	s.reads("rediss-cluster://"+strings.Join(hosts, ","), client, func(*rig) {})
}

func TestRun_aFailoverOfSentinelsWithCertificatesAndPasswords(t *testing.T) {
	s := newSecured(t)
	sentinel := startSentinel(t, s.server())
	s.do("CONFIG SET masterauth right", sentinel.nodes...)
	s.do("SENTINEL SET "+sentinel.master+" auth-pass right", sentinel.Redis)
	s.do("ACL SETUSER default resetpass >watch", sentinel.Redis)
	s.do("CONFIG SET requirepass right", sentinel.nodes...)
	client := goredis.NewFailoverClient(&goredis.FailoverOptions{
		MasterName: sentinel.master, SentinelAddrs: []string{sentinel.Secure}, SentinelPassword: "watch",
		Password: "right", Protocol: 2, MaxRetries: -1, TLSConfig: s.client(),
	})
	s.reads("rediss-sentinel://"+sentinel.Secure+"/"+sentinel.master, client, func(r *rig) {
		r.settled()
		if copies, err := client.Wait(context.WithoutCancel(t.Context()), 1, patience).Result(); copies != 1 || err != nil {
			t.Fatal(copies, err)
		}
		if err := sentinel.nodes[0].Kill(); err != nil {
			t.Fatal(err)
		}
	})
}
