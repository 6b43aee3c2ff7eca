package embedder

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/freshet-io/freshet/libs/fault"
	"github.com/freshet-io/freshet/libs/record"
	"github.com/freshet-io/freshet/libs/telemetry"
	"github.com/freshet-io/freshet/services/embed/provider"
)

const (
	// usualTime is what a request is taken to last before one has ended.
	usualTime = 60 * time.Millisecond
	// longestPause bounds the time between two requests that are not full, where a provider is slow.
	longestPause = 50 * time.Millisecond
	// slack is what part of the time that live texts are waited for a request may take at most, for them to be asked for
	// again after some came too late: near it many would. lateFor is when they are in any case: the provider may always
	// take so long, and seldom longer.
	slack   = 4
	lateFor = 5 * time.Minute
)

// batcher collects the texts of all partitions into requests. It has no goroutine of
// its own: callers send what is due while they wait, and so does each request that ends.
//
// A text that is waiting or under way is joined, not asked for again, and one that has
// landed is in the cache before it is forgotten here. A caller who leaves takes only
// the texts with it that nobody else waits for.
//
// Live and bulk texts go in requests of their own, so that live ones need not wait with a
// backfill for the provider's rate limit. A bulk text that a live caller joins is live.
// While a request waits for that limit its lane sends no other: what comes meanwhile goes
// into one large request instead of many small ones.
type batcher struct {
	halver *halver
	cache  cache
	wait   time.Duration // fixed; 0: until the next request may begin
	most   int           // requests in flight, of each lane
	size   provider.Size // of a request, at most
	after  time.Duration // how long a live text is waited for; 0: for ever

	telemetry *telemetry.Telemetry // nil: nothing is told
	metrics   *telemetry.Metrics   // nil: nothing is measured
	model     string
	flying    sync.WaitGroup

	mu     sync.Mutex
	lanes  [2]lane // live, bulk
	byText map[string]*call
	// lateUntil is until when live texts are taken to come too late, since one did: unless a request is quick before.
	lateUntil time.Time
}

// lane is the texts of one urgency that wait, and the requests that it has under way.
type lane struct {
	queue   []*call
	flights []*flight
	waiting int           // of those, for the provider's rate limit
	began   time.Time     // the last request
	took    time.Duration // a request of late
}

func (l *lane) remove(c *call) {
	l.queue = slices.DeleteFunc(l.queue, func(q *call) bool { return q == c })
}

// ask is a text that somebody wants the vector of.
type ask struct {
	fitted
	fingerprint []byte // of the text before it was fitted
	again       bool   // what the cache has does not do
	held        bool   // the index has a vector of it: it was paid for once
	account     account
	member      telemetry.Member
}

// call is one text and all who wait for it. The batcher's mutex guards it until done
// is closed.
type call struct {
	text    fitted
	asks    []ask // one of them pays; one text may be what is left of several longer ones
	queued  time.Time
	lane    *lane // in whose queue it is or was
	waiting int
	flight  *flight // nil while it is in the queue
	answer  answer
	done    chan struct{}
}

type flight struct {
	calls   []*call
	began   time.Time
	lane    *lane
	urgency *provider.Lane // of the request
	waiting int            // sum over its calls
	parted  []func() bool  // of callers who went on without it: they no longer leave when their partition goes
	cancel  context.CancelFunc
	batch   *telemetry.Batch // of its trace
}

func newBatcher(h *halver, c cache, cfg Config) *batcher {
	return &batcher{
		halver: h, cache: c, size: provider.Size{Texts: cfg.BatchItems, Tokens: cfg.BatchTokens, Bytes: cfg.BatchBytes},
		wait: cfg.BatchWait, after: cfg.OvertakeAfter, most: cfg.InFlight, byText: map[string]*call{}, lanes: [2]lane{{took: usualTime}, {took: usualTime}},
	}
}

// embed returns an answer an ask. Its only error is that of ctx.
func (b *batcher) embed(ctx context.Context, asks []ask) ([]answer, error) {
	calls, joined := b.join(asks, provider.LaneOf(ctx))
	for _, c := range calls {
		if err := b.await(ctx, c); err != nil {
			b.leave(calls)
			return nil, err
		}
	}
	return taken(calls, joined), nil
}

