package openai

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/freshet-io/freshet/libs/fault"
	"github.com/freshet-io/freshet/libs/telemetry"
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

// attempt is one try of a request: it waits in line for a key, sends, and reads the whole
// answer within one time limit, so that an answer that breaks off or never ends fails
// the try and not the reader after it.
//
// It hides CloseIdleConnections on purpose: retryablehttp calls that after every
// request that was refused, and would empty the pool at each 429.
type attempt struct {
	base    http.RoundTripper
	line    *line
	timeout time.Duration
}

type trialKey struct{}

func trialOf(ctx context.Context) *trial {
	t, _ := ctx.Value(trialKey{}).(*trial)
	return t
}

func (a *attempt) RoundTrip(req *http.Request) (*http.Response, error) {
	t := trialOf(req.Context())
	began := time.Now()
	err := a.line.enter(req.Context(), t)
	telemetry.Waited(req.Context(), "rate limit", began)
	if err != nil {
		return nil, err
	}
	resp, err := a.send(req, t)
	tell(req, t, resp, err)
	return resp, err
}

// tell tells of a try. Neither the address's query nor a header is told, and none is sent for it.
func tell(req *http.Request, t *trial, resp *http.Response, err error) {
	try := telemetry.Call{
		Name: req.Method, Began: t.sent, Err: err,
		About: []telemetry.Attribute{telemetry.Text(telemetry.AttrMethod, req.Method), telemetry.Text(telemetry.AttrServer, req.URL.Hostname())},
	}
	if err == nil {
		try.About = append(try.About, telemetry.Int(telemetry.AttrStatus, int64(resp.StatusCode)))
		if resp.StatusCode != http.StatusOK {
			try.Err = fmt.Errorf("status %d", resp.StatusCode)
		}
	}
	telemetry.Did(req.Context(), try)
}

func (a *attempt) send(req *http.Request, t *trial) (*http.Response, error) {
	ctx, cancel := context.WithTimeout(req.Context(), a.timeout)
	defer cancel()
	status := "error"
	t.sent = time.Now()
	defer func() {
		took := time.Since(t.sent)
		t.busy += took
		a.line.asked(ctx, status, took)
	}()
	req = req.Clone(ctx)
	sign(req.Header, a.line.cfg.KeyHeader, t.gate.key)
	resp, err := a.base.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close() //nolint:errcheck // only read
	// The bound holds after decompression: a bomb is small on the wire.
	body, err := io.ReadAll(io.LimitReader(resp.Body, t.bound+1))
	if err != nil {
		if resp.StatusCode == http.StatusOK {
			t.waste(body, 0)
		}
		return nil, fmt.Errorf("reading the provider's answer: %w", err)
	}
	status = strconv.Itoa(resp.StatusCode)
	if int64(len(body)) > t.bound {
		return nil, fault.Wait(0, "the provider's answer is longer than %d bytes, more than any right one", t.bound)
	}
	resp.Body = io.NopCloser(bytes.NewReader(body))
	return resp, nil
}

func sign(h http.Header, name, key string) {
	switch {
	case key == "":
	case http.CanonicalHeaderKey(name) == "Authorization":
		h.Set(name, "Bearer "+key)
	default:
		h.Set(name, key)
	}
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
