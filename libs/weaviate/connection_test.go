package weaviate

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/freshet-io/freshet/libs/fault"
	"github.com/freshet-io/freshet/libs/record"
	"github.com/freshet-io/freshet/libs/service"
)

// authority signs certificates for 127.0.0.1, servers' and clients' alike.
type authority struct {
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{dir: t.TempDir()}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	a.cert, a.key = a.sign(t, template, "ca")
	return a
}

// sign writes name.pem and name.key; the first one signs itself.
func (a *authority) sign(t *testing.T, template *x509.Certificate, name string) (*x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	parent, signer := a.cert, a.key
	if parent == nil {
		parent, signer = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	writePEM(t, a.file(name+".pem"), "CERTIFICATE", der)
	writePEM(t, a.file(name+".key"), "PRIVATE KEY", secret)
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert, key
}

func writePEM(t *testing.T, path, kind string, der []byte) {
	t.Helper()
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
}

func (a *authority) file(name string) string { return filepath.Join(a.dir, name) }

// leaf writes a certificate for 127.0.0.1.
func (a *authority) leaf(t *testing.T, name string) {
	t.Helper()
	a.sign(t, &x509.Certificate{
		SerialNumber: big.NewInt(2), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}, name)
}

// mutual returns the settings of a server that wants certificates of its own authority.
func (a *authority) mutual(t *testing.T) *tls.Config {
	t.Helper()
	a.leaf(t, "server")
	pair, err := tls.LoadX509KeyPair(a.file("server.pem"), a.file("server.key"))
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return &tls.Config{Certificates: []tls.Certificate{pair}, ClientCAs: pool, ClientAuth: tls.RequireAndVerifyClientCert, MinVersion: tls.VersionTLS12}
}

func TestOpen_mutualTLSOnBothPorts(t *testing.T) {
	ours, theirs := newAuthority(t), newAuthority(t)
	var s standIn
	s.serve(t, ours.mutual(t))
	ours.leaf(t, "client")
	theirs.leaf(t, "client")
	pair := func(a *authority) service.TLS {
		return service.TLS{CAFile: ours.file("ca.pem"), CertFile: a.file("client.pem"), KeyFile: a.file("client.key")}
	}
	c := s.open(t, Config{TLS: pair(ours), APIKey: service.NewSecret("k")}, traits{})
	if _, err := c.Load(t.Context(), "Product", []record.Item{anItem("", "1")}, false); err != nil {
		t.Errorf("reading with a certificate that is trusted: %v", err)
	}
	if !s.has("grpc Bearer k") || !s.has("rest Bearer k") {
		t.Errorf("the key came as %v", s.authorized)
	}
	for name, secure := range map[string]service.TLS{"another authority's": pair(theirs), "none": {CAFile: ours.file("ca.pem")}} {
		if err := openFor(t, 5*time.Second, Config{URL: s.url, GRPC: s.grpc, TLS: secure}); !strings.Contains(err.Error(), "certificate") {
			t.Errorf("a client certificate that is %s gives %v", name, err)
		}
	}
}

func TestOpen_aPortThatIsNotGRPCIsNamed(t *testing.T) {
	web := httptest.NewServer(http.HandlerFunc(meta))
	defer web.Close()
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = silent.Close() }()
	for name, address := range map[string]string{"the HTTP port": strings.TrimPrefix(web.URL, "http://"), "one that says nothing": silent.Addr().String()} {
		err := openFor(t, time.Second, Config{URL: web.URL, GRPC: address})
		if fault.ClassOf(err) != fault.Fatal || !strings.Contains(err.Error(), "gRPC port "+address+" does not") {
			t.Errorf("%s gives %v", name, err)
		}
	}
}

// A key that another program writes into its file is sent by both ports without a restart.
func TestKey_isReadAgain(t *testing.T) {
	if testing.Short() {
		t.Skip("waits until the file is looked at again")
	}
	var s standIn
	s.serve(t, nil)
	file := filepath.Join(t.TempDir(), "key")
	write := func(key string, at time.Time) {
		t.Helper()
		if err := os.WriteFile(file, []byte(key+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(file, at, at); err != nil {
			t.Fatal(err)
		}
	}
	write("first", time.Now().Add(-time.Hour))
	var cfg struct{ Weaviate Config }
	if err := service.Load([]string{"FRESHET_WEAVIATE_API_KEY_FILE=" + file}, &cfg); err != nil {
		t.Fatal(err)
	}
	c := s.open(t, cfg.Weaviate, traits{})
	write("second", time.Now())
	for range 1000 {
		_, err := c.Load(t.Context(), "Product", []record.Item{anItem("", "1")}, false)
		if err == nil {
			err = c.call(t.Context(), http.MethodGet, "meta", nil, nil)
		}
		if err != nil {
			t.Fatal(err)
		}
		if s.has("grpc Bearer second") && s.has("rest Bearer second") {
			break
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-t.Context().Done():
		}
	}
	for _, key := range []string{"grpc Bearer first", "rest Bearer first", "grpc Bearer second", "rest Bearer second"} {
		if !s.has(key) {
			t.Errorf("%s never came, %v did", key, s.authorized)
		}
	}
}

func TestRead_anAnswerThatIsTooLargeIsAskedForInPieces(t *testing.T) {
	s := standIn{most: 3}
	s.serve(t, nil)
	c := s.open(t, Config{}, traits{})
	var items []record.Item
	for i := range 20 {
		items = append(items, anItem("", strconv.Itoa(i)))
		s.there[items[i].UUID().String()] = true
	}
	stored, err := c.Load(t.Context(), "Product", items, true)
	if err != nil || slices.ContainsFunc(stored, func(s Stored) bool { return !s.Main }) {
		t.Errorf("loaded %+v, %v", stored, err)
	}
	s.most = -1
	if _, err := c.Load(t.Context(), "Product", items, true); fault.ClassOf(err) != fault.Fatal || !strings.Contains(err.Error(), "raise GRPC_MAX_MESSAGE_SIZE") {
		t.Errorf("an answer without room for one object gives %v, want a fatal fault with the setting", err)
	}
	refusing := status.Error(codes.ResourceExhausted, "grpc: received message larger than max (9 vs. 8)")
	if !tooLarge(refusing) || tooLarge(status.Error(codes.ResourceExhausted, "not enough memory")) || tooLarge(nil) {
		t.Error("a message that is too large is taken for something else, or something else for it")
	}
}