// join returns the call of each ask, and whether it was there already: another one pays for it.
func (b *batcher) join(asks []ask, urgency *provider.Lane) (calls []*call, joined []bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	l := &b.lanes[0]
	if urgency.Bulk() {
		l = &b.lanes[1]
	}
	calls, joined = make([]*call, len(asks)), make([]bool, len(asks))
	for i, a := range asks {
		c := b.byText[a.text]
		joined[i] = c != nil
		if c == nil {
			c = b.recall(a, l)
		}
		if c == nil {
			c = &call{text: a.fitted, queued: now, lane: l, done: make(chan struct{})}
			b.byText[a.text] = c
			l.queue = append(l.queue, c)
		}
		if !urgency.Bulk() {
			b.hurry(c)
		}
		c.asks = append(c.asks, a)
		c.waiting++
		if c.flight != nil {
			c.flight.waiting++
		}
		calls[i] = c
	}
	return calls, joined
}

// hurry makes a call that a live caller waits for a live one.
func (b *batcher) hurry(c *call) {
	live := &b.lanes[0]
	switch {
	case c.flight != nil:
		c.flight.urgency.Hurry()
	case c.lane != live:
		c.lane.remove(c)
		c.lane = live
		live.queue = append(live.queue, c)
	}
}

// recall returns a call that has its answer already, or nil. The text may have landed
// since the caller found nothing in the cache, or its pipeline has spent its budget.
func (b *batcher) recall(a ask, l *lane) *call {
	c := &call{text: a.fitted, lane: l, done: make(chan struct{})}
	if m, ok := b.cache.get(a.fingerprint); ok && !a.again {
		c.answer = answer{vector: m.vector, known: true}
	} else if c.answer.err = b.halver.ledger.purses.refuse(a); c.answer.err == nil {
		return nil
	}
	close(c.done)
	return c
}

// await returns when c has its answer, sending meanwhile what becomes due.
func (b *batcher) await(ctx context.Context, c *call) error {
	detached := context.WithoutCancel(ctx)
	for {
		var due <-chan time.Time
		if wait := b.send(detached); wait > 0 {
			due = time.After(wait)
		}
		select {
		case <-c.done:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		case <-due:
		}
	}
}

// leave takes a caller's interest away from its calls.
func (b *batcher) leave(calls []*call) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, c := range calls {
		if c.flight == nil {
			b.drop(c)
			continue
		}
		c.waiting--
		if c.flight.waiting--; c.flight.waiting == 0 {
			b.abandon(c.flight)
		}
	}
}

// abandon ends a request that nobody waits for. Its texts are forgotten at once, so
// that a new caller asks for them again instead of joining the end.
func (b *batcher) abandon(f *flight) {
	f.cancel()
	for _, c := range f.calls {
		b.forget(c)
	}
}

// forget lets nobody join c any more. Its text may be another call's by now.
func (b *batcher) forget(c *call) {
	if b.byText[c.text.text] == c {
		delete(b.byText, c.text.text)
	}
}

// send starts every request that is due. It returns how long the rest of the queues
// waits, or 0 where nothing does or a request must end first. Requests outlive the caller
// who happens to send them, since others wait for them too: ctx is one that does not end.
func (b *batcher) send(ctx context.Context) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	var next time.Duration
	for i := range b.lanes {
		if wait := b.sendLane(ctx, &b.lanes[i]); wait > 0 && (next == 0 || wait < next) {
			next = wait
		}
	}
	return next
}

func (b *batcher) sendLane(ctx context.Context, l *lane) time.Duration {
	for len(l.queue) > 0 && len(l.flights) < b.most && l.waiting == 0 {
		n, full := b.batch(l.queue)
		if wait := time.Until(b.due(l)); !full && wait > 0 {
			return wait
		}
		closed := "due"
		if full {
			closed = "full"
		}
		b.start(ctx, l, slices.Clone(l.queue[:n]), closed)
		l.queue = slices.Delete(l.queue, 0, n)
	}
	return 0
}

// batch returns how many calls go into the next request, and whether waiting could
// add none.
func (b *batcher) batch(queue []*call) (n int, full bool) {
	most := b.halver.most(b.size)
	tokens, size := 0, 0
	for _, c := range queue {
		tokens += c.text.tokens
		size += len(c.text.text)
		if n > 0 && (n == most.Texts || tokens > most.Tokens || size > most.Bytes) {
			return n, true
		}
		n++
	}
	return n, n >= most.Texts
}

