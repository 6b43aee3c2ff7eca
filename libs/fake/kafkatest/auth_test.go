package kafkatest

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/freshet-io/freshet/libs/fake/local"
	"github.com/freshet-io/freshet/libs/fake/local/localtest"
	"github.com/freshet-io/freshet/libs/fault"
	"github.com/freshet-io/freshet/libs/kafka"
	"github.com/freshet-io/freshet/libs/service"
)

// doorman answers for a broker that knows a mechanism which the stand-in does not: it
// takes every first word that admit takes.
type doorman struct {
	mu    sync.Mutex
	words []string // the first words of the clients, in their order
}

func (d *doorman) heard() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.words)
}

func watch(cluster *kfake.Cluster, mechanism string, admit func(word string) bool) *doorman {
	d := &doorman{}
	cluster.ControlKey(int16(kmsg.SASLHandshake), func(request kmsg.Request) (kmsg.Response, error, bool) {
		cluster.KeepControl()
		asked, response := request.(*kmsg.SASLHandshakeRequest), request.ResponseKind().(*kmsg.SASLHandshakeResponse)
		response.SupportedMechanisms = []string{mechanism}
		if asked.Mechanism != mechanism {
			response.ErrorCode = kerr.UnsupportedSaslMechanism.Code
		}
		return response, nil, true
	})
	cluster.ControlKey(int16(kmsg.SASLAuthenticate), func(request kmsg.Request) (kmsg.Response, error, bool) {
		cluster.KeepControl()
		word, response := string(request.(*kmsg.SASLAuthenticateRequest).SASLAuthBytes), request.ResponseKind().(*kmsg.SASLAuthenticateResponse)
		d.mu.Lock()
		d.words = append(d.words, word)
		d.mu.Unlock()
		switch {
		case !admit(word):
			response.ErrorCode = kerr.SaslAuthenticationFailed.Code
			response.ErrorMessage = new("not today")
		case mechanism == "AWS_MSK_IAM":
			response.SASLAuthBytes = []byte(`{"version":"2020_10_22"}`)
		}
		return response, nil, true
	})
	return d
}

func try(t *testing.T, limit time.Duration, c kafka.Config) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	client, err := c.Connect(ctx, log)
	if err == nil {
		client.Close()
	}
	return err
}

// load fills the cluster's configuration as a service does.
func load(t *testing.T, c kafka.Config, environ ...string) kafka.Config {
	t.Helper()
	var cfg struct{ Kafka kafka.Config }
	environ = append(environ, "FRESHET_KAFKA_BROKERS="+strings.Join(c.Brokers, ","), "FRESHET_KAFKA_METADATA_MIN_AGE=50ms")
	if err := service.Load(environ, &cfg); err != nil {
		t.Fatal(err)
	}
	return cfg.Kafka
}

func TestOAuth_sendsTheTokenOfTheFileWithItsExtensions(t *testing.T) {
	cluster, c := broker(t)
	door := watch(cluster, "OAUTHBEARER", func(string) bool { return true })
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte("one\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c = load(t, c, "FRESHET_KAFKA_SASL_MECHANISM=OAUTHBEARER", "FRESHET_KAFKA_SASL_OAUTH_TOKEN_FILE="+file,
		"FRESHET_KAFKA_SASL_OAUTH_EXTENSIONS=logicalCluster:lkc-1,identityPoolId:pool-2")
	connect(t, c)
	const want = "n,,\x01auth=Bearer one\x01identityPoolId=pool-2\x01logicalCluster=lkc-1\x01\x01"
	if heard := door.heard(); len(heard) == 0 || heard[0] != want {
		t.Errorf("the broker heard %q, want %q", heard, want)
	}
}

