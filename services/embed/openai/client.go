// Package openai embeds texts at any server with OpenAI's interface: OpenAI, Azure,
// a gateway, text-embeddings-inference, Ollama, vLLM.
//
// It owns an endpoint and its backup: connections, tries, the line in which all requests
// wait for a key that has room, the class of each error, and the check of every answer.
// It never batches, caches or halves: that is package embedder's. It never writes a key
// or a text to a log or an error.
//
//	Pair ── breaker open ──→ backup's Client
//	  └→ Client: Embed → line → gate of a key → try → 200, checked ─→ vectors
//	               ↑                             ├─ 429 → gate shut ──────┐
//	               │                             ├─ 401 403, no quota,    │ (cost no try)
//	               │                             │  and other keys → aside┤
//	               └─────────────────────────────┼────────────────────────┘
//	                                             ├─ 5xx 408, timeout, reset, nonsense → try again, then transient
//	                                             ├─ 400 413 422 → permanent
//	                                             └─ all keys refused, 404, wrong space → fatal
package openai

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"math/rand/v2"
	"net/http"
	"net/url"
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
	role        string
	log         *slog.Logger
	sendsDims   bool
	expectation expectation
	line        *line
	caps        *caps
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
		cfg: cfg, model: cmp.Or(opt.Name, opt.Model), dimensions: opt.Dimensions, sendsDims: cfg.sendsDimensions(opt.Model),
		url: endpoint.String(), host: endpoint.Host,
		role: first, log: cmp.Or(opt.Log, slog.New(slog.DiscardHandler)),
		expectation: expectation{dimensions: opt.Dimensions, model: cmp.Or(cfg.AnswersAs, opt.Model), cut: cfg.Cut},
		line:        newLine(cfg, opt.Keys),
		caps:        &caps{most: provider.Size{Texts: math.MaxInt, Tokens: math.MaxInt, Bytes: math.MaxInt}},
		pool:        newTransport(cfg),
	}
	if cfg.AnswersAs == "any" {
		c.expectation.model = ""
	}
	c.http = &retryablehttp.Client{
		HTTPClient:   &http.Client{Transport: &attempt{base: c.pool, line: c.line, timeout: cfg.Timeout}, CheckRedirect: follow},
		RetryMax:     cfg.MaxTries - 1,
		RetryWaitMin: cfg.MinBackoff,
		RetryWaitMax: cfg.MaxBackoff,
		CheckRetry:   c.checkRetry,
		Backoff:      backoff,
		ErrorHandler: retryablehttp.PassthroughErrorHandler,
	}
	return c, nil
}

// Close drops idle connections. Requests under way end as they would.
func (c *Client) Close() { c.pool.CloseIdleConnections() }

// Largest returns the most that a request should have: of what the endpoint has taken, and so
// that the next one need not wait long for the rate limit.
func (c *Client) Largest() provider.Size {
	most := c.caps.largest()
	most.Tokens = min(most.Tokens, c.line.requestTokens())
	return most
}

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
	if c.sendsDims {
		req.Dimensions = c.dimensions
	}
	body, err := json.Marshal(req)
	if err != nil {
		// Text that is no UTF-8 cannot be sent, today or later.
		return provider.Embeddings{}, fault.Reject(fault.ProviderRejected, "a text is not valid UTF-8")
	}
	t := &trial{lane: provider.LaneOf(ctx), texts: len(texts), bound: c.bound(len(texts))}
	for _, text := range texts {
		t.bytes += len(text)
	}
	for {
		got, err := c.send(ctx, body, t)
		if _, ok := errors.AsType[again](err); !ok {
			got.Wasted = t.wasted
			return got, c.settle(ctx, err)
		}
	}
}

// bound returns the most bytes of a right answer. A number takes up to 25 as text.
func (c *Client) bound(texts int) int64 {
	bound := int64(texts)*(int64(c.dimensions)*25+1024) + 1<<20
	if c.cfg.Cut {
		bound *= 8
	}
	return bound
}

