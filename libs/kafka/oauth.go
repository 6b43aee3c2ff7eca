package kafka

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/oauth"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"github.com/freshet-io/freshet/libs/fault"
	"github.com/freshet-io/freshet/libs/service"
)

// tokenBound is how long one question to the token endpoint may take.
const tokenBound = 10 * time.Second

func (o OAuth) mechanism(log *slog.Logger) (sasl.Mechanism, error) {
	if o.TokenURL == "" {
		return oauth.Oauth(func(context.Context) (oauth.Auth, error) {
			return oauth.Auth{Token: o.Token.Value(), Extensions: o.Extensions}, nil
		}), nil
	}
	issuer, err := o.issuer(log)
	if err != nil {
		return nil, err
	}
	return oauth.Oauth(func(ctx context.Context) (oauth.Auth, error) {
		token, err := issuer.token(ctx)
		return oauth.Auth{Token: token, Extensions: o.Extensions}, err
	}), nil
}

// issuer is a token endpoint and the token that it gave last. The package oauth2 has
// such a thing too, but one that fixes the secret, waits until the last ten seconds,
// and gives nothing while the endpoint is away.
type issuer struct {
	secret service.Secret
	http   *http.Client
	log    *slog.Logger

	mu      sync.Mutex
	asks    *clientcredentials.Config
	last    *oauth2.Token
	renewAt time.Time
}

func (o OAuth) issuer(log *slog.Logger) (*issuer, error) {
	certificates, err := service.TLS{CAFile: o.CAFile}.Open(log)
	if err != nil {
		return nil, fault.Halt("reading FRESHET_KAFKA_SASL_OAUTH_CA_FILE, or FRESHET_SOURCE_KAFKA_SASL_OAUTH_CA_FILE where that is set: %w", err)
	}
	// Tokens are asked for once in minutes: a connection kept for that is only one more to break.
	transport := &http.Transport{Proxy: http.ProxyFromEnvironment, DisableKeepAlives: true}
	certificates.Secure(transport)
	asks := &clientcredentials.Config{ClientID: o.ClientID, TokenURL: o.TokenURL, Scopes: o.Scopes}
	if o.Audience != "" {
		asks.EndpointParams = url.Values{"audience": {o.Audience}}
	}
	return &issuer{
		secret: o.ClientSecret, log: log, asks: asks,
		http: &http.Client{
			Timeout: tokenBound, Transport: transport,
			// A redirect would carry the secret to another host.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}, nil
}

// token returns a token that is good for a while. A refusal is a fatal fault, an
// endpoint that is away a transient one, and neither counts while the last token is good.
func (i *issuer) token(ctx context.Context) (string, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.last != nil && time.Now().Before(i.renewAt) {
		return i.last.AccessToken, nil
	}
	i.asks.ClientSecret = i.secret.Value()
	token, err := i.asks.Token(context.WithValue(ctx, oauth2.HTTPClient, i.http))
	if err != nil {
		err = tokenFault(i.asks.TokenURL, err)
		if i.last != nil && i.last.Valid() {
			i.log.WarnContext(ctx, "no new token; the last one is still good", "error", err)
			return i.last.AccessToken, nil
		}
		return "", err
	}
	// One whose end is unknown is good for this connection only.
	i.last, i.renewAt = nil, time.Time{}
	if life := time.Until(token.Expiry); !token.Expiry.IsZero() {
		// The broker wants to see a new token at 95 % of the old one's life.
		i.last, i.renewAt = token, token.Expiry.Add(-life/5)
	}
	return token.AccessToken, nil
}

// tokenFault classifies an endpoint's answer. Its body is left out: it may be a page
// of HTML, and may repeat what was sent.
func tokenFault(address string, err error) error {
	answer, ok := errors.AsType[*oauth2.RetrieveError](err)
	if !ok {
		return fmt.Errorf("asking %s for a token: %w", address, err)
	}
	code := answer.Response.StatusCode
	if code == http.StatusTooManyRequests || code == http.StatusRequestTimeout || code >= http.StatusInternalServerError {
		return fmt.Errorf("asking %s for a token: status %d", address, code)
	}
	return fault.Halt("the token endpoint %s refuses this client (status %d, %q, %q): check FRESHET_KAFKA_SASL_OAUTH_CLIENT_ID, FRESHET_KAFKA_SASL_OAUTH_CLIENT_SECRET, FRESHET_KAFKA_SASL_OAUTH_SCOPES and FRESHET_KAFKA_SASL_OAUTH_AUDIENCE, or FRESHET_SOURCE_KAFKA_* where those are set",
		address, code, answer.ErrorCode, answer.ErrorDescription)
}
