// Package kafka owns how Freshet reaches a Kafka cluster: connection settings, the
// pipeline's topics, and the control topic that describes them.
//
// It moves no items; libs/stage does.
package kafka

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/plugin/kotel"
	"go.opentelemetry.io/otel/metric"

	"github.com/freshet-io/freshet/libs/fault"
	"github.com/freshet-io/freshet/libs/service"
)

// Config says how a cluster is reached.
type Config struct {
	Brokers  []string `required:"true" desc:"addresses of the cluster, host:port, separated by commas; name several, any one is enough to find the rest"`
	ClientID string   `default:"freshet" desc:"client id, as it shows in the brokers' logs and quotas"`
	Rack     string   `desc:"rack of this process (client.rack), to read from a replica there where the brokers have a replica.selector.class; spares traffic between zones, and lets a record be seen later than at its leader"`
	TLS      TLS
	SASL     SASL
	Limits   Limits `inline:"true"`

	// Recovery is bound by how old metadata may be: with franz-go's 5 s a killed broker
	// is noticed 8 to 12 s late, below 250 ms a sick cluster is asked too often.
	MetadataMinAge time.Duration `default:"1s" desc:"least time between two looks at the cluster's metadata; less finds a moved leader sooner, and asks a sick cluster more often"`

	// Dial, if set, opens the connections to the brokers, TLS on top of it: tests have a
	// network of their own.
	Dial service.Dial `ignored:"true"`
	// Meters, if set, shows what the clients do: connections, bytes and records by broker.
	Meters metric.MeterProvider `ignored:"true"`
}

// TLS says how a connection is encrypted.
type TLS struct {
	Enabled bool        `default:"false" desc:"encrypt connections to the brokers"`
	Files   service.TLS `inline:"true"`
}

// Validate reports settings that cannot be.
func (c Config) Validate() error {
	alone := !c.TLS.Enabled && c.TLS.Files != (service.TLS{})
	return errors.Join(fault.If(alone, "TLS files or a server name are set, but TLS_ENABLED is not true"), c.SASL.validate())
}

// Connect opens a client and waits until a broker has answered it. A refused
// password or certificate is a fatal fault at once; a cluster that is away is
// waited for until ctx ends.
func (c Config) Connect(ctx context.Context, log *slog.Logger, options ...kgo.Opt) (*kgo.Client, error) {
	own, err := c.options(ctx, log)
	if err != nil {
		return nil, err
	}
	client, err := kgo.NewClient(append(own, options...)...)
	if err != nil {
		return nil, fault.Halt("opening a Kafka client for %v: %w", c.Brokers, err)
	}
	if err := service.AwaitDone(ctx, log, "kafka", func(ctx context.Context) error { return c.ping(ctx, client) }); err != nil {
		client.CloseAllowingRebalance()
		return nil, err
	}
	return client, nil
}

func (c Config) ping(ctx context.Context, client *kgo.Client) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	err := client.Ping(ctx)
	if fault.ClassOf(err) == fault.Fatal {
		return fmt.Errorf("authenticating to Kafka at %v: %w", c.Brokers, err)
	}
	if refused(err) {
		return fault.Halt("Kafka at %v refuses this client: %w; check the SASL and TLS settings", c.Brokers, err)
	}
	return err
}

// refused tells a broker that does not want us from one that is away.
func refused(err error) bool {
	said := []error{kerr.SaslAuthenticationFailed, kerr.UnsupportedSaslMechanism, kerr.IllegalSaslState, kerr.ClusterAuthorizationFailed}
	_, verification := errors.AsType[*tls.CertificateVerificationError](err)
	_, notTLS := errors.AsType[tls.RecordHeaderError](err)
	return slices.ContainsFunc(said, func(e error) bool { return errors.Is(err, e) }) || verification || notTLS || alerted(err)
}

// alerted tells whether the broker's TLS refused us, as it does a client certificate.
// Alerts have no exported type: tls.AlertError is QUIC's alone.
func alerted(err error) bool {
	op, ok := errors.AsType[*net.OpError](err)
	return ok && op.Op == "remote error" && op.Err.Error() != "tls: internal error" // that is a broker's own trouble
}

func (c Config) options(ctx context.Context, log *slog.Logger) ([]kgo.Opt, error) {
	options := slices.Concat([]kgo.Opt{
		kgo.SeedBrokers(c.Brokers...),
		kgo.ClientID(c.ClientID),
		kgo.MetadataMinAge(c.MetadataMinAge),
		kgo.WithLogger(logger{log}),
	}, apply(clientOptions()), c.Limits.client(), where(c.Rack != "", kgo.Rack(c.Rack)))
	if c.Meters != nil {
		options = append(options, kgo.WithHooks(kotel.NewMeter(kotel.MeterProvider(c.Meters), kotel.WithMergedConnectsMeter())))
	}
	dial := c.Dial
	if c.TLS.Enabled {
		certificates, err := c.TLS.Files.Open(log)
		if err != nil {
			return nil, fault.Halt("reading the TLS settings for Kafka: %w", err)
		}
		dial = certificates.Dialer(c.Dial)
	}
	if dial != nil {
		options = append(options, kgo.Dialer(dial))
	}
	if c.SASL.Mechanism != "" {
		mechanism, err := c.SASL.mechanism(ctx, log)
		if err != nil {
			return nil, err
		}
		options = append(options, kgo.SASL(mechanism))
	}
	return options, nil
}
