package weaviate

import (
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/freshet-io/freshet/libs/fault"
	"github.com/freshet-io/freshet/libs/pipeline"
	"github.com/freshet-io/freshet/libs/service"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The words are those of Weaviate 1.35.2.
func TestClassify(t *testing.T) {
	tests := map[string]struct {
		err  error
		want fault.Class
	}{
		"wrong key":           {status.Error(codes.Unauthenticated, "rpc error"), fault.Fatal},
		"wrong key, as text":  {status.Error(codes.Unknown, "extract auth: unauthorized: invalid api key, please provide a valid api key"), fault.Fatal},
		"no rights":           {status.Error(codes.PermissionDenied, "authorization, forbidden action"), fault.Fatal},
		"another program":     {status.Error(codes.Unimplemented, "unknown service weaviate.v1.Weaviate"), fault.Fatal},
		"vanished collection": {status.Error(codes.Unknown, "class Product_g1 not found: could not find class Product_g1 in schema"), fault.Fatal},
		"server away":         {status.Error(codes.Unavailable, "connection refused"), fault.Transient},
		"deadline":            {status.Error(codes.DeadlineExceeded, "context deadline exceeded"), fault.Transient},
		"read-only":           {objectError("store is read-only due to: manually set by user"), fault.Transient},
		"out of memory":       {status.Error(codes.Unknown, "cannot process batch: not enough memory"), fault.Transient},
		"disk full":           {objectError("put object in LSM store: no space left on device"), fault.Transient},
		"never seen":          {errors.New("whatever"), fault.Transient},
	}
	for name, test := range tests {
		if got := fault.ClassOf(classify("writing", test.err)); got != test.want {
			t.Errorf("%s is %s, want %s", name, got, test.want)
		}
	}
	if classify("writing", nil) != nil {
		t.Error("no error became one")
	}
}

// An error that only mentions a property must not make a dead letter of the object.
func TestOnlyRefusedContentIsTheObjectsFault(t *testing.T) {
	tests := map[string]bool{
		"invalid date property 'listed' on class 'P': requires a string with a RFC3339 formatted date, but the given value is 'x'": true,
		"invalid integer array property 'counts' on class 'P': not an integer array":                                               true,
		"no such prop with name 'x' found in class 'P' in the schema. Check your schema files":                                     true,
		"put object in vector index: new node has a vector with length 3. Existing nodes have vectors with length 32":              true,
		"store is read-only due to: disk usage too high":                                                                           false,
		"update inverted index: property 'listed': no space left on device":                                                        false,
		"end store object 3 of batch: context deadline exceeded":                                                                   false,
		"memory pressure: cannot process batch":                                                                                    false,
		"":                                                                                                                         false,
	}
	for text, want := range tests {
		if got := invalid.MatchString(text); got != want {
			t.Errorf("%q is the object's fault: %t, want %t", text, got, want)
		}
	}
}

func TestStatusClasses(t *testing.T) {
	for code, want := range map[int]fault.Class{401: fault.Fatal, 403: fault.Fatal, 422: fault.Fatal, 429: fault.Transient, 500: fault.Transient, 503: fault.Transient} {
		err := classifyStatus("calling", code, "")
		if fault.ClassOf(err) != want || fault.StatusOf(err) != code {
			t.Errorf("HTTP %d is %v, want %s", code, err, want)
		}
	}
}

func TestValidateSpec(t *testing.T) {
	good := CollectionSpec{
		Name: "Product", Generation: 1, Space: "s", Dimensions: 8, Partitions: 24,
		Properties: []pipeline.Property{{Name: "name", Type: pipeline.TypeText}},
	}
	if err := good.Validate(); err != nil {
		t.Fatal(err)
	}
	property := func(name string, t pipeline.Type) func(*CollectionSpec) {
		return func(s *CollectionSpec) { s.Properties = append(s.Properties, pipeline.Property{Name: name, Type: t}) }
	}
	bad := map[string]func(*CollectionSpec){
		"small letter":              func(s *CollectionSpec) { s.Name = "product" },
		"name of a generation":      func(s *CollectionSpec) { s.Name = "Product_g1" },
		"name of a side collection": func(s *CollectionSpec) { s.Name = "Product_g1_side" },
		"no generation":             func(s *CollectionSpec) { s.Generation = 0 },
		"no space":                  func(s *CollectionSpec) { s.Space = "" },
		"reserved prefix":           property("freshet_base", pipeline.TypeInt),
		"reserved name":             property("id", pipeline.TypeText),
		"capital: stored otherwise": property("Price", pipeline.TypeInt),
		"unknown type":              property("price", "money"),
		"twice":                     property("name", pipeline.TypeText),
	}
	for name, change := range bad {
		s := good
		change(&s)
		if s.Validate() == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestConfigValidate(t *testing.T) {
	good := Config{URL: "https://weaviate:443", GRPC: "weaviate:50051"}
	if err := good.Validate(); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*Config){
		"URL":  func(c *Config) { c.URL = "weaviate:8080" },
		"GRPC": func(c *Config) { c.GRPC = "" },
	} {
		c := good
		change(&c)
		if err := c.Validate(); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func meta(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"version":"1.35.2"}`) }

func openFor(t *testing.T, limit time.Duration, cfg Config) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	c, err := Open(ctx, cfg)
	if err == nil {
		err = errors.Join(errors.New("it opened"), c.Close())
	}
	return err
}

func TestOpenWithoutGRPCIsFatalAndSaysSo(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(meta))
	defer server.Close()
	err := openFor(t, 300*time.Millisecond, Config{URL: server.URL, GRPC: "127.0.0.1:1"})
	if fault.ClassOf(err) != fault.Fatal || !strings.Contains(err.Error(), "gRPC port 127.0.0.1:1 does not") {
		t.Errorf("%v, want a fatal fault that names the port", err)
	}
}

func TestOpenVerifiesTheCertificate(t *testing.T) {
	server := httptest.NewUnstartedServer(http.HandlerFunc(meta))
	server.Config.ErrorLog = nil
	server.StartTLS()
	defer server.Close()
	cfg := Config{URL: server.URL, GRPC: "127.0.0.1:1"}
	if err := openFor(t, 5*time.Second, cfg); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("an unknown certificate gives %v", err)
	}
	cfg.TLS.CAFile = filepath.Join(t.TempDir(), "ca.pem")
	cert := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if err := os.WriteFile(cfg.TLS.CAFile, cert, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := openFor(t, 500*time.Millisecond, cfg); err == nil || !strings.Contains(err.Error(), "gRPC port") {
		t.Errorf("a trusted certificate gives %v, want only the gRPC port to be missed", err)
	}
}

func TestAKeyIsNotSentToAnotherHost(t *testing.T) {
	var leaked string
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		leaked = r.Header.Get("Authorization")
		meta(w, r)
	}))
	defer other.Close()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer secret" {
			t.Error("the key was not sent at all")
		}
		http.Redirect(w, r, other.URL, http.StatusTemporaryRedirect)
	}))
	defer server.Close()
	_ = openFor(t, 300*time.Millisecond, Config{URL: server.URL, GRPC: "127.0.0.1:1", APIKey: service.NewSecret("secret")})
	if leaked != "" {
		t.Errorf("the redirect carried %q", leaked)
	}
}

// The one client of version 4 compiles beside one version of Weaviate's module only.
func TestPinnedModules(t *testing.T) {
	b, err := os.ReadFile("../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	for _, pin := range []string{"github.com/weaviate/weaviate v1.27.0", "github.com/weaviate/weaviate-go-client/v4 v4.16.1"} {
		if !strings.Contains(string(b), pin) {
			t.Errorf("go.mod lacks %s: another version does not compile", pin)
		}
	}
}
