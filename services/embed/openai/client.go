// Package openai embeds texts at any server with OpenAI's interface: OpenAI, Azure,
// a gateway, text-embeddings-inference, Ollama, vLLM.
//
// It owns one endpoint: its connections, its tries, the gate at which all requests
// wait when it asks for less, the class of each of its errors, and the check of every
// answer. It never batches, caches or halves: that is package embedder's. It never
// writes a key or a text to a log or an error.
//
//	Embed → gate → try → 200, checked ─────────────────────────→ vectors
//	  ↑              ├─ 429 → gate moves ──┐ (costs no try)
//	  └──────────────┼─────────────────────┘
//	                 ├─ 5xx 408, timeout, reset, nonsense → try again, then transient
//	                 ├─ 400 413 422 → permanent
//	                 └─ 401 403 404, no quota, wrong space → fatal
package openai

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/hashicorp/go-retryablehttp"

	"github.com/freshet-io/freshet/libs/fault"
	"github.com/freshet-io/freshet/services/embed/provider"
)

// Client asks one endpoint for the vectors of one model. It is safe for concurrent use.
type Client struct {
	cfg         Config
	model       string
	dimensions  int
	url         string
	host        string
	key         func() string
	expectation expectation
	gate        *gate
	http        *retryablehttp.Client
	pool        *http.Transport
}

// New returns a client. It connects to nothing yet. Its error names every setting
// that is wrong.
func New(cfg Config, opt Options) (*Client, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if opt.Model == "" || opt.Dimensions <= 0 {
		return nil, fmt.Errorf("the model is %q with %d dimensions: both are needed", opt.Model, opt.Dimensions)
	}
	endpoint, err := cfg.endpoint()
	if err != nil {
		return nil, err
	}
	c := &Client{
		cfg: cfg, model: opt.Model, dimensions: opt.Dimensions,
		url: endpoint.String(), host: endpoint.Host,
		key:         opt.Key,
		expectation: expectation{dimensions: opt.Dimensions, model: opt.Model, cut: cfg.Cut},
		gate:        &gate{longest: cfg.MaxRetryAfter},
		pool:        newTransport(cfg),
	}
	switch cfg.AnswersAs {
	case "":
	case "any":
		c.expectation.model = ""
	default:
		c.expectation.model = cfg.AnswersAs
	}
	c.http = &retryablehttp.Client{
		HTTPClient:   &http.Client{Transport: &attempt{base: c.pool, gate: c.gate, timeout: cfg.Timeout}, CheckRedirect: follow},
		RetryMax:     cfg.MaxTries - 1,
		RetryWaitMin: cfg.MinBackoff,
		RetryWaitMax: cfg.MaxBackoff,
		CheckRetry:   c.checkRetry,
		Backoff:      backoff,
		ErrorHandler: retryablehttp.PassthroughErrorHandler,
	}
	if opt.Log != nil {
		c.http.Logger = quiet{opt.Log}
	}
	return c, nil
}

// header asks for the key anew: it may have been rotated since the last request.
func (c *Client) header() http.Header {
	var key string
	if c.key != nil {
		key = c.key()
	}
	h := http.Header{"Content-Type": {"application/json"}, "Accept": {"application/json"}, "User-Agent": {"freshet"}}
	switch {
	case key == "":
	case http.CanonicalHeaderKey(c.cfg.KeyHeader) == "Authorization":
		h.Set("Authorization", "Bearer "+key)
	default:
		h.Set(c.cfg.KeyHeader, key)
	}
	return h
}

// Close drops idle connections. Requests under way end as they would.
func (c *Client) Close() { c.pool.CloseIdleConnections() }

type request struct {
	Model      string   `json:"model"`
	Input      []string `json:"input"`
	Encoding   string   `json:"encoding_format,omitzero"`
	Dimensions int      `json:"dimensions,omitzero"`
}

