package hazards_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"
)

// authority is the certificate of both ports, and the file in which write finds what to trust.
type authority struct {
	current atomic.Pointer[tls.Certificate]
	file    string
	pem     []byte
}

// change makes another certificate. write does not trust it until it is published.
func (a *authority) change(t *testing.T) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	a.pem = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	a.current.Store(&tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key})
}

func (a *authority) publish(t *testing.T) {
	t.Helper()
	if err := os.WriteFile(a.file, a.pem, 0o600); err != nil {
		t.Fatal(err)
	}
}

func (a *authority) config(protocol string) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12, NextProtos: []string{protocol},
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return a.current.Load(), nil },
	}
}

// encrypt has both ports speak TLS.
func (b *bed) encrypt() (environ []string) {
	b.t.Helper()
	b.authority = &authority{file: filepath.Join(b.dir, "ca.pem")}
	b.authority.change(b.t)
	b.authority.publish(b.t)
	b.proxy.tls = b.authority.config("h2")
	web := (&proxy{upstream: b.server.REST, tls: b.authority.config("http/1.1")}).start(b.t)
	return []string{"FRESHET_WEAVIATE_URL=https://" + web.address, "FRESHET_WEAVIATE_TLS_CA_FILE=" + b.authority.file}
}

// changeCertificate: connections that are open live on, the next one is refused until the file with
// the authority follows.
func changeCertificate(b *bed) {
	for range 3 {
		b.authority.change(b.t)
		b.inPut(5*time.Millisecond, b.proxy.cut)
		b.awaitBroken("x509: ")
		b.authority.publish(b.t)
		b.awaitMended()
	}
}
