package openai

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"sync/atomic"
	"time"

	"github.com/failsafe-go/failsafe-go/circuitbreaker"

	"github.com/freshet-io/freshet/libs/fault"
	"github.com/freshet-io/freshet/services/embed/provider"
)

// Roles of endpoints, as metrics and logs name them.
const (
	first  = "first"
	backup = "backup"
)

const (
	failures      = 3                // requests in a row that fail, each with all its tries, before the backup is used
	pause         = 30 * time.Second // until the endpoint is tried again, with one request
	leastLikeness = 0.98             // cosine of the two endpoints' vectors of one text
)

// checkText is what both endpoints are asked for to compare them.
const checkText = "waterproof hiking boots"

// errOtherSpace says that the backup must not be used.
var errOtherSpace = errors.New("the backup of the embeddings provider is of another space, and would corrupt the index")

// Backup is a second endpoint of the same space. What it does not say is as for the first.
type Backup struct {
	URL               string `envconfig:"URL" desc:"base URL of a second server of the same model, used while the first one is away or takes no key; none if empty"`
	Model             string `envconfig:"MODEL" desc:"what the backup calls the model (a deployment); the name in the pipeline file if empty"`
	AnswersAs         string `envconfig:"ANSWERS_AS" desc:"model name to expect in the backup's answers where it is not that of the pipeline file; any accepts every name"`
	KeyHeader         string `envconfig:"KEY_HEADER" default:"Authorization" desc:"header that carries the backup's key"`
	SendDimensions    string `envconfig:"SEND_DIMENSIONS" default:"auto" desc:"whether requests to the backup name the dimensions: always, never or auto"`
	RequestsPerMinute int    `envconfig:"REQUESTS_PER_MINUTE" default:"0" desc:"limit of each of the backup's keys in requests; 0 takes it from its headers"`
	TokensPerMinute   int    `envconfig:"TOKENS_PER_MINUTE" default:"0" desc:"limit of each of the backup's keys in tokens; 0 takes it from its headers"`
}

// Pair asks one endpoint, and a backup while that is away. It is safe for concurrent use.
//
//	first's breaker: closed ─ 3 failures in a row, or a fatal one ─→ open ─ 30 s ─→ half open: one text
//	                   ↑└───────────── it passes ──────────────────────────────────┘ └─ it fails → open
//
// 429s are no failures: the line waits them out.
type Pair struct {
	first, backup *guarded
	log           *slog.Logger

	checking  chan struct{} // has an element while the backup is compared; it guards the rest
	checked   bool
	compared  atomic.Int64 // how often
	outcome   error        // of the last time
	reference []float32    // the first one's vector of checkText, if it gave one
}

type guarded struct {
	*Client
	breaker circuitbreaker.CircuitBreaker[any]
	last    atomic.Pointer[error] // of its last failure
}

// NewPair returns a client of two endpoints. It connects to nothing yet.
func NewPair(cfg Config, opt Options, b Backup, backupKeys func() string) (*Pair, error) {
	one, err := New(cfg, opt)
	if err != nil {
		return nil, err
	}
	cfg.URL, cfg.AnswersAs, cfg.KeyHeader, cfg.SendDimensions = b.URL, cmp.Or(b.AnswersAs, opt.Model), b.KeyHeader, b.SendDimensions
	cfg.RequestsPerMinute, cfg.TokensPerMinute = b.RequestsPerMinute, b.TokensPerMinute
	opt.Name, opt.Keys = b.Model, backupKeys
	two, err := New(cfg, opt)
	if err != nil {
		return nil, fmt.Errorf("the backup's settings: %w", err)
	}
	two.role = backup
	return &Pair{first: guard(one), backup: guard(two), log: one.log, checking: make(chan struct{}, 1)}, nil
}

func guard(c *Client) *guarded {
	g := &guarded{Client: c}
	g.breaker = circuitbreaker.NewBuilder[any]().
		WithFailureThreshold(failures).WithSuccessThreshold(1).WithDelay(pause).
		OnOpen(func(e circuitbreaker.StateChangedEvent) {
			if e.OldState == circuitbreaker.ClosedState {
				c.log.Warn("an endpoint of the embeddings provider is out of use; it is tried again twice a minute", "endpoint", c.role, "host", c.host, "err", g.lastError())
			}
		}).
		OnClose(func(circuitbreaker.StateChangedEvent) {
			c.log.Info("an endpoint of the embeddings provider is in use again", "endpoint", c.role, "host", c.host)
		}).Build()
	return g
}

func (g *guarded) lastError() error {
	if err := g.last.Load(); err != nil {
		return *err
	}
	return nil
}

// Close drops idle connections.
func (p *Pair) Close() {
	p.first.Close()
	p.backup.Close()
}

