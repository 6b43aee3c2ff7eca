package weaviate

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"os"

	"github.com/freshet-io/freshet/libs/service"
)

// Config says where Weaviate is.
type Config struct {
	URL    string         `default:"http://127.0.0.1:8080" desc:"HTTP API of Weaviate; https verifies the certificate, of gRPC too"`
	GRPC   string         `envconfig:"GRPC" default:"127.0.0.1:50051" desc:"gRPC API of Weaviate, host:port"`
	APIKey service.Secret `envconfig:"API_KEY" desc:"API key of Weaviate"`

	CAFile   string `envconfig:"TLS_CA_FILE" desc:"certificates to trust instead of the system's, PEM"`
	CertFile string `envconfig:"TLS_CERT_FILE" desc:"client certificate, PEM"`
	KeyFile  string `envconfig:"TLS_KEY_FILE" desc:"key of the client certificate, PEM"`
}

// Validate implements service.Validator.
func (c Config) Validate() error {
	var errs []error
	if u, err := url.Parse(c.URL); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		errs = append(errs, errors.New("URL is no http or https address"))
	}
	if c.GRPC == "" {
		errs = append(errs, errors.New("GRPC is empty: searches and writes need the gRPC port"))
	}
	if (c.CertFile == "") != (c.KeyFile == "") {
		errs = append(errs, errors.New("TLS_CERT_FILE and TLS_KEY_FILE come together"))
	}
	return errors.Join(errs...)
}

// tls returns the TLS settings, nil for plain text.
func (c Config) tls() (*tls.Config, error) {
	u, err := url.Parse(c.URL)
	if err != nil {
		return nil, fmt.Errorf("parsing Weaviate's address: %w", err)
	}
	if u.Scheme != "https" {
		return nil, nil //nolint:nilnil // no TLS is no error
	}
	settings := &tls.Config{MinVersion: tls.VersionTLS12}
	if c.CAFile != "" {
		pem, err := os.ReadFile(c.CAFile)
		if err != nil {
			return nil, fmt.Errorf("reading trusted certificates: %w", err)
		}
		settings.RootCAs = x509.NewCertPool()
		if !settings.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("reading trusted certificates: none in %s", c.CAFile)
		}
	}
	if c.CertFile != "" {
		pair, err := tls.LoadX509KeyPair(c.CertFile, c.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("reading the client certificate: %w", err)
		}
		settings.Certificates = []tls.Certificate{pair}
	}
	return settings, nil
}
