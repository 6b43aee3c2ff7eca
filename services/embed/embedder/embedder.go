// Package embedder turns documents into vectors, and pays for no text twice.
//
// It owns the order of steps below, the batching of all partitions' texts into
// requests, and the halving of refused ones. It never folds documents by field, which
// is write's, and never speaks HTTP, Kafka or gRPC.
//
//	documents ─→ superseded? ─→ stale? ─→ vector known? ─→ fit ─→ batch ─→ provider
//	                 │            │            │            │                  │
//	                 └──→ skip ←──┘            │        dead letter ←──────────┤
//	                                           └────────→ vectors ←────────────┘
//
// The fingerprint is of the text before it is fitted: write renders texts too, and
// cannot fit them.
package embedder

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/freshet-io/freshet/libs/fault"
	"github.com/freshet-io/freshet/libs/record"
	"github.com/freshet-io/freshet/libs/stage"
	"github.com/freshet-io/freshet/libs/telemetry"
	"github.com/freshet-io/freshet/services/embed/provider"
)

// The labels of outcomes.
const (
	Embedded   = "embedded"   // the provider was asked
	Reused     = "reused"     // the vector was known
	Superseded = "superseded" // a later document of the item was waiting too
	Stale      = "stale"      // the index has this or a newer state
	Deleted    = "deleted"    // a delete, handed on
	Skipped    = "skipped"    // a marker
	Pending    = "pending"    // handed on, or left there, without its vector, which follows
	Passed     = "passed"     // handed on: the mark of a dead letter, a row that is hidden or has only some columns
)

// Provider makes vectors of texts. Texts are never empty. It returns one vector a
// text, in order, or an error of package fault: a permanent one means that at least
// one of the texts is refused, and has the batch halved.
type Provider interface {
	Embed(ctx context.Context, texts []string) (provider.Embeddings, error)
}

// Limited is a Provider that knows how much a request should hold: what it takes, and so that
// the next one need not wait long for a rate limit.
type Limited interface {
	// Largest returns the most of each; math.MaxInt where no limit is known.
	Largest() provider.Size
}

// Index tells what is stored of items.
type Index interface {
	// Lookup returns the state of each item in order, with its vector, and the zero
	// State for an item that is not known.
	Lookup(ctx context.Context, collection string, items []record.Item) ([]record.State, error)
}

// Input is a document with the version that its place in the log gave it.
type Input struct {
	Document *record.Document
	Version  int64
	Origin   record.VersionOrigin
	Trace    telemetry.Item
}

// Embedder is the handler of the stage embed. It is safe for concurrent use, and all
// its callers share the requests to the provider.
type Embedder struct {
	index   Index
	space   Space
	limit   limit
	cache   cache
	orders  orders
	batcher *batcher
	ledger  *ledger

	overtakeAfter time.Duration
	withoutIndex  bool

	reused atomic.Int64
}

var _ stage.Handler[Input, *record.Vector] = (*Embedder)(nil)

// New returns an embedder into one space. Its error names every setting that is wrong.
func New(p Provider, index Index, space Space, cfg Config) (*Embedder, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if space.Name == "" || space.Dimensions < 1 {
		return nil, fmt.Errorf("the space is %q with %d dimensions: both are needed", space.Name, space.Dimensions)
	}
	l, err := cfg.limitOf(space.Model)
	if err != nil {
		return nil, err
	}
	if err := cfg.checkPrice(space.Model); err != nil {
		return nil, err
	}
	c, costs := newCache(cfg.CacheBytes, space.Dimensions), newLedger(cfg, space.Model)
	return &Embedder{
		index: index, space: space, limit: l, cache: c, orders: newOrders(), ledger: costs,
		batcher:       newBatcher(&halver{provider: p, dimensions: space.Dimensions, ledger: costs}, c, cfg),
		overtakeAfter: cfg.OvertakeAfter, withoutIndex: cfg.WithoutIndex,
	}, nil
}

// Trace has the requests to the provider told. It is called before anything is handled.
func (e *Embedder) Trace(t *telemetry.Telemetry) {
	e.batcher.telemetry, e.batcher.model = t, e.space.Model
}

// Close ends the requests that documents have overtaken, and that nobody waits for now. It is called when nothing is
// handled any more.
func (e *Embedder) Close() { e.batcher.close() }

// Handle implements stage.Handler. Its error is the index's or the provider's; the
// texts that were embedded all the same are remembered, so that trying again is not
// paid again.
func (e *Embedder) Handle(ctx context.Context, batch []Input) ([]stage.Outcome[*record.Vector], error) {
	return e.handle(ctx, batch, manner{after: e.overtakeAfter})
}

