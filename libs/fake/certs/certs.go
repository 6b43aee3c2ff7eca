// Package certs makes certificates for tests: for the loopback address, good for an hour, and for servers, clients and
// signing alike.
package certs

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// Identity is a certificate and its key, in files.
type Identity struct {
	Pair              tls.Certificate // with its leaf
	CertFile, KeyFile string          // PEM
}

// Make writes name.crt and name.key into a folder, over what is there. Without a signer the certificate signs itself.
func Make(tb testing.TB, dir, name string, signer *Identity) *Identity {
	tb.Helper()
	check := func(err error) {
		tb.Helper()
		if err != nil {
			tb.Fatal(err)
		}
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(err)
	serial, err := rand.Int(rand.Reader, big.NewInt(math.MaxInt64))
	check(err)
	template := &x509.Certificate{
		SerialNumber: serial, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: signer == nil, BasicConstraintsValid: true,
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	template.Subject.CommonName = name
	parent, private := template, any(key)
	if signer != nil {
		parent, private = signer.Pair.Leaf, signer.Pair.PrivateKey
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, private)
	check(err)
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	check(err)
	i := &Identity{CertFile: filepath.Join(dir, name+".crt"), KeyFile: filepath.Join(dir, name+".key")}
	check(os.WriteFile(i.CertFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	check(os.WriteFile(i.KeyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}), 0o600))
	i.Pair, err = tls.LoadX509KeyPair(i.CertFile, i.KeyFile)
	check(err)
	return i
}

// Pool returns a pool that trusts what the identity signs, itself too where it signs itself.
func (i *Identity) Pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(i.Pair.Leaf)
	return pool
}
