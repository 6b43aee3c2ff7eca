package telemetry

import (
	"context"
	"crypto/rand"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
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
	carrier := propagation.MapCarrier{HeaderTraceparent: traceparent, HeaderTracestate: tracestate}
	parent := trace.SpanContextFromContext(w3c.Extract(ctx, carrier))
	if !parent.IsValid() {
		parent = newRoot()
	}
	_, span := t.tracer.Start(trace.ContextWithRemoteSpanContext(ctx, parent), "process "+stage,
		trace.WithSpanKind(trace.SpanKindConsumer), trace.WithTimestamp(start))
	if !span.IsRecording() {
		return Item{context: parent}
	}
	return Item{span: span, context: span.SpanContext()}
}

// newRoot makes the context of a trace that begins here; its span is never
// exported, all that matters is that every stage sees the same trace id.
func newRoot() trace.SpanContext {
	var cfg trace.SpanContextConfig
	_, _ = rand.Read(cfg.TraceID[:]) // never fails
	_, _ = rand.Read(cfg.SpanID[:])
	return trace.NewSpanContext(cfg)
}

// Headers returns the values that the next topic's record carries; tracestate may be "".
func (i Item) Headers() (traceparent, tracestate string) {
	carrier := propagation.MapCarrier{}
	w3c.Inject(trace.ContextWithSpanContext(context.Background(), i.context), carrier) //nolint:forbidigo // only a vessel for the span context
	return carrier[HeaderTraceparent], carrier[HeaderTracestate]
}

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