func (e *Embedder) handle(ctx context.Context, batch []Input, m manner) ([]stage.Outcome[*record.Vector], error) {
	works := make([]*work, len(batch))
	for i, in := range batch {
		works[i] = e.begin(in)
	}
	if err := e.lookUp(ctx, works); err != nil {
		return nil, err
	}
	if !m.again { // what was handed on must come true, also where write refuses what came later
		supersede(works)
	}
	for _, w := range works {
		e.compare(w)
		e.fit(w)
	}
	if err := e.embed(ctx, works, m); err != nil {
		return nil, err
	}
	outcomes := make([]stage.Outcome[*record.Vector], len(works))
	for i, w := range works {
		outcomes[i] = w.outcome
		if w.outcome.Label == Reused { // not before: a batch may be tried for hours
			e.reused.Add(1)
			e.ledger.add(accountOf(w.in.Document), record.Tokens{Saved: int64(estimate(w.in.Document.GetText()))})
		}
	}
	return outcomes, nil
}

// begin makes the vector that will carry the document, and settles the inputs that
// need no embedding.
func (e *Embedder) begin(in Input) *work {
	w := &work{in: in}
	switch op := in.Document.GetOp(); op {
	case record.Op_OP_MARKER:
		w.finish(stage.Skip[*record.Vector](Skipped))
	case record.Op_OP_UPSERT, record.Op_OP_COMPLETION_REQUEST:
		w.address()
		if in.Document.GetHidden() {
			w.emit(Passed)
			break
		}
		w.vector.Space = e.space.Name
		w.vector.Fingerprint = record.Fingerprint(e.space.Name, in.Document.GetText())
	case record.Op_OP_PARTIAL:
		w.address()
		w.vector.State = record.VectorState_VECTOR_STATE_PARTIAL
		w.emit(Passed)
	case record.Op_OP_DELETE:
		w.address()
		w.emit(Deleted)
	case record.Op_OP_FAILED:
		w.address()
		w.emit(Passed)
	case record.Op_OP_UNSPECIFIED:
		fallthrough
	default:
		w.finish(stage.Reject[*record.Vector](fault.Reject(fault.Malformed, "the document has the unknown op %d", op)))
	}
	return w
}

// fit makes the text one that the model takes, or a dead letter.
func (e *Embedder) fit(w *work) {
	if !w.asks() {
		return
	}
	text := w.in.Document.GetText()
	if strings.TrimSpace(text) == "" {
		w.reject(fault.Reject(fault.MissingText, "the text to embed is empty"))
		return
	}
	var err error
	if w.text, err = e.limit.fit(e.space.Prefix+text, w.mayCut()); err != nil {
		w.reject(err)
	}
}

// embed asks for the vectors that are still missing, each text once.
func (e *Embedder) embed(ctx context.Context, works []*work, m manner) error {
	var asking []*work
	var asks []ask
	for _, w := range works {
		if w.asks() {
			asking = append(asking, w)
			asks = append(asks, ask{
				fitted: w.text, fingerprint: w.vector.GetFingerprint(), again: w.in.Document.GetForce(),
				account: accountOf(w.in.Document), held: w.held, member: w.member(),
			})
		}
	}
	if len(asks) == 0 {
		return nil
	}
	answers, err := e.answers(ctx, asks, m)
	if err != nil {
		return err
	}
	var failed, late error
	postponed := 0
	for i, w := range asking {
		a := answers[i]
		away, spent := errors.AsType[turnedAway](a.err)
		switch {
		case a.err == nil && a.known:
			w.take(w.text.made(a.vector), Reused)
		case a.err == nil:
			w.take(w.text.made(a.vector), Embedded)
		case fault.ClassOf(a.err) == fault.Permanent:
			w.reject(a.err)
		case spent:
			w.postpone(m, away.of(w))
			postponed++
		case m.overtakes() && fault.ClassOf(a.err) == fault.Transient:
			w.postpone(m, time.Time{})
			postponed, late = postponed+1, a.err
		case failed == nil || fault.ClassOf(a.err) == fault.Fatal:
			failed = a.err
		}
		w.outcome.Batch = a.batch
	}
	if m.again && postponed == len(works) { // it would be handled again at once
		failed = cmp.Or(failed, late) // what was turned away has its time
	}
	if failed != nil {
		return fmt.Errorf("embedding %d texts: %w", len(asks), failed)
	}
	return nil
}

// Counts is what an Embedder has done since it was made.
type Counts struct {
	Requests     int64 // to the provider
	Texts        int64 // embedded by it
	Tokens       int64 // that it charged for, or estimated where it does not say
	AgainTokens  int64 // those of them whose text had been paid for before
	Fallbacks    int64 // texts of which the built-in model knew no meaning
	Reused       int64 // documents whose vector was known
	ReusedTokens int64 // that were not paid for again, estimated
}

// Counts returns the counts of this moment.
func (e *Embedder) Counts() Counts {
	h, t := e.batcher.halver, e.ledger.totals()
	return Counts{
		Requests: h.requests.Load(), Texts: h.texts.Load(), Fallbacks: h.fallbacks.Load(), Reused: e.reused.Load(),
		Tokens: t.Paid, AgainTokens: t.Again, ReusedTokens: t.Saved,
	}
}
