package intake

import (
	"errors"
	"fmt"
	"time"

	"github.com/freshet-io/freshet/libs/service"
)

// Config says whether and how changes are taken over HTTP.
type Config struct {
	Address          string         `desc:"address at which changes are taken over HTTP, as :8080, for the pipelines with source.http; none are if empty"`
	Tokens           service.Secret `desc:"bearer tokens of the clients, separated by commas or white space; any of them does, so that they can be exchanged one by one"`
	AllowAnonymous   bool           `default:"false" desc:"take changes of everybody who reaches the address, where there are neither tokens nor an authority of client certificates"`
	TLS              TLS
	Wait             time.Duration `default:"10s" desc:"how long a request waits for Kafka before the client is told to send it again (503)"`
	MaxInFlightBytes int64         `envconfig:"MAX_IN_FLIGHT_BYTES" default:"33554432" desc:"bytes of all requests, unpacked, that are not in Kafka yet, and of what is told of bad lines; more are refused (429)"`
	ReadTimeout      time.Duration `default:"30s" desc:"how long a client may take to send a request"`
	StopDelay        time.Duration `default:"5s" desc:"how long a stopping process still takes requests after /readyz has said so, for balancers to notice"`
}

// TLS names the files of the server's side. All of them may change while the process runs.
type TLS struct {
	CertFile     string `desc:"the server's certificate, PEM; read again for each connection; plain HTTP if empty"`
	KeyFile      string `desc:"its key, PEM"`
	ClientCAFile string `envconfig:"CLIENT_CA_FILE" desc:"authorities of client certificates, PEM; with such a certificate a client needs no token"`
}

// Validate reports settings that cannot be. Without an address nothing is served, and all can.
func (c Config) Validate() error {
	if c.Address == "" {
		return nil
	}
	errs := []error{service.CheckAddress("ADDRESS", c.Address)}
	authenticated := len(c.tokens()) > 0 || c.TLS.ClientCAFile != ""
	switch {
	case !authenticated && !c.AllowAnonymous:
		errs = append(errs, errors.New("nothing says who may send changes: set TOKENS_FILE, or TLS_CLIENT_CA_FILE; or ALLOW_ANONYMOUS=true to let everybody who reaches the address"))
	case authenticated && c.AllowAnonymous:
		errs = append(errs, errors.New("ALLOW_ANONYMOUS is set beside tokens or client certificates: which one is it?"))
	}
	if (c.TLS.CertFile == "") != (c.TLS.KeyFile == "") {
		errs = append(errs, errors.New("TLS_CERT_FILE and TLS_KEY_FILE go together: set both or none"))
	}
	if c.TLS.ClientCAFile != "" && c.TLS.CertFile == "" {
		errs = append(errs, errors.New("TLS_CLIENT_CA_FILE needs TLS_CERT_FILE and TLS_KEY_FILE: there are no client certificates without TLS"))
	}
	if c.MaxInFlightBytes < mostBytes {
		errs = append(errs, fmt.Errorf("MAX_IN_FLIGHT_BYTES %d must hold the largest request, with what is told of its lines: %d", c.MaxInFlightBytes, mostBytes))
	}
	if c.Wait <= 0 || c.ReadTimeout <= 0 || c.StopDelay < 0 {
		errs = append(errs, errors.New("WAIT and READ_TIMEOUT must be above 0, STOP_DELAY not below"))
	}
	return errors.Join(errs...)
}