// Embed returns one vector a text, all of them checked. Texts must not be empty.
//
// Its errors have a class of package fault: permanent (provider-rejected) where at
// least one of the texts is refused, so that the caller may halve them; fatal where
// no text can pass; transient, with the time that the provider named, for all else.
func (c *Client) Embed(ctx context.Context, texts []string) (provider.Embeddings, error) {
	if len(texts) == 0 {
		return provider.Embeddings{}, nil
	}
	req := request{Model: c.model, Input: texts}
	if c.cfg.Encoding != "none" {
		req.Encoding = c.cfg.Encoding
	}
	if c.cfg.sendsDimensions(c.model) {
		req.Dimensions = c.dimensions
	}
	body, err := json.Marshal(req)
	if err != nil {
		// Text that is no UTF-8 cannot be sent, today or later.
		return provider.Embeddings{}, fault.Reject(fault.ProviderRejected, "a text is not valid UTF-8")
	}
	ctx, cancel := context.WithTimeout(ctx, c.cfg.TotalTimeout)
	defer cancel()
	for {
		got, err := c.send(ctx, body, len(texts))
		slow, ok := errors.AsType[slowDown](err)
		if !ok {
			return got, c.settle(ctx, err)
		}
		// Waiting out a gate beyond our own limit would only hide it: the stage waits
		// as well, and shows that it does.
		if shut, left := c.gate.shut(), remaining(ctx); shut >= left {
			return provider.Embeddings{}, &fault.Error{After: shut, Status: http.StatusTooManyRequests, Err: slow.error}
		}
	}
}

// send makes one request with its tries.
func (c *Client) send(ctx context.Context, body []byte, texts int) (provider.Embeddings, error) {
	// A number takes up to 25 bytes as text.
	bound := int64(texts)*(int64(c.dimensions)*25+1024) + 1<<20
	if c.cfg.Cut {
		bound *= 8
	}
	req, err := retryablehttp.NewRequestWithContext(withBound(ctx, bound), http.MethodPost, c.url, body)
	if err != nil {
		return provider.Embeddings{}, err
	}
	req.Header = c.header()
	var got provider.Embeddings
	wrong := 0
	req.SetResponseHandler(func(resp *http.Response) error {
		answer, err := io.ReadAll(resp.Body)
		if err != nil {
			return err
		}
		if resp.StatusCode != http.StatusOK {
			return c.classify(resp, answer, time.Now())
		}
		want := c.expectation
		want.texts = texts
		got, err = want.read(answer)
		if _, ok := errors.AsType[wrongSpace](err); ok {
			if wrong++; wrong > 1 {
				return fault.Halt("the embeddings provider at %s: %w: vectors of two spaces are never mixed", c.host, err)
			}
		}
		return err
	})
	resp, err := c.http.Do(req)
	if resp != nil {
		resp.Body.Close() //nolint:errcheck,gosec // already read
	}
	return got, err
}

// settle returns err as the caller shall see it: classified, and as the end of ctx
// where that is what it was.
func (c *Client) settle(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*fault.Error](err); ok {
		return err
	}
	if ctx.Err() != nil {
		return fmt.Errorf("asking the embeddings provider at %s: %w", c.host, ctx.Err())
	}
	return fault.Wait(0, "asking the embeddings provider at %s: %w", c.host, err)
}

// checkRetry says which tries are worth another one here: those with a transient
// error, unless the provider told us when to come back and that is far off.
func (c *Client) checkRetry(ctx context.Context, _ *http.Response, err error) (bool, error) {
	if ctx.Err() != nil {
		return false, ctx.Err()
	}
	if err == nil {
		return false, nil
	}
	if _, ok := errors.AsType[slowDown](err); ok {
		return false, nil
	}
	return fault.ClassOf(err) == fault.Transient && fault.AfterOf(err) <= c.cfg.MaxBackoff, nil
}

// backoff waits as the provider asks, else between half and all of a time that
// doubles a try, so that clients which failed together do not come back together.
func backoff(least, most time.Duration, try int, resp *http.Response) time.Duration {
	if resp != nil {
		if after := retryAfter(resp.Header, time.Now()); after >= 0 {
			return min(max(after, least), most)
		}
	}
	wait := min(least<<min(try, 16), most)
	return wait/2 + rand.N(wait/2+1)
}

func remaining(ctx context.Context) time.Duration {
	deadline, ok := ctx.Deadline()
	if !ok {
		return 0
	}
	return time.Until(deadline)
}

// quiet logs the tries at debug: what comes of them is logged once, by the stage.
type quiet struct{ log *slog.Logger }

func (q quiet) Error(msg string, kv ...any) { q.Debug(msg, kv...) }
func (q quiet) Warn(msg string, kv ...any)  { q.Debug(msg, kv...) }
func (q quiet) Info(msg string, kv ...any)  { q.Debug(msg, kv...) }

func (q quiet) Debug(msg string, kv ...any) {
	q.log.Debug(msg, kv...) //nolint:sloglint // the library's texts are constants
}
