// Package kafka owns how Freshet reaches a Kafka cluster: connection settings, the
// pipeline's topics, and the control topic that describes them.
//
// It moves no items; libs/stage does.
package kafka

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"github.com/freshet-io/freshet/libs/fault"
	"github.com/freshet-io/freshet/libs/service"
)

// Config says how a cluster is reached.
type Config struct {
	Brokers  []string `required:"true" desc:"addresses of the cluster, host:port, separated by commas"`
	ClientID string   `default:"freshet" desc:"client id, as it shows in the brokers' logs and quotas"`
	Rack     string   `desc:"rack of this process, to read from the nearest replica"`
	TLS      TLS
	SASL     SASL

	// Recovery is bound by how old metadata may be: with franz-go's 5 s a killed broker
	// is noticed 8 to 12 s late, below 250 ms a sick cluster is asked too often.
	MetadataMinAge time.Duration `default:"1s" desc:"least time between two looks at the cluster's metadata; bounds how fast a moved leader is found"`

	// Dial, if set, opens the connections to the brokers: tests have a network of their own.
	Dial func(ctx context.Context, network, address string) (net.Conn, error) `ignored:"true"`
}

// TLS says how a connection is encrypted.
type TLS struct {
	Enabled    bool   `default:"false" desc:"encrypt connections to the brokers"`
	CAFile     string `desc:"certificate authorities (PEM); the system's if empty"`
	CertFile   string `desc:"client certificate (PEM) for mutual TLS; read again for each connection"`
	KeyFile    string `desc:"key of the client certificate (PEM)"`
	ServerName string `desc:"name to verify instead of the broker's host"`
}

// SASL says how a client identifies itself.
type SASL struct {
	Mechanism string         `desc:"PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512; none if empty"`
	User      string         `desc:"user name"`
	Password  service.Secret `desc:"password"`
}

// Validate reports settings that cannot be.
func (c Config) Validate() error {
	var errs []error
	if (c.TLS.CertFile == "") != (c.TLS.KeyFile == "") {
		errs = append(errs, errors.New("TLS_CERT_FILE and TLS_KEY_FILE go together: set both or none"))
	}
	if !c.TLS.Enabled && (c.TLS.CAFile != "" || c.TLS.CertFile != "") {
		errs = append(errs, errors.New("TLS files are set, but TLS_ENABLED is not true"))
	}
	switch c.SASL.Mechanism {
	case "":
		if c.SASL.User != "" {
			errs = append(errs, errors.New("SASL_USER is set, but SASL_MECHANISM is not"))
		}
	case "PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512":
		if c.SASL.User == "" || !c.SASL.Password.Set() {
			errs = append(errs, fmt.Errorf("SASL_MECHANISM %s needs SASL_USER and SASL_PASSWORD", c.SASL.Mechanism))
		}
	default:
		errs = append(errs, fmt.Errorf("SASL_MECHANISM %q: must be PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512", c.SASL.Mechanism))
	}
	return errors.Join(errs...)
}

// Connect opens a client and waits until a broker has answered it. A refused
// password or certificate is a fatal fault at once; a cluster that is away is
// waited for until ctx ends.
func (c Config) Connect(ctx context.Context, log *slog.Logger, options ...kgo.Opt) (*kgo.Client, error) {
	own, err := c.options(log)
	if err != nil {
		return nil, err
	}
	client, err := kgo.NewClient(append(own, options...)...)
	if err != nil {
		return nil, fault.Halt("opening a Kafka client for %v: %w", c.Brokers, err)
	}
	_, err = service.Await(ctx, log, "kafka", func(ctx context.Context) (struct{}, error) {
		return struct{}{}, c.ping(ctx, client)
	})
	if err != nil {
		client.CloseAllowingRebalance()
		return nil, err
	}
	return client, nil
}

func (c Config) ping(ctx context.Context, client *kgo.Client) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	err := client.Ping(ctx)
	if refused(err) {
		return fault.Halt("Kafka at %v refuses this client: %w; check the SASL and TLS settings", c.Brokers, err)
	}
	return err
}

