package service

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// identity is a certificate for the loopback address that signs itself.
type identity struct {
	pair      tls.Certificate
	cert, key []byte // PEM
}

func newIdentity(t *testing.T) identity {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, DNSNames: []string{"broker"}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	i := identity{
		cert: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		key:  pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}),
	}
	if i.pair, err = tls.X509KeyPair(i.cert, i.key); err != nil {
		t.Fatal(err)
	}
	return i
}

// serve listens for TLS with the identity of the moment, and wants the same one from clients.
func serve(t *testing.T, now *atomic.Pointer[identity]) string {
	t.Helper()
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{
		MinVersion: tls.VersionTLS12,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			pool := x509.NewCertPool()
			pool.AppendCertsFromPEM(now.Load().cert)
			return &tls.Config{
				Certificates: []tls.Certificate{now.Load().pair}, MinVersion: tls.VersionTLS12,
				ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool,
			}, nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = conn.Write([]byte("x")) // ends the handshake, which checks the client's certificate
			_ = conn.Close()
		}
	}()
	return l.Addr().String()
}

func write(t *testing.T, path string, content []byte) {
	t.Helper()
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestCertificates_aRotationIsSeenByTheNextConnectionAndABrokenFileIsNot(t *testing.T) {
	first, second := newIdentity(t), newIdentity(t)
	var server atomic.Pointer[identity]
	server.Store(&first)
	address := serve(t, &server)

	dir := t.TempDir()
	files := TLS{CAFile: filepath.Join(dir, "ca.pem"), CertFile: filepath.Join(dir, "tls.crt"), KeyFile: filepath.Join(dir, "tls.key")}
	install := func(i identity) {
		write(t, files.CAFile, i.cert)
		write(t, files.CertFile, i.cert)
		write(t, files.KeyFile, i.key)
	}
	install(first)
	var logged bytes.Buffer
	certificates, err := files.Open(slog.New(slog.NewTextHandler(&logged, nil)))
	if err != nil {
		t.Fatal(err)
	}
	dial := certificates.Dialer(nil)
	greeted := func() error {
		conn, err := dial(t.Context(), "tcp", address)
		if err != nil {
			return err
		}
		defer func() { _ = conn.Close() }()
		_, err = conn.Read(make([]byte, 1))
		return err
	}
	if err := greeted(); err != nil {
		t.Fatal(err)
	}

	write(t, files.CAFile, []byte("half a fi"))
	write(t, files.KeyFile, second.key) // and not yet its certificate
	if err := greeted(); err != nil {
		t.Errorf("in the middle of a rotation: %v", err)
	}
	for _, kept := range []string{"certificate authorities in use are kept", "client certificate in use is kept"} {
		if !strings.Contains(logged.String(), kept) {
			t.Errorf("nobody was told that the %s", kept)
		}
	}

	install(second)
	if greeted() == nil {
		t.Error("a server with the old certificate is still trusted")
	}
	server.Store(&second)
	if err := greeted(); err != nil {
		t.Errorf("after the rotation: %v", err)
	}
}

func TestCertificates_theServersNameIsVerifiedAndCanBeAnother(t *testing.T) {
	id := newIdentity(t)
	var server atomic.Pointer[identity]
	server.Store(&id)
	_, port, _ := net.SplitHostPort(serve(t, &server))
	ca := filepath.Join(t.TempDir(), "ca.pem")
	write(t, ca, id.cert)
	for name, want := range map[string]bool{"": false, "broker": true} {
		certificates, err := TLS{CAFile: ca, ServerName: name}.Open(slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		conn, err := certificates.Dialer(nil)(t.Context(), "tcp", "localhost:"+port) // which the certificate does not name
		if (err == nil) != want {
			t.Errorf("with server name %q: %v", name, err)
		}
		if err == nil {
			_ = conn.Close()
		}
	}
}

func TestTLS_filesThatAreNoGoodAtTheStartAreAnError(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "empty"), nil)
	for says, files := range map[string]TLS{
		"go together":    {CertFile: "c"},
		"no certificate": {CAFile: filepath.Join(dir, "empty")},
		"authorities":    {CAFile: filepath.Join(dir, "missing")},
		"client":         {CertFile: filepath.Join(dir, "empty"), KeyFile: filepath.Join(dir, "empty")},
	} {
		if _, err := files.Open(slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%+v: got %v", files, err)
		}
	}
}
