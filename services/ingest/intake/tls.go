package intake

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"os"
	"sync/atomic"
)

// open reads the files, and returns settings that read them again for each connection. A file that is no good then, as one
// half of a rotation may be, is warned of, and the last good ones stand.
func (t TLS) open(required bool, log *slog.Logger) (*tls.Config, error) {
	first, err := t.read(required)
	if err != nil {
		return nil, err
	}
	var last atomic.Pointer[tls.Config]
	last.Store(first)
	return &tls.Config{
		MinVersion: tls.VersionTLS12, NextProtos: first.NextProtos,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			now, err := t.read(required)
			if err != nil {
				log.Warn("the certificates in use are kept", "error", err)
				return last.Load(), nil
			}
			last.Store(now)
			return now, nil
		},
	}, nil
}

// read returns the settings of one connection. required says that a client must show a certificate, having nothing else.
func (t TLS) read(required bool) (*tls.Config, error) {
	pair, err := tls.LoadX509KeyPair(t.CertFile, t.KeyFile)
	if err != nil {
		return nil, fmt.Errorf("reading the server's certificate: %w", err)
	}
	cfg := &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}, NextProtos: []string{"h2", "http/1.1"}}
	if t.ClientCAFile == "" {
		return cfg, nil
	}
	pem, err := os.ReadFile(t.ClientCAFile)
	if err != nil {
		return nil, fmt.Errorf("reading the authorities of clients: %w", err)
	}
	if cfg.ClientCAs = x509.NewCertPool(); !cfg.ClientCAs.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("reading the authorities of clients: no certificate in %s", t.ClientCAFile)
	}
	cfg.ClientAuth = tls.VerifyClientCertIfGiven
	if required {
		cfg.ClientAuth = tls.RequireAndVerifyClientCert
	}
	return cfg, nil
}
