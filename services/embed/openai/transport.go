package openai

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/freshet-io/freshet/libs/fault"
)

// newTransport returns a pool for one host under load. The defaults keep 2 idle
// connections a host, so that a batch of parallel requests opens new ones each time.
func newTransport(cfg Config) *http.Transport {
	dialer := &net.Dialer{Timeout: 5 * time.Second, KeepAlive: 15 * time.Second}
	return &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           dialer.DialContext,
		ForceAttemptHTTP2:     true,
		MaxConnsPerHost:       cfg.MaxConnections,
		MaxIdleConns:          cfg.MaxConnections,
		MaxIdleConnsPerHost:   cfg.MaxConnections,
		IdleConnTimeout:       90 * time.Second,
		TLSHandshakeTimeout:   10 * time.Second,
		ExpectContinueTimeout: time.Second,
		// A connection that died in silence would hold its requests until they time out.
		HTTP2: &http.HTTP2Config{SendPingTimeout: 15 * time.Second, PingTimeout: 5 * time.Second},
	}
}

// attempt is one try of a request: it waits at the gate, sends, and reads the whole
// answer within one time limit, so that an answer that breaks off or never ends fails
// the try and not the reader after it.
//
// It hides CloseIdleConnections on purpose: retryablehttp calls that after every
// request that was refused, and would empty the pool at each 429.
type attempt struct {
	base    http.RoundTripper
	gate    *gate
	timeout time.Duration
}

type boundKey struct{}

// withBound sets the most bytes that an answer to a request under ctx may have.
func withBound(ctx context.Context, n int64) context.Context {
	return context.WithValue(ctx, boundKey{}, n)
}

// RoundTrip implements http.RoundTripper.
func (a *attempt) RoundTrip(req *http.Request) (*http.Response, error) {
	if err := a.gate.wait(req.Context()); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(req.Context(), a.timeout)
	defer cancel()
	sent := time.Now()
	resp, err := a.base.RoundTrip(req.WithContext(ctx))
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close() //nolint:errcheck // only read
	bound, _ := ctx.Value(boundKey{}).(int64)
	// The bound holds after decompression: a bomb is small on the wire.
	body, err := io.ReadAll(io.LimitReader(resp.Body, bound+1))
	if err != nil {
		return nil, fmt.Errorf("reading the provider's answer: %w", err)
	}
	if int64(len(body)) > bound {
		return nil, fault.Wait(0, "the provider's answer is longer than %d bytes, more than any right one", bound)
	}
	resp.Body = io.NopCloser(bytes.NewReader(body))
	switch resp.StatusCode {
	case http.StatusOK:
		a.gate.passed()
	case http.StatusTooManyRequests:
		a.gate.move(retryAfter(resp.Header, time.Now()), sent)
	}
	return resp, nil
}

// follow lets a redirect pass that stays on the host and keeps the request as it is.
// Any other would send the texts, and perhaps the key, to somebody else.
func follow(next *http.Request, via []*http.Request) error {
	first := via[0]
	if len(via) > 3 || next.Method != first.Method || next.URL.Scheme != first.URL.Scheme || next.URL.Host != first.URL.Host {
		return http.ErrUseLastResponse
	}
	return nil
}
