package kafka

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"

	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"github.com/freshet-io/freshet/libs/fault"
	"github.com/freshet-io/freshet/libs/service"
)

// The mechanisms by which a client can identify itself.
const (
	mechanismPlain       = "PLAIN"
	mechanismScramSHA256 = "SCRAM-SHA-256"
	mechanismScramSHA512 = "SCRAM-SHA-512"
	mechanismOAuth       = "OAUTHBEARER"
	mechanismAWS         = "AWS_MSK_IAM"
)

// SASL says how a client identifies itself. Whatever it identifies itself with is
// looked at anew for each connection, so that it can be rotated.
type SASL struct {
	Mechanism string         `desc:"PLAIN, SCRAM-SHA-256, SCRAM-SHA-512, OAUTHBEARER or AWS_MSK_IAM; none if empty. PLAIN and OAUTHBEARER show the password or token to whoever can read the connection: use them with TLS. AWS_MSK_IAM takes credentials and region from where AWS's own tools do (AWS_REGION, AWS_PROFILE, a role of the pod or machine)"`
	User      string         `desc:"user name for PLAIN and SCRAM"`
	Password  service.Secret `desc:"password for PLAIN and SCRAM"`
	OAuth     OAuth          `envconfig:"OAUTH"`
}

// OAuth says where the token for OAUTHBEARER comes from: another program keeps it in
// a file, or a token endpoint gives it for the client's credentials.
type OAuth struct {
	Token        service.Secret    `desc:"token, where another program keeps it fresh; the file is the useful form, and is looked at every 5 s at most"`
	TokenURL     string            `desc:"token endpoint (OAuth 2, client credentials), instead of a token; asked again when a fifth of a token's life is left, so that it may be away for that long"`
	ClientID     string            `desc:"client id at the token endpoint"`
	ClientSecret service.Secret    `desc:"client secret at the token endpoint"`
	Scopes       []string          `desc:"scopes to ask for, separated by commas"`
	Audience     string            `desc:"audience to ask for, where the endpoint wants one"`
	CAFile       string            `desc:"certificate authorities of the token endpoint, PEM; the system's if empty; read again for each connection"`
	Extensions   map[string]string `desc:"SASL extensions, name:value, separated by commas (Confluent Cloud: logicalCluster, identityPoolId)"`
}

func (s SASL) validate() error {
	switch s.Mechanism {
	case "":
		if s.User != "" || s.OAuth.set() {
			return errors.New("SASL_USER, SASL_OAUTH_TOKEN or SASL_OAUTH_TOKEN_URL is set, but SASL_MECHANISM is not")
		}
	case mechanismPlain, mechanismScramSHA256, mechanismScramSHA512:
		if s.User == "" || !s.Password.Set() {
			return fmt.Errorf("SASL_MECHANISM %s needs SASL_USER and SASL_PASSWORD", s.Mechanism)
		}
	case mechanismOAuth:
		return s.OAuth.validate()
	case mechanismAWS:
		if s.User != "" || s.Password.Set() {
			return errors.New("SASL_USER and SASL_PASSWORD are not for SASL_MECHANISM AWS_MSK_IAM, which takes AWS's own credentials: unset them")
		}
	default:
		return fmt.Errorf("SASL_MECHANISM %q: must be PLAIN, SCRAM-SHA-256, SCRAM-SHA-512, OAUTHBEARER or AWS_MSK_IAM", s.Mechanism)
	}
	return nil
}

func (o OAuth) set() bool { return o.Token.Set() || o.TokenURL != "" }

func (o OAuth) validate() error {
	var errs []error
	switch {
	case o.Token.Set() == (o.TokenURL != ""):
		errs = append(errs, errors.New("SASL_MECHANISM OAUTHBEARER needs one of SASL_OAUTH_TOKEN_FILE and SASL_OAUTH_TOKEN_URL"))
	case o.TokenURL != "":
		u, err := url.Parse(o.TokenURL)
		other := err != nil || u.Host == "" || u.User != nil || u.Scheme != "https" && u.Scheme != "http"
		errs = append(errs, fault.If(other, "SASL_OAUTH_TOKEN_URL is no http or https address"),
			fault.If(o.ClientID == "" || !o.ClientSecret.Set(), "SASL_OAUTH_TOKEN_URL needs SASL_OAUTH_CLIENT_ID and SASL_OAUTH_CLIENT_SECRET"))
	}
	for name := range o.Extensions {
		errs = append(errs, fault.If(!extensionName(name), "SASL_OAUTH_EXTENSIONS: %q is no name of an extension: letters only, and not auth", name))
	}
	return errors.Join(errs...)
}

// extensionName tells a key that RFC 7628, section 3.1, and KIP-342 let an extension have.
func extensionName(name string) bool {
	other := func(r rune) bool { return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') }
	return name != "" && name != "auth" && !strings.ContainsFunc(name, other)
}

// mechanism returns what a client authenticates by. Its errors are fatal faults.
func (s SASL) mechanism(ctx context.Context, log *slog.Logger) (sasl.Mechanism, error) {
	switch s.Mechanism {
	case mechanismOAuth:
		return s.OAuth.mechanism(log)
	case mechanismAWS:
		return awsMechanism(ctx)
	case mechanismScramSHA256:
		return scram.Sha256(s.scram), nil
	case mechanismScramSHA512:
		return scram.Sha512(s.scram), nil
	default:
		return plain.Plain(func(context.Context) (plain.Auth, error) {
			return plain.Auth{User: s.User, Pass: s.Password.Value()}, nil
		}), nil
	}
}

func (s SASL) scram(context.Context) (scram.Auth, error) {
	return scram.Auth{User: s.User, Pass: s.Password.Value()}, nil
}
