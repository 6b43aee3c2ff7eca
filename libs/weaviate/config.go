package weaviate

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"

	"google.golang.org/grpc/credentials"

	"github.com/freshet-io/freshet/libs/fault"
	"github.com/freshet-io/freshet/libs/service"
)

// Config says where Weaviate is.
type Config struct {
	URL    string         `default:"http://127.0.0.1:8080" desc:"HTTP API of Weaviate; https verifies the certificate, of gRPC too"`
	GRPC   string         `envconfig:"GRPC" default:"127.0.0.1:50051" desc:"gRPC API of Weaviate, host:port"`
	APIKey service.Secret `envconfig:"API_KEY" desc:"API key of Weaviate"`

	TLS service.TLS

	MixTemplates bool `desc:"go on where a collection has texts of other templates than the pipeline file's: items get their new text with their next change, and until then a search compares both"`

	// Log is told of certificates that cannot be read again; nil: nobody is.
	Log *slog.Logger `ignored:"true"`
	// Before, if set, is asked right before each request that changes something; its error
	// keeps the request from being made. One call of a writer may be several requests.
	Before func(context.Context) error `ignored:"true"`
}

// Validate implements service.Validator.
func (c Config) Validate() error {
	var errs []error
	switch u, err := url.Parse(c.URL); {
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
		errs = append(errs, errors.New("URL is no http or https address"))
	case u.User != nil:
		errs = append(errs, errors.New("URL holds a user or a password: set API_KEY, since URLs are logged and shown"))
	}
	return errors.Join(append(errs, fault.If(c.GRPC == "", "GRPC is empty: searches and writes need the gRPC port"))...)
}

// certificates returns what TLS is spoken with, nil for plain text.
func (c Config) certificates() (*service.Certificates, error) {
	u, err := url.Parse(c.URL)
	if err != nil {
		return nil, fmt.Errorf("parsing Weaviate's address: %w", err)
	}
	if u.Scheme != "https" {
		return nil, nil //nolint:nilnil // no TLS is no error
	}
	return c.TLS.Open(cmp.Or(c.Log, slog.New(slog.DiscardHandler)))
}

// rotated is the transport of gRPC with the certificates that the files hold when a
// connection is opened.
type rotated struct {
	credentials.TransportCredentials
	certificates *service.Certificates
}

func newRotated(c *service.Certificates) credentials.TransportCredentials {
	return rotated{credentials.NewTLS(c.Config("")), c}
}

func (r rotated) ClientHandshake(ctx context.Context, authority string, conn net.Conn) (net.Conn, credentials.AuthInfo, error) {
	return credentials.NewTLS(r.certificates.Config("")).ClientHandshake(ctx, authority, conn)
}

func (r rotated) Clone() credentials.TransportCredentials { return newRotated(r.certificates) }
