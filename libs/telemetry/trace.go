package telemetry

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"math/rand/v2"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// The headers that carry the trace of an item.
const (
	HeaderTraceparent = "traceparent"
	HeaderTracestate  = "tracestate"
)

const parentLength = len("00-0123456789abcdef0123456789abcdef-0123456789abcdef-00")

// Item is the trace context of one input while a stage works on it.
type Item struct {
	span    trace.Span // nil where the item is not sampled
	context trace.SpanContext
}

// Begin continues the trace of an input from its headers, or starts one: a
// missing or invalid traceparent starts a new trace. Where the trace is sampled a
// span runs from now until End.
func (t *Telemetry) Begin(ctx context.Context, stage string, traceparent, tracestate []byte, start time.Time) Item {
	parent := parse(traceparent, tracestate)
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

// parse reads the headers of a record: https://www.w3.org/TR/trace-context/. OpenTelemetry's own reader answers with a
// context, which was most of the objects that a record cost.
func parse(traceparent, tracestate []byte) trace.SpanContext {
	p := traceparent
	if len(p) < parentLength || p[2] != '-' || p[35] != '-' || p[52] != '-' {
		return trace.SpanContext{}
	}
	cfg, version, flags := trace.SpanContextConfig{Remote: true}, []byte{0}, []byte{0}
	for _, part := range []struct{ to, from []byte }{{version, p[:2]}, {cfg.TraceID[:], p[3:35]}, {cfg.SpanID[:], p[36:52]}, {flags, p[53:55]}} {
		if _, err := hex.Decode(part.to, part.from); err != nil {
			return trace.SpanContext{}
		}
	}
	if version[0] == 0xff || version[0] == 0 && len(p) > parentLength { // later versions may have more
		return trace.SpanContext{}
	}
	cfg.TraceFlags = trace.TraceFlags(flags[0]) & (trace.FlagsSampled | trace.FlagsRandom)
	cfg.TraceState, _ = trace.ParseTraceState(string(tracestate)) // the trace goes on without it
	return trace.NewSpanContext(cfg)
}

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
