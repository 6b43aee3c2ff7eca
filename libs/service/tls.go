package service

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/freshet-io/freshet/libs/fault"
)

// dialBound is how long opening a connection may take, and its TLS handshake again.
const dialBound = 10 * time.Second

// TLS names the files of a TLS client. All of them may change while the process runs.
type TLS struct {
	CAFile     string `desc:"certificate authorities to trust instead of the system's, PEM; read again for each connection"`
	CertFile   string `desc:"client certificate for mutual TLS, PEM; read again for each connection"`
	KeyFile    string `desc:"key of the client certificate, PEM"`
	ServerName string `desc:"name to verify in the server's certificate instead of the address's host"`
}

// Validate reports settings that cannot be.
func (t TLS) Validate() error {
	return fault.If((t.CertFile == "") != (t.KeyFile == ""), "CERT_FILE and KEY_FILE go together: set both or none")
}

// Open reads the files, and fails where one of them is no good.
func (t TLS) Open(log *slog.Logger) (*Certificates, error) {
	if err := t.Validate(); err != nil {
		return nil, err
	}
	c := &Certificates{files: t, log: log}
	var err error
	if c.roots, err = t.roots(); err != nil {
		return nil, err
	}
	if c.pair, err = t.pair(); err != nil {
		return nil, err
	}
	return c, nil
}

func (t TLS) roots() (*x509.CertPool, error) {
	if t.CAFile == "" {
		return nil, nil //nolint:nilnil // crypto/tls takes it for the system's
	}
	pem, err := os.ReadFile(t.CAFile)
	if err != nil {
		return nil, fmt.Errorf("reading certificate authorities: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("reading certificate authorities: no certificate in %s", t.CAFile)
	}
	return pool, nil
}

func (t TLS) pair() (*tls.Certificate, error) {
	if t.CertFile == "" {
		return nil, nil //nolint:nilnil // no client certificate is asked for
	}
	pair, err := tls.LoadX509KeyPair(t.CertFile, t.KeyFile)
	if err != nil {
		return nil, fmt.Errorf("reading the client certificate: %w", err)
	}
	return &pair, nil
}

// Certificates is what the files of a TLS client hold now. It is safe for concurrent use.
type Certificates struct {
	files TLS
	log   *slog.Logger

	mu    sync.Mutex
	roots *x509.CertPool
	pair  *tls.Certificate
}

// Config reads the files again and returns the settings of one connection to the
// host. A file that is no good, as one half of a rotation may be, is warned of and
// the last good one stands: what was trusted a moment ago is better than an outage.
func (c *Certificates) Config(host string) *tls.Config {
	c.mu.Lock()
	defer c.mu.Unlock()
	if roots, err := c.files.roots(); err != nil {
		c.log.Warn("the certificate authorities in use are kept", "error", err)
	} else {
		c.roots = roots
	}
	if pair, err := c.files.pair(); err != nil {
		c.log.Warn("the client certificate in use is kept", "error", err)
	} else {
		c.pair = pair
	}
	cfg := &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: c.roots, ServerName: cmp.Or(c.files.ServerName, host)}
	if pair := c.pair; pair != nil {
		// Not Certificates: a server that asks for another authority's would be sent none,
		// and its alert would not tell why.
		cfg.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return pair, nil }
	}
	return cfg
}

// Dial opens a connection to an address, host:port.
type Dial func(ctx context.Context, network, address string) (net.Conn, error)

// Dialer returns a Dial that encrypts what dial opens; nil dials the network.
func (c *Certificates) Dialer(dial Dial) Dial {
	if dial == nil {
		dial = (&net.Dialer{Timeout: dialBound}).DialContext
	}
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		host, _, err := net.SplitHostPort(address)
		if err != nil {
			return nil, fmt.Errorf("dialling %s: %w", address, err)
		}
		conn, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		ctx, cancel := context.WithTimeout(ctx, dialBound)
		defer cancel()
		secure := tls.Client(conn, c.Config(host))
		if err := secure.HandshakeContext(ctx); err != nil {
			_ = conn.Close() // the handshake's error is the one worth having
			return nil, err
		}
		return secure, nil
	}
}

// Secure has a transport open its TLS connections with these certificates. Through a
// proxy it uses those of now for ever: net/http has no dial of its own there.
func (c *Certificates) Secure(t *http.Transport) {
	t.DialTLSContext = c.Dialer(nil)
	t.TLSClientConfig = c.Config("")
}
