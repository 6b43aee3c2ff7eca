package weaviate

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/weaviate/weaviate-go-client/v4/weaviate/connection"
	"github.com/weaviate/weaviate-go-client/v4/weaviate/schema"
	pb "github.com/weaviate/weaviate/grpc/generated/protocol/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/status"

	"github.com/freshet-io/freshet/libs/fault"
	"github.com/freshet-io/freshet/libs/service"
	"github.com/freshet-io/freshet/libs/telemetry"
)

const (
	// callLimit bounds every call. A write is sent with it and never cancelled before: an
	// interrupted one is stored but not found by any search.
	callLimit = 60 * time.Second
	// openLimit bounds the first question to each port.
	openLimit = 10 * time.Second
	// messageLimit bounds a gRPC message in both directions, in bytes.
	messageLimit = 200 << 20
)

// Client is a connection to one Weaviate. It is safe for concurrent use.
type Client struct {
	url    string // for people
	schema *schema.API
	http   *http.Client
	base   *url.URL // of the HTTP API, with /v1
	conn   *grpc.ClientConn
	grpc   pb.WeaviateClient
	before func(context.Context) error // may be nil
	mix    bool                        // texts of several templates may be in a collection
	waited bool

	mu    sync.RWMutex
	bound map[string]*collection // by logical name
}

// Open connects to Weaviate and asks both ports once. A refused key and a gRPC port that does
// not answer while the HTTP port does are fatal faults; an absent Weaviate is a transient one.
// The caller closes the client.
func Open(ctx context.Context, cfg Config) (*Client, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fault.Halt("connecting to Weaviate: %w", err)
	}
	certificates, err := cfg.certificates()
	if err != nil {
		return nil, fault.Halt("connecting to Weaviate: %w", err)
	}
	c := &Client{url: cfg.URL, before: cfg.Before, mix: cfg.MixTemplates, bound: map[string]*collection{}}
	if err := c.openREST(cfg, certificates); err != nil {
		return nil, err
	}
	if err := c.openGRPC(cfg, certificates); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, openLimit)
	defer cancel()
	if err := c.ask(ctx, cfg.GRPC); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// Waited reports whether Attach had to wait for Weaviate: it may have lost what it had acknowledged last.
func (c *Client) Waited() bool { return c.waited }

// Close ends the connections. Calls in flight fail.
func (c *Client) Close() error {
	c.http.CloseIdleConnections()
	return c.conn.Close()
}

func (c *Client) openREST(cfg Config, certificates *service.Certificates) error {
	u, err := url.Parse(cfg.URL)
	if err != nil {
		return fault.Halt("connecting to Weaviate: %w", err)
	}
	transport := &http.Transport{Proxy: http.ProxyFromEnvironment, IdleConnTimeout: 30 * time.Second, MaxIdleConnsPerHost: 4}
	if certificates != nil {
		certificates.Secure(transport)
	}
	c.http = &http.Client{
		Timeout:   callLimit,
		Transport: &withKey{key: cfg.APIKey, host: u.Host, next: transport},
	}
	c.base = u.JoinPath("v1")
	official := connection.NewConnection(u.Scheme, u.Host+u.Path, c.http, callLimit, nil)
	// Its finalizer sends to a channel that nobody reads, and so would stop all finalizers of the
	// process once a client was dropped.
	runtime.SetFinalizer(official, nil)
	c.schema = schema.New(official)
	return nil
}

func (c *Client) openGRPC(cfg Config, certificates *service.Certificates) (err error) {
	transport := insecure.NewCredentials()
	if certificates != nil {
		transport = newRotated(certificates)
	}
	c.conn, err = grpc.NewClient(cfg.GRPC,
		grpc.WithTransportCredentials(transport),
		grpc.WithPerRPCCredentials(callKey{key: cfg.APIKey, secure: certificates != nil}),
		grpc.WithUnaryInterceptor(told),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(messageLimit), grpc.MaxCallSendMsgSize(messageLimit)),
		// The server closes connections that are pinged more often than every 5 minutes. The
		// timeout is TCP's as well: a write into a dead network fails after it, not after minutes.
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 5*time.Minute + 10*time.Second, Timeout: 20 * time.Second}),
		// The default waits up to two minutes before it tries a restarted server again.
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: 200 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: 3 * time.Second},
			MinConnectTimeout: 5 * time.Second,
		}),
		// Retries by configuration of the server would hide that a write was interrupted.
		grpc.WithDisableServiceConfig(),
		grpc.WithDisableRetry(),
	)
	if err != nil {
		return fault.Halt("connecting to Weaviate's gRPC port %s: %w", cfg.GRPC, err)
	}
	c.grpc = pb.NewWeaviateClient(c.conn)
	return nil
}

// told tells of a call to the batch that it is made for. No trace is sent with it.
func told(ctx context.Context, method string, req, reply any, conn *grpc.ClientConn, call grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	began := time.Now()
	err := call(ctx, method, req, reply, conn, opts...)
	method, code := strings.TrimPrefix(method, "/"), status.Code(err).String()
	did := telemetry.Call{Name: method, Began: began, About: []telemetry.Attribute{telemetry.Text(telemetry.AttrRPC, method), telemetry.Text(telemetry.AttrRPCStatus, code)}}
	if err != nil {
		did.Err = errors.New(code) // its text may quote an item
	}
	telemetry.Did(ctx, did)
	return err
}

// ask asks both ports whether they answer, and with this key.
func (c *Client) ask(ctx context.Context, grpcAddress string) error {
	if err := c.call(ctx, http.MethodGet, "meta", nil, nil); err != nil {
		return fmt.Errorf("asking Weaviate at %s: %w", c.url, err)
	}
	health := grpc_health_v1.NewHealthClient(c.conn)
	if _, err := health.Check(ctx, &grpc_health_v1.HealthCheckRequest{}, grpc.WaitForReady(true)); err != nil {
		if errors.Is(ctx.Err(), context.Canceled) { // the process is told to stop
			return ctx.Err()
		}
		return fault.Halt("Weaviate's HTTP API at %s answers, its gRPC port %s does not: set the address or open the port (%w)", c.url, grpcAddress, err)
	}
	return nil
}

// withKey adds the API key to requests of one host: a redirect elsewhere must not carry it.
type withKey struct {
	key  service.Secret
	host string
	next http.RoundTripper
}

func (w *withKey) RoundTrip(r *http.Request) (*http.Response, error) {
	if key := w.key.Value(); key != "" && r.URL.Host == w.host {
		r = r.Clone(r.Context())
		r.Header.Set("Authorization", "Bearer "+key)
	}
	return w.next.RoundTrip(r)
}

// CloseIdleConnections lets http.Client reach the connections below.
func (w *withKey) CloseIdleConnections() {
	if t, ok := w.next.(*http.Transport); ok {
		t.CloseIdleConnections()
	}
}

// callKey adds the API key to gRPC calls, read anew each time: it may be rotated.
type callKey struct {
	key    service.Secret
	secure bool
}

func (k callKey) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	key := k.key.Value()
	if key == "" {
		return nil, nil
	}
	return map[string]string{"authorization": "Bearer " + key}, nil
}

func (k callKey) RequireTransportSecurity() bool { return k.secure }
