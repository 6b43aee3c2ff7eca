package telemetry

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"math/rand/v2"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// The headers that carry the trace of an item.
const (
	HeaderTraceparent = "traceparent"
	HeaderTracestate  = "tracestate"
)

var w3c = propagation.TraceContext{}

// Item is the trace context of one input while a stage works on it.
type Item struct {
	span    trace.Span // nil where the item is not sampled
	context trace.SpanContext
}

// Begin continues the trace of an input from its headers, or starts one: a
// missing or invalid traceparent starts a new trace. Where the trace is sampled a
// span runs from now until End.
func (t *Telemetry) Begin(ctx context.Context, stage, traceparent, tracestate string, start time.Time) Item {
	parent := parse(ctx, traceparent, tracestate)
	if !parent.IsValid() {
		parent = newRoot()
	}
	item := Item{context: parent}
	// The tracer asks the same sampler, but has made contexts, options and a span by then,
	// also for what it drops: nearly every item.
	if t.sampler.ShouldSample(sdktrace.SamplingParameters{TraceID: parent.TraceID()}).Decision == sdktrace.Drop {
		return item
	}
	_, item.span = t.tracer.Start(trace.ContextWithRemoteSpanContext(ctx, parent), "process "+stage, //nolint:spancheck // End ends it
		trace.WithSpanKind(trace.SpanKindConsumer), trace.WithTimestamp(start))
	item.context = item.span.SpanContext()
	return item
}

func parse(ctx context.Context, traceparent, tracestate string) trace.SpanContext {
	if traceparent == "" {
		return trace.SpanContext{}
	}
	return trace.SpanContextFromContext(w3c.Extract(ctx, &headers{traceparent, tracestate}))
}

// headers implements propagation.TextMapCarrier without a map.
type headers struct{ traceparent, tracestate string }

func (h *headers) Get(key string) string {
	switch key {
	case HeaderTraceparent:
		return h.traceparent
	case HeaderTracestate:
		return h.tracestate
	}
	return ""
}

func (*headers) Set(string, string) {} // it is only read

func (*headers) Keys() []string { return []string{HeaderTraceparent, HeaderTracestate} }

// newRoot makes the context of a trace that begins here; its span is never
// exported, all that matters is that every stage sees the same trace id.
func newRoot() trace.SpanContext {
	var cfg trace.SpanContextConfig
	// They need to differ, not to be secret: the SDK's own come from there, too.
	for _, part := range [][]byte{cfg.TraceID[:8], cfg.TraceID[8:], cfg.SpanID[:]} {
		binary.NativeEndian.PutUint64(part, rand.Uint64()) //nolint:gosec // see above
	}
	return trace.NewSpanContext(cfg)
}

// AppendParent appends the traceparent that the next topic's record carries, of version 00:
// https://www.w3.org/TR/trace-context/#traceparent-header
func (i Item) AppendParent(b []byte) []byte {
	traceID, spanID := i.context.TraceID(), i.context.SpanID()
	b = append(b, "00-"...)
	b = append(hex.AppendEncode(b, traceID[:]), '-')
	b = append(hex.AppendEncode(b, spanID[:]), '-')
	return hex.AppendEncode(b, []byte{byte(i.context.TraceFlags())})
}

// State returns the tracestate that the next topic's record carries; "" for none.
func (i Item) State() string { return i.context.TraceState().String() }

// End ends the span, if there is one, with the outcome of the input.
func (i Item) End(outcome string, err error) {
	if i.span == nil {
		return
	}
	i.span.SetAttributes(attribute.String("freshet.outcome", outcome))
	if err != nil {
		i.span.SetStatus(codes.Error, err.Error())
	}
	i.span.End()
}