// refused tells a broker that does not want us from one that is away.
func refused(err error) bool {
	for _, e := range []error{kerr.SaslAuthenticationFailed, kerr.UnsupportedSaslMechanism, kerr.IllegalSaslState, kerr.ClusterAuthorizationFailed} {
		if errors.Is(err, e) {
			return true
		}
	}
	_, verification := errors.AsType[*tls.CertificateVerificationError](err)
	_, alert := errors.AsType[tls.AlertError](err)
	_, notTLS := errors.AsType[tls.RecordHeaderError](err)
	return verification || alert || notTLS
}

func (c Config) options(log *slog.Logger) ([]kgo.Opt, error) {
	options := []kgo.Opt{
		kgo.SeedBrokers(c.Brokers...),
		kgo.ClientID(c.ClientID),
		kgo.SoftwareNameAndVersion("freshet", service.Version),
		kgo.MetadataMinAge(c.MetadataMinAge),
		kgo.WithLogger(logger{log}),
	}
	if c.Rack != "" {
		options = append(options, kgo.Rack(c.Rack))
	}
	if c.Dial != nil {
		options = append(options, kgo.Dialer(c.Dial))
	}
	if c.TLS.Enabled {
		cfg, err := c.TLS.config()
		if err != nil {
			return nil, fault.Halt("reading the TLS settings for Kafka: %w", err)
		}
		options = append(options, kgo.DialTLSConfig(cfg))
	}
	if c.SASL.Mechanism != "" {
		options = append(options, c.SASL.option())
	}
	return options, nil
}

func (t TLS) config() (*tls.Config, error) {
	cfg := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: t.ServerName}
	if t.CAFile != "" {
		pem, err := os.ReadFile(t.CAFile)
		if err != nil {
			return nil, fmt.Errorf("reading certificate authorities: %w", err)
		}
		cfg.RootCAs = x509.NewCertPool()
		if !cfg.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("no certificate in %s", t.CAFile)
		}
	}
	if t.CertFile != "" {
		if _, err := tls.LoadX509KeyPair(t.CertFile, t.KeyFile); err != nil {
			return nil, fmt.Errorf("reading the client certificate: %w", err)
		}
		cfg.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			pair, err := tls.LoadX509KeyPair(t.CertFile, t.KeyFile)
			return &pair, err
		}
	}
	return cfg, nil
}

// option reads the password anew for each connection, so that it can be rotated.
func (s SASL) option() kgo.Opt {
	scramAuth := func(context.Context) (scram.Auth, error) {
		return scram.Auth{User: s.User, Pass: s.Password.Value()}, nil
	}
	switch s.Mechanism {
	case "SCRAM-SHA-256":
		return kgo.SASL(scram.Sha256(scramAuth))
	case "SCRAM-SHA-512":
		return kgo.SASL(scram.Sha512(scramAuth))
	default:
		return kgo.SASL(plain.Plain(func(context.Context) (plain.Auth, error) {
			return plain.Auth{User: s.User, Pass: s.Password.Value()}, nil
		}))
	}
}

// logger hands franz-go's log on; its information level is chatty, so it becomes debug.
type logger struct{ log *slog.Logger }

func (l logger) Level() kgo.LogLevel {
	ctx := context.Background() //nolint:forbidigo // slog asks for one and uses none
	switch {
	case l.log.Enabled(ctx, slog.LevelDebug):
		return kgo.LogLevelInfo
	case l.log.Enabled(ctx, slog.LevelWarn):
		return kgo.LogLevelWarn
	default:
		return kgo.LogLevelError
	}
}

func (l logger) Log(level kgo.LogLevel, text string, keyvals ...any) {
	to := slog.LevelDebug
	switch level {
	case kgo.LogLevelError, kgo.LogLevelWarn:
		to = slog.LevelWarn
	case kgo.LogLevelNone, kgo.LogLevelInfo, kgo.LogLevelDebug:
	}
	ctx := context.Background() //nolint:forbidigo // slog asks for one and uses none
	l.log.Log(ctx, to, "kafka client", append([]any{"text", text}, keyvals...)...)
}
