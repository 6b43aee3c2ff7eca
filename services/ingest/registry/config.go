// Package registry asks a schema registry for schemas, and remembers them: Confluent's, or one that has its API
// (Apicurio, Karapace, Redpanda). For samples, a folder of files takes its place.
//
// It owns the HTTP, and which answer means what: that a schema is unknown, that the registry is away, or that it refuses
// this client. What a schema means is package wire's business.
package registry

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"github.com/twmb/franz-go/pkg/sr"

	"github.com/freshet-io/freshet/libs/service"
)

// Config says where a registry is.
type Config struct {
	URL      []string       `desc:"schema registry of keys and values in Avro or JSON Schema with Confluent's five bytes before them: base URL, of Apicurio with /apis/ccompat/v7; several, separated by commas, are tried in this order; without one such records are dead letters"`
	User     string         `desc:"user of the schema registry"`
	Password service.Secret `desc:"password of the schema registry"`
	Token    service.Secret `desc:"bearer token of the schema registry, instead of user and password"`
	Timeout  time.Duration  `default:"10s" desc:"longest time for one request to the schema registry"`

	TLS service.TLS
}

// Validate implements service.Validator.
func (c Config) Validate() error {
	var errs []error
	for _, text := range c.URL {
		u, err := url.Parse(text)
		switch {
		case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "": // err has what may be a password
			errs = append(errs, errors.New("URL is no http or https address"))
		case u.User != nil:
			errs = append(errs, errors.New("URL holds a user or a password: set USER and PASSWORD, since URLs are logged"))
		}
	}
	switch {
	case c.User != "" && c.Token.Set():
		errs = append(errs, errors.New("USER and TOKEN are both set: unset one"))
	case c.User == "" && c.Password.Set():
		errs = append(errs, errors.New("PASSWORD is set and USER is not"))
	}
	if c.Timeout <= 0 {
		errs = append(errs, fmt.Errorf("TIMEOUT is %s: it must be positive", c.Timeout))
	}
	return errors.Join(errs...)
}

// open returns a client. Its files are read at once, and the registry is not asked.
func (c Config) open(log *slog.Logger) (*sr.Client, error) {
	certificates, err := c.TLS.Open(log)
	if err != nil {
		return nil, err
	}
	// A schema is asked for once: a connection that is kept would be found dead the next time.
	transport := &http.Transport{Proxy: http.ProxyFromEnvironment, DisableKeepAlives: true}
	certificates.Secure(transport)
	return sr.NewClient(
		sr.URLs(c.URL...), sr.UserAgent("freshet/"+service.Version), sr.PreReq(c.sign),
		sr.HTTPClient(&http.Client{Timeout: c.Timeout, Transport: bounded{transport}, CheckRedirect: stay}),
	)
}

// sign puts the credentials, as they are now, into a request.
func (c Config) sign(req *http.Request) error {
	switch {
	case c.Token.Set():
		req.Header.Set("Authorization", "Bearer "+c.Token.Value())
	case c.User != "":
		req.SetBasicAuth(c.User, c.Password.Value())
	}
	return nil
}

// stay follows no redirect to somebody else, who would be sent the credentials.
func stay(next *http.Request, via []*http.Request) error {
	if len(via) > 3 || next.URL.Scheme != via[0].URL.Scheme || next.URL.Host != via[0].URL.Host {
		return http.ErrUseLastResponse
	}
	return nil
}
