package telemetry

import (
	"context"
	"strings"
	"sync"
	"time"

	semconv "go.opentelemetry.io/otel/semconv/v1.41.0"
	"go.opentelemetry.io/otel/trace"
	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"

	"github.com/freshet-io/freshet/libs/record"
)

const (
	// mostLinks bounds the items that a batch points at: the first ones. A request has 2,048 texts at most.
	mostLinks = 1024
	// mostCalls bounds the calls of a batch that are told: the first ones. One that waits out an outage makes many.
	mostCalls = 64
)

// Names of attributes, for those who may not know OpenTelemetry.
const (
	AttrModel         = string(semconv.GenAIRequestModelKey)
	AttrAnsweredModel = string(semconv.GenAIResponseModelKey)
	AttrTokens        = string(semconv.GenAIUsageInputTokensKey)
	AttrDimensions    = string(semconv.GenAIEmbeddingsDimensionCountKey)
	AttrOperation     = string(semconv.GenAIOperationNameKey)
	AttrItems         = string(semconv.MessagingBatchMessageCountKey)
	AttrServer        = string(semconv.ServerAddressKey)
	AttrMethod        = string(semconv.HTTPRequestMethodKey)
	AttrStatus        = string(semconv.HTTPResponseStatusCodeKey)
	AttrRPC           = string(semconv.RPCMethodKey)
	AttrRPCStatus     = string(semconv.RPCResponseStatusCodeKey)
	AttrClosed        = "freshet.batch.closed" // why nothing more was waited for: full, due, drained
)

// Attribute is what is told of a span. No key, text or secret is in one.
type Attribute = *commonpb.KeyValue

// Text returns an attribute, of no more of a text than is told.
func Text(name, value string) Attribute {
	return &commonpb.KeyValue{Key: name, Value: &commonpb.AnyValue{Value: &commonpb.AnyValue_StringValue{StringValue: told(value)}}}
}

// mostText is how many bytes of a text are told.
const mostText = 1000

// told returns what is told of a text. One that is no UTF-8 would have the whole request to the collector refused, other
// items' traces with it; errors may quote what anybody sent.
func told(text string) string { return strings.ToValidUTF8(text[:min(len(text), mostText)], "\uFFFD") }

// Int returns an attribute.
func Int(name string, value int64) Attribute {
	return &commonpb.KeyValue{Key: name, Value: &commonpb.AnyValue{Value: &commonpb.AnyValue_IntValue{IntValue: value}}}
}

// Batch is the trace of what is done for several items at once: a request to the provider, a batch of writes. It has a
// trace of its own, since it is part of many, and is told when it has ended, if one of its items is. All methods of a nil
// Batch do nothing. It is safe for concurrent use.
type Batch struct {
	telemetry *Telemetry
	trace     trace.TraceID
	span      trace.SpanID
	name      string
	of        record.Hop // of its items
	began     time.Time

	mu      sync.Mutex
	ended   time.Time
	told    bool
	about   []Attribute
	calls   []Call
	dropped int64 // calls
}

// Call is one call that was made for a batch.
type Call struct {
	Name   string
	Inside bool // no call to another process, but a wait here
	Began  time.Time
	Err    error
	About  []Attribute

	ended time.Time
}

// NewBatch begins the trace of a batch that its items pass at a hop, nil where traces go nowhere.
func (t *Telemetry) NewBatch(name string, of record.Hop, about ...Attribute) *Batch {
	if t == nil || t.outbox == nil {
		return nil
	}
	b := &Batch{telemetry: t, name: name, of: of, began: time.Now(), about: about}
	random(b.trace[:])
	random(b.span[:])
	return b
}

type batchKey struct{}

// Into returns a context of which Did adds calls to the batch.
func (b *Batch) Into(ctx context.Context) context.Context {
	if b == nil {
		return ctx
	}
	return context.WithValue(ctx, batchKey{}, b)
}

func batchOf(ctx context.Context) *Batch {
	b, _ := ctx.Value(batchKey{}).(*Batch)
	return b
}

// Did tells of a call that has ended now, to the batch of ctx, if any.
func Did(ctx context.Context, c Call) {
	b := batchOf(ctx)
	if b == nil {
		return
	}
	c.ended = time.Now()
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.calls) == mostCalls {
		b.dropped++
		return
	}
	b.calls = append(b.calls, c)
}

// Waited tells of a wait here that is over now, to the batch of ctx, unless it was none.
func Waited(ctx context.Context, name string, began time.Time) {
	if time.Since(began) > time.Millisecond {
		Did(ctx, Call{Name: name, Inside: true, Began: began})
	}
}

// Note tells something of the batch of ctx, if any. A number is added to what was told under its name before, a text
// takes its place.
func Note(ctx context.Context, a Attribute) {
	b := batchOf(ctx)
	if b == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, before := range b.about {
		if before.GetKey() == a.GetKey() {
			if n, ok := a.GetValue().GetValue().(*commonpb.AnyValue_IntValue); ok {
				n.IntValue += before.GetValue().GetIntValue()
			}
			before.Value = a.GetValue()
			return
		}
	}
	b.about = append(b.about, a)
}

// Member is an item of a batch.
type Member struct {
	Identity
	Began time.Time // its way, at the source; zero where that is not known
	Told  bool      // it is, whatever its age
}

// End ends the batch and has it told if one of its members is, if one is slow by now, or if it took so long itself. The
// members that are told are linked; those may come to be superseded yet, and then are not.
func (b *Batch) End(members []Member, err error) {
	if b == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ended = time.Now()
	b.told = b.telemetry.isSlow(b.ended.Sub(b.began))
	span := newSpan(b.trace, b.span, trace.SpanID{}, b.name, internal, b.began, b.ended)
	for _, m := range members {
		if !m.Told && !m.Item.sampled && (m.Began.IsZero() || !b.telemetry.isSlow(b.ended.Sub(m.Began))) {
			continue
		}
		b.told = true
		if len(span.Links) == mostLinks {
			span.DroppedLinksCount++
			continue
		}
		span.Links = append(span.Links, linkTo(m.Item.trace, m.span(b.of)))
	}
	if !b.told {
		return
	}
	if span.Attributes = b.about; b.dropped > 0 {
		span.Attributes = append(span.Attributes, Int("freshet.batch.calls_dropped", b.dropped))
	}
	if err != nil {
		span.Status = failed(err)
	}
	x := &Trace{}
	x.add(hops[b.of].service, span)
	for _, c := range b.calls {
		x.add(hops[b.of].service, b.call(c))
	}
	b.telemetry.Export(x)
}

func (b *Batch) call(c Call) *tracepb.Span {
	var id trace.SpanID
	random(id[:])
	kind := client
	if c.Inside {
		kind = internal
	}
	span := newSpan(b.trace, id, b.span, c.Name, kind, c.Began, c.ended)
	span.Attributes = c.About
	if c.Err != nil {
		span.Status = failed(c.Err)
	}
	return span
}

// Stamp has the stamps of an item show when it was part of the batch. One that was part of others before, which failed,
// waited for the first of them to fill, and nobody knows for how long.
func (b *Batch) Stamp(s *record.Stamps, others bool) {
	if b == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ended.IsZero() {
		return
	}
	if !others {
		s.Pass(b.of-1, b.began)
	}
	s.Pass(b.of, b.ended)
}

// Header returns the value of HeaderBatch for the items that it answered, nil where it is not told.
func (b *Batch) Header() []byte {
	if b == nil {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.told {
		return nil
	}
	return appendParent(nil, b.trace, b.span, true)
}