// Embed returns one vector a text, as Client.Embed does. It is fatal where it is so at
// both endpoints, or where the backup is of another space.
func (p *Pair) Embed(ctx context.Context, texts []string) (provider.Embeddings, error) {
	var wasted int64
	for _, e := range []*guarded{p.first, p.backup} {
		if !p.ready(ctx, e) {
			continue
		}
		got, err := p.ask(ctx, e, texts)
		got.Wasted += wasted
		wasted = got.Wasted
		if err == nil || e.breaker.IsClosed() || ctx.Err() != nil {
			return got, err
		}
	}
	one, two := p.first.lastError(), p.backup.lastError()
	switch {
	case errors.Is(two, errOtherSpace):
		return provider.Embeddings{Wasted: wasted}, two
	case fault.ClassOf(one) == fault.Fatal && fault.ClassOf(two) == fault.Fatal:
		return provider.Embeddings{Wasted: wasted}, fault.Halt("both embeddings providers: %w; %w", one, two)
	}
	again := min(p.first.breaker.RemainingDelay(), p.backup.breaker.RemainingDelay())
	return provider.Embeddings{Wasted: wasted}, fault.Wait(max(again, time.Second), "the embeddings provider and its backup are away: %w; %w", one, two)
}

// ready reports whether an endpoint is in use. One that is not is tried from time to time
// beside the work: a silent server would hold up a batch for all its tries.
func (p *Pair) ready(ctx context.Context, e *guarded) bool {
	if e.breaker.IsClosed() {
		return true
	}
	if e.breaker.TryAcquirePermit() {
		own, cancel := context.WithTimeout(context.WithoutCancel(ctx), e.cfg.Timeout)
		go func() {
			defer cancel()
			_, _ = p.ask(own, e, []string{checkText}) // the breaker knows
		}()
	}
	return false
}

// ask asks an endpoint, and has its breaker know what came of it. A refused text is an
// answer; a caller who leaves says nothing of the endpoint.
func (p *Pair) ask(ctx context.Context, e *guarded, texts []string) (got provider.Embeddings, err error) {
	if e == p.backup {
		err = p.compare(ctx)
	}
	if err == nil {
		got, err = e.Embed(ctx, texts)
	}
	switch class := fault.ClassOf(err); {
	case err == nil, class == fault.Permanent:
		e.breaker.RecordSuccess()
	case errors.Is(ctx.Err(), context.Canceled):
	case class == fault.Fatal:
		e.last.Store(&err)
		e.breaker.Open()
	default:
		e.last.Store(&err)
		e.breaker.RecordFailure()
	}
	return got, err
}

// Largest returns the most that a request should have at the endpoint that is in use.
func (p *Pair) Largest() provider.Size {
	if p.first.breaker.IsClosed() {
		return p.first.Largest()
	}
	return p.backup.Largest()
}

// Check asks both endpoints for one text, before there is any work. Its error is fatal and
// says that the backup is of another space; a backup that is away is a warning, and
// compared before its first use.
func (p *Pair) Check(ctx context.Context) error {
	one, cancel := context.WithTimeout(ctx, p.first.cfg.Timeout)
	defer cancel()
	if got, err := p.first.Embed(one, []string{checkText}); err == nil {
		p.reference = got.Vectors[0]
	}
	two, cancel := context.WithTimeout(ctx, p.first.cfg.Timeout)
	defer cancel()
	err := p.compare(two)
	if err != nil && !errors.Is(err, errOtherSpace) {
		p.log.WarnContext(ctx, "the backup of the embeddings provider is away; it is checked before its first use", "host", p.backup.host, "err", err)
		return nil
	}
	return err
}

// compare returns nil where the backup's vectors are of the same space as the first one's,
// as far as can be told; once is enough. Who waits for another's question has its answer: where the backup is silent each
// one takes minutes.
func (p *Pair) compare(ctx context.Context) error {
	before := p.compared.Load()
	select {
	case p.checking <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-p.checking }()
	switch {
	case p.checked:
		return nil
	case p.compared.Load() != before:
		return p.outcome
	}
	err := p.comparison(ctx)
	if ctx.Err() == nil {
		p.checked, p.outcome = err == nil, err
		p.compared.Add(1)
	}
	return err
}

func (p *Pair) comparison(ctx context.Context) error {
	got, err := p.backup.Embed(ctx, []string{checkText})
	if _, ok := errors.AsType[wrongSpace](err); ok {
		return fault.Halt("%w: %w", errOtherSpace, err)
	}
	if err != nil {
		return err
	}
	if p.reference == nil {
		p.log.WarnContext(ctx, "the backup of the embeddings provider has the right dimensions and model; its vectors could not be compared, since the first endpoint is away", "host", p.backup.host)
	} else if likeness := cosine(p.reference, got.Vectors[0]); likeness < leastLikeness {
		return fault.Halt("%w: its vector of a text and that of %s have a cosine of %.3f, less than %.2f", errOtherSpace, p.first.host, likeness, leastLikeness)
	}
	return nil
}

func cosine(a, b []float32) float64 {
	var ab, aa, bb float64
	for i := range a {
		x, y := float64(a[i]), float64(b[i])
		ab, aa, bb = ab+x*y, aa+x*x, bb+y*y
	}
	return ab / math.Sqrt(aa*bb)
}
