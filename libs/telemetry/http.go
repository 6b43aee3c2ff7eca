package telemetry

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// Traced has a span of the route's name run while the handler answers a request. It continues the client's trace.
// What is measured besides is HTTPAnswered's: otelhttp labels by the Host header, which is the client's to choose.
//
// Of the request the span knows the method and the route alone: the path has ids, and the client's address, program and headers
// are a person's.
func (t *Telemetry) Traced(route string, h http.Handler) http.Handler {
	traced := t.traced(route, http.HandlerFunc(func(w http.ResponseWriter, bare *http.Request) {
		whole, _ := bare.Context().Value(wholeRequest{}).(*http.Request) // set below
		h.ServeHTTP(w, whole.WithContext(bare.Context()))
	}))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		bare := &http.Request{Method: r.Method, URL: &url.URL{Path: route}, Proto: r.Proto, Header: http.Header{}, Body: http.NoBody}
		for _, name := range []string{HeaderTraceparent, HeaderTracestate} {
			if value := r.Header.Get(name); value != "" {
				bare.Header.Set(name, value)
			}
		}
		traced.ServeHTTP(w, bare.WithContext(context.WithValue(r.Context(), wholeRequest{}, r)))
	})
}

type wholeRequest struct{}

func (t *Telemetry) traced(route string, h http.Handler) http.Handler {
	return otelhttp.NewHandler(h, route,
		otelhttp.WithTracerProvider(t.tracers), otelhttp.WithMeterProvider(noop.NewMeterProvider()), otelhttp.WithPropagators(propagation.TraceContext{}),
		otelhttp.WithSpanNameFormatter(func(route string, _ *http.Request) string { return route }))
}

// Traceparent returns the trace of ctx as a record's header carries it, "" where there is none.
func Traceparent(ctx context.Context) string {
	span := trace.SpanContextFromContext(ctx)
	if !span.IsValid() {
		return ""
	}
	return string(appendParent(nil, span.TraceID(), span.SpanID(), span.IsSampled()))
}

// HTTPAnswered records one request that was answered. route and status are of short lists.
func (x *Metrics) HTTPAnswered(ctx context.Context, route, status string, d time.Duration) {
	x.http.Record(ctx, d.Seconds(), x.labelled("route", route, "status", status))
}
