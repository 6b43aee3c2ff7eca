package openai

import (
	"errors"
	"log/slog"
	"net/url"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/freshet-io/freshet/libs/fault"
)

// Config is how to reach a server. What is asked of it, model and dimensions, comes
// from the pipeline file: see Options.
type Config struct {
	URL            string        `envconfig:"URL" default:"https://api.openai.com/v1" desc:"base URL of the OpenAI-compatible server, up to but without /embeddings; a query such as Azure's api-version is kept"`
	KeyHeader      string        `envconfig:"KEY_HEADER" default:"Authorization" desc:"header that carries the key: Authorization sends it as a bearer token, any other as it is (Azure: api-key)"`
	SendDimensions string        `envconfig:"SEND_DIMENSIONS" default:"auto" desc:"whether requests name the dimensions: always, never, or auto, which does for text-embedding-3 models only"`
	Cut            bool          `envconfig:"CUT" default:"false" desc:"cut longer vectors to the dimensions of the pipeline file and normalise them again; only for models trained for it"`
	Encoding       string        `envconfig:"ENCODING" default:"base64" desc:"form of vectors to ask for: base64, float, or none to leave it to the server; answers are understood in either form"`
	AnswersAs      string        `envconfig:"ANSWERS_AS" desc:"model name to expect in answers where it is not the one asked for (a deployment, an alias); any accepts every name"`
	Timeout        time.Duration `envconfig:"TIMEOUT" default:"30s" desc:"longest time for one try of a request, from sending it to the last byte of the answer"`
	TotalTimeout   time.Duration `envconfig:"TOTAL_TIMEOUT" default:"2m" desc:"time after which a request that fails gets no further try, and the stage tries again from the start; waiting for the rate limit does not count"`
	MaxTries       int           `envconfig:"MAX_TRIES" default:"4" desc:"tries of a request that meets server errors, timeouts or answers that make no sense; being told to slow down costs none, and an answer of no use that was charged is asked for once more only"`
	MinBackoff     time.Duration `envconfig:"MIN_BACKOFF" default:"200ms" desc:"wait before the second try; it doubles from there, with jitter"`
	MaxBackoff     time.Duration `envconfig:"MAX_BACKOFF" default:"10s" desc:"longest wait between two tries"`
	MaxRetryAfter  time.Duration `envconfig:"MAX_RETRY_AFTER" default:"60s" desc:"longest wait that a Retry-After of the server can ask for"`
	MaxConnections int           `envconfig:"MAX_CONNECTIONS" default:"64" desc:"most connections to the server that are kept open"`

	RequestsPerMinute int `envconfig:"REQUESTS_PER_MINUTE" default:"0" desc:"limit of each key in requests; 0 takes it from the server's x-ratelimit headers where it sends them"`
	TokensPerMinute   int `envconfig:"TOKENS_PER_MINUTE" default:"0" desc:"limit of each key in tokens; 0 takes it from the server's x-ratelimit headers where it sends them"`
	Replicas          int `envconfig:"REPLICAS" default:"1" desc:"processes that share the keys, each taking its part of the limits; where the number is wrong, being told to slow down corrects it"`
}

// Options is what is asked of the server, and with what.
type Options struct {
	Model      string        // of the space
	Name       string        // what the server calls it, empty if the same: a deployment
	Dimensions int           // length of a vector
	Keys       func() string // separated by commas or white space, asked before each request; nil or "" sends none
	Log        *slog.Logger
}

// Validate returns all that is wrong with c, joined.
func (c Config) Validate() error {
	_, err := c.endpoint()
	return errors.Join(
		fault.If(err != nil, "URL: %w", err),
		fault.If(c.KeyHeader == "", "KEY_HEADER is empty"),
		fault.If(!oneOf(c.SendDimensions, "auto", "always", "never"), "SEND_DIMENSIONS is %q: auto, always or never", c.SendDimensions),
		fault.If(!oneOf(c.Encoding, "base64", "float", "none"), "ENCODING is %q: base64, float or none", c.Encoding),
		fault.If(c.Timeout <= 0 || c.TotalTimeout < c.Timeout, "TIMEOUT is %s and TOTAL_TIMEOUT %s: the first must be positive and not the longer one", c.Timeout, c.TotalTimeout),
		// A vector of a wrong length is asked for once more before the service stops.
		fault.If(c.MaxTries < 2, "MAX_TRIES is %d: at least 2", c.MaxTries),
		fault.If(c.MinBackoff <= 0 || c.MaxBackoff < c.MinBackoff, "MIN_BACKOFF is %s and MAX_BACKOFF %s: the first must be positive and not the longer one", c.MinBackoff, c.MaxBackoff),
		fault.If(c.MaxRetryAfter <= 0, "MAX_RETRY_AFTER is %s: it must be positive", c.MaxRetryAfter),
		fault.If(c.RequestsPerMinute < 0 || c.TokensPerMinute < 0, "REQUESTS_PER_MINUTE is %d and TOKENS_PER_MINUTE %d: they cannot be negative", c.RequestsPerMinute, c.TokensPerMinute),
		fault.If(c.Replicas < 1, "REPLICAS is %d: at least 1", c.Replicas),
		fault.If(c.MaxConnections < 1, "MAX_CONNECTIONS is %d: at least 1", c.MaxConnections),
	)
}

func (c Config) endpoint() (*url.URL, error) {
	u, err := url.Parse(c.URL)
	switch {
	case err != nil:
		// The error of url.Parse quotes the URL, and so a password in it.
		return nil, errors.New("not a URL")
	case u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		return nil, errors.New("it must begin with http:// or https:// and name a host")
	case u.User != nil:
		return nil, errors.New("it holds a user or a password: keys are read from a file, since URLs are logged")
	}
	return u.JoinPath("embeddings"), nil
}

// sendsDimensions reports whether requests for a model name the dimensions. Most
// servers refuse the field or, worse, ignore it.
func (c Config) sendsDimensions(model string) bool {
	return c.SendDimensions == "always" || c.SendDimensions == "auto" && strings.HasPrefix(path.Base(model), "text-embedding-3")
}

func oneOf(s string, list ...string) bool { return slices.Contains(list, s) }