// send makes one request with its tries.
func (c *Client) send(ctx context.Context, body []byte, t *trial) (provider.Embeddings, error) {
	req, err := retryablehttp.NewRequestWithContext(context.WithValue(ctx, trialKey{}, t), http.MethodPost, c.url, body)
	if err != nil {
		return provider.Embeddings{}, err
	}
	req.Header = http.Header{"Content-Type": {"application/json"}, "Accept": {"application/json"}, "User-Agent": {"freshet"}}
	var got provider.Embeddings
	req.SetResponseHandler(func(resp *http.Response) error {
		answer, err := io.ReadAll(resp.Body)
		if err != nil {
			return err
		}
		if resp.StatusCode == http.StatusOK {
			resp.StatusCode = cmp.Or(disguised(answer), http.StatusOK)
		}
		c.line.answered(t, resp.Header, resp.StatusCode == http.StatusOK)
		if resp.StatusCode != http.StatusOK {
			return c.refused(t, resp, answer)
		}
		got, err = c.read(t, answer)
		return err
	})
	resp, err := c.http.Do(req)
	if resp != nil {
		resp.Body.Close() //nolint:errcheck,gosec // already read
	}
	return got, err
}

// read returns the vectors of an answer. One that is of no use was paid for all the same.
func (c *Client) read(t *trial, body []byte) (provider.Embeddings, error) {
	want := c.expectation
	want.texts, want.bytes = t.texts, t.bytes
	got, err := want.read(body)
	if err != nil {
		t.waste(body, got.Tokens)
		got = provider.Embeddings{}
	}
	if _, ok := errors.AsType[wrongSpace](err); ok {
		if t.wrong++; t.wrong > 1 {
			return got, fault.Halt("the embeddings provider at %s: %w: vectors of two spaces are never mixed", c.host, err)
		}
	}
	if err == nil {
		c.line.spent(t, got.Tokens)
		c.caps.pass(t.texts, t.bytes)
	}
	return got, err
}

// refused returns the error that a refusal means, and has the line know of it.
func (c *Client) refused(t *trial, resp *http.Response, body []byte) error {
	err := c.classify(t, resp, body, time.Now())
	if e, ok := errors.AsType[badKey](err); ok {
		number, fatal := c.line.putAside(t, e.error)
		if fatal != nil {
			return fatal
		}
		c.log.Warn("a key of the embeddings provider is refused and put aside", "host", c.host, "key", number, "err", e.error)
		return again(e)
	}
	if _, ok := errors.AsType[again](err); ok {
		c.line.slow(t, retryAfter(resp.Header, time.Now()))
	}
	return err
}

// settle returns err as the caller shall see it: classified, and as the end of ctx
// where that is what it was.
func (c *Client) settle(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	err = withoutURL(err)
	if _, ok := errors.AsType[*fault.Error](err); ok {
		return err
	}
	if ctx.Err() != nil {
		return fmt.Errorf("asking the embeddings provider at %s: %w", c.host, ctx.Err())
	}
	return fault.Wait(0, "asking the embeddings provider at %s: %w", c.host, err)
}

// withoutURL returns what is behind net/http's error, which quotes the URL's query.
func withoutURL(err error) error {
	if u, ok := errors.AsType[*url.Error](err); ok {
		return u.Err
	}
	return err
}

// checkRetry says which tries are worth another one here: those with a transient
// error, unless the provider told us when to come back and that is far off, or the
// request has taken its time, or answers of no use were paid for twice.
func (c *Client) checkRetry(ctx context.Context, _ *http.Response, err error) (bool, error) {
	if ctx.Err() != nil {
		return false, ctx.Err()
	}
	if err == nil {
		return false, nil
	}
	if _, ok := errors.AsType[again](err); ok {
		return false, nil
	}
	t := trialOf(ctx)
	late := t.busy >= c.cfg.TotalTimeout || t.vain > 1
	retry := !late && fault.ClassOf(err) == fault.Transient && fault.AfterOf(err) <= c.cfg.MaxBackoff
	c.log.DebugContext(ctx, "a request to the embeddings provider failed", "host", c.host, "err", withoutURL(err), "retry", retry)
	return retry, nil
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