// due returns when a request may begin that is not full: with none under way at once, else requests are spread evenly over
// the time that one takes, since with all of them begun together the next text would wait for the whole of it. At a request
// of 60 ms and eight in flight 116 texts a second go one by one and at once, and 1,000 wait for 4 ms on average.
func (b *batcher) due(l *lane) time.Time {
	switch {
	case b.wait > 0:
		return l.queue[0].queued.Add(b.wait)
	case len(l.flights) == 0:
		return l.queue[0].queued
	}
	return l.began.Add(min(l.took/time.Duration(b.most), longestPause))
}

// start sends a request, which ends when all who wait for it have left. closed says why it has no more texts.
func (b *batcher) start(ctx context.Context, l *lane, calls []*call, closed string) {
	own, cancel := context.WithCancel(ctx)
	f := &flight{calls: calls, began: time.Now(), lane: l, cancel: cancel, batch: b.telemetry.NewBatch("embeddings "+b.model, record.EmbedAnswered,
		telemetry.Text(telemetry.AttrOperation, "embeddings"), telemetry.Text(telemetry.AttrModel, b.model),
		telemetry.Int(telemetry.AttrDimensions, int64(b.halver.dimensions)), telemetry.Int(telemetry.AttrItems, int64(len(calls))), telemetry.Text(telemetry.AttrClosed, closed))}
	own = f.batch.Into(own)
	f.urgency = provider.NewLane(l == &b.lanes[1], func(waiting bool) { b.hold(ctx, l, waiting) })
	own = provider.WithLane(own, f.urgency)
	asks := make([]ask, len(calls))
	for i, c := range calls {
		c.flight = f
		f.waiting += c.waiting
		asks[i] = b.halver.ledger.purses.payer(c.asks)
	}
	l.flights = append(l.flights, f)
	l.began = f.began
	b.metrics.Sent(ctx, closed, f.began.Sub(calls[0].queued))
	b.flying.Go(func() {
		defer cancel()
		b.land(f, b.halver.ask(own, asks))
		b.resume(ctx)
	})
}

// hold has a lane send nothing more while a request of its waits for a rate limit.
func (b *batcher) hold(ctx context.Context, l *lane, waiting bool) {
	b.mu.Lock()
	if waiting {
		l.waiting++
	} else {
		l.waiting--
	}
	b.mu.Unlock()
	if !waiting {
		b.resume(ctx)
	}
}

// resume sends what had to wait for a request, now or when it is due: those who wait for it
// have no timer, since nobody knew when that would be.
func (b *batcher) resume(ctx context.Context) {
	if wait := b.send(ctx); wait > 0 {
		time.AfterFunc(wait, func() { b.resume(ctx) })
	}
}

// land gives a request's answers to those who wait, and to the cache at once: a caller
// may still wait long for other texts, while a text of its comes again.
func (b *batcher) land(f *flight, answers []answer) {
	b.mu.Lock()
	defer b.mu.Unlock()
	f.lane.flights = slices.DeleteFunc(f.lane.flights, func(other *flight) bool { return other == f })
	took := time.Since(f.began)
	f.lane.took = (3*f.lane.took + took) / 4
	if f.lane == &b.lanes[0] && took < b.after/slack {
		b.lateUntil = time.Time{}
	}
	for _, stop := range f.parted {
		stop()
	}
	f.tell(answers)
	for i, c := range f.calls {
		c.answer = answers[i]
		c.answer.batch = f.batch
		if c.answer.err == nil {
			b.remember(c)
		}
		b.forget(c)
		close(c.done)
	}
}

// tell ends the trace of the request.
func (f *flight) tell(answers []answer) {
	if f.batch == nil {
		return
	}
	var members []telemetry.Member
	var err error
	for i, c := range f.calls {
		rejected := fault.ClassOf(answers[i].err) == fault.Permanent
		for _, a := range c.asks {
			a.member.Told = rejected // as a dead letter
			members = append(members, a.member)
		}
		err = cmp.Or(err, answers[i].err)
	}
	f.batch.End(members, err)
}

func (b *batcher) remember(c *call) {
	for _, a := range c.asks {
		b.cache.put(a.fingerprint, a.made(c.answer.vector))
	}
}