func TestOAuth_aTokenThatTheBrokerRefusesIsFatalInOneLine(t *testing.T) {
	cluster, c := broker(t)
	watch(cluster, "OAUTHBEARER", func(string) bool { return false })
	c.SASL = kafka.SASL{Mechanism: "OAUTHBEARER", OAuth: kafka.OAuth{Token: service.NewSecret("hunter2")}}
	err := try(t, 10*time.Second, c)
	if fault.ClassOf(err) != fault.Fatal || strings.ContainsAny(err.Error(), "\n") || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("got %v", err)
	}
}

// endpoint is a token endpoint whose answers a test decides.
type endpoint struct {
	*httptest.Server
	asked  atomic.Int32
	status atomic.Int32
	last   atomic.Pointer[http.Request]
}

func newEndpoint(t *testing.T, expiresIn int) *endpoint {
	t.Helper()
	e := &endpoint{}
	e.status.Store(http.StatusOK)
	e.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm()
		e.last.Store(r)
		n, status := e.asked.Add(1), int(e.status.Load())
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		switch status {
		case http.StatusOK:
			fmt.Fprintf(w, `{"access_token":"t%d","token_type":"Bearer","expires_in":%d}`, n, expiresIn)
		default:
			fmt.Fprint(w, `{"error":"invalid_client","error_description":"no such\nclient"}`)
		}
	}))
	e.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError) // a client that does not trust it is meant
	e.StartTLS()
	t.Cleanup(e.Close)
	return e
}

// settings returns how the endpoint is asked.
func (e *endpoint) settings(t *testing.T) kafka.SASL {
	t.Helper()
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pemOf("CERTIFICATE", e.Certificate().Raw), 0o600); err != nil {
		t.Fatal(err)
	}
	return kafka.SASL{Mechanism: "OAUTHBEARER", OAuth: kafka.OAuth{
		TokenURL: e.URL, ClientID: "id", ClientSecret: service.NewSecret("hunter2"), CAFile: ca,
		Scopes: []string{"kafka", "more"}, Audience: "brokers",
	}}
}

func TestOAuth_asksTheEndpointOnceForAllConnectionsWhileTheTokenIsGood(t *testing.T) {
	cluster, c := broker(t, kfake.NumBrokers(3))
	door := watch(cluster, "OAUTHBEARER", func(string) bool { return true })
	e := newEndpoint(t, 3600)
	c.SASL = e.settings(t)
	client := connect(t, c)
	apply(t, client)
	id, secret, _ := e.last.Load().BasicAuth()
	form := e.last.Load().PostForm
	if id != "id" || secret != "hunter2" || form.Get("grant_type") != "client_credentials" || form.Get("scope") != "kafka more" || form.Get("audience") != "brokers" {
		t.Errorf("the endpoint was asked with %s, %s, %v", id, secret, form)
	}
	if n := e.asked.Load(); n != 1 {
		t.Errorf("the endpoint was asked %d times", n)
	}
	for _, word := range door.heard() {
		if word != "n,,\x01auth=Bearer t1\x01\x01" {
			t.Errorf("the broker heard %q", word)
		}
	}
}

func TestOAuth_anEndpointThatRefusesIsFatalInOneLineAndOneThatIsAwayIsWaitedFor(t *testing.T) {
	cluster, c := broker(t)
	watch(cluster, "OAUTHBEARER", func(string) bool { return true })
	e := newEndpoint(t, 3600)
	c.SASL = e.settings(t)

	e.status.Store(http.StatusUnauthorized)
	err := try(t, 10*time.Second, c)
	if fault.ClassOf(err) != fault.Fatal || strings.Contains(err.Error(), "\n") || strings.Contains(err.Error(), "hunter2") ||
		!strings.Contains(err.Error(), e.URL) || !strings.Contains(err.Error(), "invalid_client") {
		t.Errorf("an endpoint that refuses gives %v", err)
	}

	e.status.Store(http.StatusServiceUnavailable)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	before := e.asked.Load()
	go func() {
		for e.asked.Load() == before && ctx.Err() == nil {
			time.Sleep(10 * time.Millisecond)
		}
		e.status.Store(http.StatusOK)
	}()
	client, err := c.Connect(ctx, log)
	if err != nil {
		t.Fatalf("an endpoint that comes back gives %v", err)
	}
	client.Close()

	c.SASL.OAuth.CAFile = "" // the system does not know its authority
	if err := try(t, 10*time.Second, c); fault.ClassOf(err) != fault.Fatal {
		t.Errorf("an endpoint that is not trusted gives %v", err)
	}
}

