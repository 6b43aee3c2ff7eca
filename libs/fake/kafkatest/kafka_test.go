// Package kafkatest runs libs/kafka against a broker. It stands here so that no
// service's module graph has the stand-in broker.
package kafkatest

import (
	"context"
	"crypto/tls"
	"encoding/pem"
	"log/slog"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/goleak"

	"github.com/freshet-io/freshet/libs/fake/certs"
	"github.com/freshet-io/freshet/libs/fault"
	"github.com/freshet-io/freshet/libs/kafka"
	"github.com/freshet-io/freshet/libs/record"
	"github.com/freshet-io/freshet/libs/service"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	log    = slog.New(slog.DiscardHandler)
	topics = kafka.Topics{Prefix: "t"}
	layout = kafka.Layout{Partitions: 3, Replication: 1}
)

func broker(t *testing.T, options ...kfake.Opt) (*kfake.Cluster, kafka.Config) {
	t.Helper()
	cluster, err := kfake.NewCluster(append([]kfake.Opt{kfake.NumBrokers(1)}, options...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	return cluster, kafka.Config{Brokers: cluster.ListenAddrs(), ClientID: "test", MetadataMinAge: 50 * time.Millisecond}
}

func connect(t *testing.T, c kafka.Config) *kgo.Client {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second) // a fault that is waited for fails here
	defer cancel()
	client, err := kafka.Producer(ctx, c, topics, true, log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
}

func apply(t *testing.T, client *kgo.Client) {
	t.Helper()
	if _, err := topics.Apply(t.Context(), client, layout); err != nil {
		t.Fatal(err)
	}
}

func TestApply_createsAllTopicsOnceAndIdentifiesThem(t *testing.T) {
	_, c := broker(t)
	client := connect(t, c)
	created, err := topics.Apply(t.Context(), client, layout)
	if err != nil || len(created) != 7 {
		t.Fatalf("created %v: %v", created, err)
	}
	if created, err = topics.Apply(t.Context(), client, layout); err != nil || len(created) != 0 {
		t.Errorf("the second time created %v: %v", created, err)
	}
	id, err := topics.Check(t.Context(), client)
	if err != nil || id.Partitions != 3 || id.Epoch != 0 || len(id.TopicID) != 32 || id.DeadLetters != 3 {
		t.Errorf("identity %+v: %v", id, err)
	}
}

func TestCheck_refuses(t *testing.T) {
	for name, tt := range map[string]struct {
		spoil func(t *testing.T, cluster *kfake.Cluster, client *kgo.Client)
		says  string
	}{
		"a topic that was re-created, whose offsets count from 0 again": {func(t *testing.T, cluster *kfake.Cluster, _ *kgo.Client) {
			if err := cluster.DeleteTopic(topics.DocumentsLive()); err != nil {
				t.Fatal(err)
			}
			if err := cluster.CreateTopic(topics.DocumentsLive(), 3, nil); err != nil {
				t.Fatal(err)
			}
		}, "was re-created"},
		"a topic that is missing": {func(t *testing.T, cluster *kfake.Cluster, _ *kgo.Client) {
			if err := cluster.DeleteTopic(topics.VectorsBulk()); err != nil {
				t.Fatal(err)
			}
		}, "freshet topics apply"},
		"a compacted topic, which loses changes": {func(t *testing.T, _ *kfake.Cluster, client *kgo.Client) {
			alter(t, client, topics.VectorsLive(), "cleanup.policy", "compact")
		}, "is compacted"},
		"a byte cap, which deletes unread records": {func(t *testing.T, _ *kfake.Cluster, client *kgo.Client) {
			alter(t, client, topics.DocumentsLive(), "retention.bytes", "1000000")
		}, "retention.bytes"},
		"a topic that refuses our batches": {func(t *testing.T, _ *kfake.Cluster, client *kgo.Client) {
			alter(t, client, topics.DeadLetters(), "max.message.bytes", "1048588")
		}, "max.message.bytes"},
		"lanes of unequal counts, whose items would have two writers": {func(t *testing.T, _ *kfake.Cluster, client *kgo.Client) {
			if _, err := kadm.NewClient(client).UpdatePartitions(t.Context(), 5, topics.VectorsBulk()); err != nil {
				t.Fatal(err)
			}
		}, "add partitions until they are alike"},
	} {
		t.Run(name, func(t *testing.T) {
			cluster, c := broker(t)
			client := connect(t, c)
			apply(t, client)
			tt.spoil(t, cluster, client)
			_, err := topics.Check(t.Context(), client)
			if fault.ClassOf(err) != fault.Fatal || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func alter(t *testing.T, client *kgo.Client, topic, key, value string) {
	t.Helper()
	_, err := kadm.NewClient(client).AlterTopicConfigs(t.Context(), []kadm.AlterConfig{{Op: kadm.SetConfig, Name: key, Value: &value}}, topic)
	if err != nil {
		t.Fatal(err)
	}
}

func TestCheck_toleratesAddedPartitionsSinceRecordsArePlacedOverTheFirstOnes(t *testing.T) {
	_, c := broker(t)
	client := connect(t, c)
	apply(t, client)
	if _, err := kadm.NewClient(client).UpdatePartitions(t.Context(), 5, topics.DocumentsLive()); err != nil {
		t.Fatal(err)
	}
	if id, err := topics.Check(t.Context(), client); err != nil || id.Partitions != 3 {
		t.Errorf("identity %+v: %v", id, err)
	}
}

func TestControl_keepsTheLastRecordOfEachKey(t *testing.T) {
	_, c := broker(t)
	client := connect(t, c)
	apply(t, client)
	control, err := kafka.ReadControl(t.Context(), client, topics)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range []uint64{1, 2} {
		rewind := &record.Control{Record: &record.Control_Rewind{Rewind: &record.Rewind{Source: "s", Number: n}}}
		if err := control.Put(t.Context(), rewind); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		if err := control.PutRecipe(t.Context(), []byte{1, 2}, "body"); err != nil {
			t.Fatal(err)
		}
	}
	again, err := kafka.ReadControl(t.Context(), client, topics)
	if err != nil {
		t.Fatal(err)
	}
	if again.Rewinds["s"] != 2 || again.Recipes["0102"].GetBody() != "body" {
		t.Errorf("rewinds %v, recipes %v", again.Rewinds, again.Recipes)
	}
}

func TestPinStart_pinsAGroupThatNobodyHasHeardOf(t *testing.T) {
	_, c := broker(t, kfake.SeedTopics(2, "source"))
	client := connect(t, c)
	if err := kafka.PinStart(t.Context(), client, "new", "source"); err != nil {
		t.Fatal(err)
	}
	got, err := kadm.NewClient(client).FetchOffsets(t.Context(), "new")
	if p, ok := got.Lookup("source", 1); err != nil || !ok || p.At != 0 {
		t.Errorf("offsets %v: %v", got, err)
	}
}

func TestPinStart_commitsTheEarliestOffsetsOfANewGroupAndLeavesOthers(t *testing.T) {
	_, c := broker(t, kfake.SeedTopics(2, "source"))
	client := connect(t, c)
	adm := kadm.NewClient(client)
	var had kadm.Offsets
	had.AddOffset("source", 1, 7, -1)
	if err := adm.CommitAllOffsets(t.Context(), "group", had); err != nil {
		t.Fatal(err)
	}
	if err := kafka.PinStart(t.Context(), client, "group", "source"); err != nil {
		t.Fatal(err)
	}
	got, err := adm.FetchOffsets(t.Context(), "group")
	if err != nil {
		t.Fatal(err)
	}
	p0, _ := got.Lookup("source", 0)
	p1, _ := got.Lookup("source", 1)
	if p0.At != 0 || p1.At != 7 {
		t.Errorf("offsets %d and %d, want 0 and 7", p0.At, p1.At)
	}
}

func TestConnect_sasl(t *testing.T) {
	for _, mechanism := range []string{"PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"} {
		t.Run(mechanism, func(t *testing.T) {
			_, c := broker(t, kfake.EnableSASL(), kfake.Superuser(mechanism, "user", "right"))
			c.SASL = kafka.SASL{Mechanism: mechanism, User: "user", Password: service.NewSecret("right")}
			connect(t, c)
		})
	}
}

func TestConnect_aWrongPasswordIsFatalAtOnceAndNotShown(t *testing.T) {
	cluster, c := broker(t, kfake.EnableSASL(), kfake.Superuser("PLAIN", "user", "right"))
	// The stand-in hangs up on a wrong password; Kafka says why.
	cluster.ControlKey(int16(kmsg.SASLAuthenticate), func(request kmsg.Request) (kmsg.Response, error, bool) {
		cluster.KeepControl()
		response := request.ResponseKind().(*kmsg.SASLAuthenticateResponse)
		response.ErrorCode = kerr.SaslAuthenticationFailed.Code
		return response, nil, true
	})
	c.SASL = kafka.SASL{Mechanism: "PLAIN", User: "user", Password: service.NewSecret("hunter2")}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	_, err := c.Connect(ctx, log)
	if fault.ClassOf(err) != fault.Fatal || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("got %v", err)
	}
}

func TestConnect_mutualTLS(t *testing.T) {
	own := certs.Make(t, t.TempDir(), "own", nil)
	_, c := broker(t, kfake.TLS(&tls.Config{Certificates: []tls.Certificate{own.Pair}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: own.Pool(), MinVersion: tls.VersionTLS12}))
	files := service.TLS{CAFile: own.CertFile, CertFile: own.CertFile, KeyFile: own.KeyFile}
	c.TLS = kafka.TLS{Enabled: true, Files: files}
	connect(t, c)

	other := certs.Make(t, t.TempDir(), "other", nil)
	for name, spoil := range map[string]func(*service.TLS){
		"an authority that the system does not know": func(f *service.TLS) { f.CAFile = "" },
		"no client certificate":                      func(f *service.TLS) { f.CertFile, f.KeyFile = "", "" },
		"a client certificate of another authority": func(f *service.TLS) {
			f.CertFile, f.KeyFile = other.CertFile, other.KeyFile
		},
	} {
		c.TLS.Files = files
		spoil(&c.TLS.Files)
		if err := try(t, 10*time.Second, c); fault.ClassOf(err) != fault.Fatal || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s gives %v", name, err)
		}
	}
}

func TestConnect_aRotatedAuthorityAndCertificateNeedNoRestart(t *testing.T) {
	var server atomic.Pointer[certs.Identity]
	dir := t.TempDir()
	server.Store(certs.Make(t, dir, "own", nil))
	_, c := broker(t, kfake.TLS(&tls.Config{
		MinVersion: tls.VersionTLS12,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			now := server.Load()
			return &tls.Config{Certificates: []tls.Certificate{now.Pair}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: now.Pool(), MinVersion: tls.VersionTLS12}, nil
		},
	}))
	// The network is the test's, so that it can cut what is connected.
	var mu sync.Mutex
	var open []net.Conn
	c.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
		if err == nil {
			mu.Lock()
			defer mu.Unlock()
			open = append(open, conn)
		}
		return conn, err
	}
	c.TLS = kafka.TLS{Enabled: true, Files: service.TLS{CAFile: server.Load().CertFile, CertFile: server.Load().CertFile, KeyFile: server.Load().KeyFile}}
	client := connect(t, c)

	server.Store(certs.Make(t, dir, "own", nil))
	mu.Lock()
	before := len(open)
	for _, conn := range open {
		_ = conn.Close()
	}
	mu.Unlock()
	if err := client.Ping(t.Context()); err != nil { // the first may meet the cut connection
		err = client.Ping(t.Context())
		if err != nil {
			t.Fatalf("after the rotation: %v", err)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	if len(open) == before {
		t.Error("no connection was opened after the rotation, so nothing is shown")
	}
}

func pemOf(kind string, content []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: content})
}

func TestValidate_namesWhatDoesNotGoTogether(t *testing.T) {
	for name, tt := range map[string]struct {
		config kafka.Config
		says   string
	}{
		"a user without a mechanism":     {kafka.Config{SASL: kafka.SASL{User: "u"}}, "SASL_MECHANISM"},
		"a mechanism without a password": {kafka.Config{SASL: kafka.SASL{Mechanism: "PLAIN", User: "u"}}, "SASL_PASSWORD"},
		"an unknown mechanism":           {kafka.Config{SASL: kafka.SASL{Mechanism: "GSSAPI"}}, "GSSAPI"},
		"TLS files without TLS":          {kafka.Config{TLS: kafka.TLS{Files: service.TLS{CAFile: "c"}}}, "TLS_ENABLED"},
		"OAUTHBEARER without a token":    {kafka.Config{SASL: kafka.SASL{Mechanism: "OAUTHBEARER"}}, "SASL_OAUTH_TOKEN_URL"},
		"a token and an endpoint":        {kafka.Config{SASL: kafka.SASL{Mechanism: "OAUTHBEARER", OAuth: kafka.OAuth{Token: service.NewSecret("t"), TokenURL: "https://x"}}}, "needs one of"},
		"an endpoint without a secret":   {kafka.Config{SASL: kafka.SASL{Mechanism: "OAUTHBEARER", OAuth: kafka.OAuth{TokenURL: "https://x", ClientID: "i"}}}, "SASL_OAUTH_CLIENT_SECRET"},
		"an extension that is the token": {kafka.Config{SASL: kafka.SASL{Mechanism: "OAUTHBEARER", OAuth: kafka.OAuth{Token: service.NewSecret("t"), Extensions: map[string]string{"auth": "x"}}}}, "SASL_OAUTH_EXTENSIONS"},
		"a token without a mechanism":    {kafka.Config{SASL: kafka.SASL{OAuth: kafka.OAuth{TokenURL: "https://x"}}}, "SASL_MECHANISM"},
		"a password for AWS":             {kafka.Config{SASL: kafka.SASL{Mechanism: "AWS_MSK_IAM", User: "u"}}, "AWS_MSK_IAM"},
	} {
		t.Run(name, func(t *testing.T) {
			if err := tt.config.Validate(); err == nil || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("got %v", err)
			}
		})
	}
}