func TestAWS_signsWithTheCredentialsThatAWSsToolsWouldTake(t *testing.T) {
	cluster, c := broker(t)
	door := watch(cluster, "AWS_MSK_IAM", func(string) bool { return true })
	empty := filepath.Join(t.TempDir(), "none")
	for name, value := range map[string]string{
		"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "hunter2", "AWS_SESSION_TOKEN": "session", "AWS_REGION": "eu-central-1",
		"AWS_PROFILE": "", "AWS_CONFIG_FILE": empty, "AWS_SHARED_CREDENTIALS_FILE": empty, "AWS_EC2_METADATA_DISABLED": "true",
	} {
		t.Setenv(name, value)
	}
	c = load(t, c, "FRESHET_KAFKA_SASL_MECHANISM=AWS_MSK_IAM")
	connect(t, c)
	heard := door.heard()
	if len(heard) == 0 {
		t.Fatal("nobody identified itself")
	}
	var said map[string]string
	if err := json.Unmarshal([]byte(heard[0]), &said); err != nil {
		t.Fatal(err)
	}
	if said["action"] != "kafka-cluster:Connect" || said["host"] != "127.0.0.1" || said["x-amz-security-token"] != "session" ||
		!strings.HasPrefix(said["x-amz-credential"], "AKIDEXAMPLE/") || !strings.HasSuffix(said["x-amz-credential"], "/eu-central-1/kafka-cluster/aws4_request") ||
		len(said["x-amz-signature"]) != 64 || !strings.HasPrefix(said["user-agent"], "freshet/") || strings.Contains(heard[0], "hunter2") {
		t.Errorf("the broker heard %s", heard[0])
	}
}

// unsecured returns a JSON web token without a signature, as Kafka's own validator for
// trials takes it.
func unsecured(subject string, ends time.Time) []byte {
	part := func(v any) string {
		b, _ := json.Marshal(v)
		return base64.RawURLEncoding.EncodeToString(b)
	}
	return []byte(part(map[string]string{"alg": "none"}) + "." + part(map[string]any{"sub": subject, "iat": time.Now().Unix(), "exp": ends.Unix()}) + ".")
}

func TestOAuth_isWhatApacheKafkaTakesAndRefuses(t *testing.T) {
	k := localtest.Kafka(t, local.KafkaOptions{OAuth: true})
	file := filepath.Join(t.TempDir(), "token")
	write := func(token []byte) {
		if err := os.WriteFile(file, token, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(unsecured("freshet", time.Now().Add(time.Hour)))
	c := load(t, kafka.Config{Brokers: []string{k.OAuth}}, "FRESHET_KAFKA_SASL_MECHANISM=OAUTHBEARER",
		"FRESHET_KAFKA_SASL_OAUTH_TOKEN_FILE="+file, "FRESHET_KAFKA_SASL_OAUTH_EXTENSIONS=logicalCluster:lkc-1")
	apply(t, connect(t, c))

	write(unsecured("freshet", time.Now().Add(-time.Hour)))
	c = load(t, c, "FRESHET_KAFKA_SASL_MECHANISM=OAUTHBEARER", "FRESHET_KAFKA_SASL_OAUTH_TOKEN_FILE="+file)
	if err := try(t, 20*time.Second, c); fault.ClassOf(err) != fault.Fatal || strings.Contains(err.Error(), "\n") {
		t.Errorf("a token that has ended gives %v", err)
	}
}
