// Package telemetry owns Freshet's metrics and traces: their names, their export,
// and the trace context that travels with an item from topic to topic.
//
// Only libs/stage and the adapters use it: no handler measures itself. It never
// puts an id, a key or a text into a label.
package telemetry

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetricgrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	otelprometheus "go.opentelemetry.io/otel/exporters/prometheus"
	"go.opentelemetry.io/otel/metric"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.40.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/freshet-io/freshet/libs/fault"
)

// mostSeries bounds how many combinations of labels an instrument has: should one hold an id by mistake, what comes after goes
// into a series otel_metric_overflow, and neither this process nor Prometheus runs out of memory.
const mostSeries = 2000

// scope is the instrumentation scope of all of Freshet's metrics and spans.
const scope = "github.com/freshet-io/freshet"

// Config says where traces go, and whether metrics go there too. Those are always served at the admin port.
type Config struct {
	Metrics       string        `ignored:"true"` // as of service.Config
	Exporter      string        `default:"none" desc:"where traces go: none, or otlp (gRPC; OTEL_EXPORTER_OTLP_ENDPOINT and its siblings say where)"`
	SampleRatio   float64       `default:"0.005" desc:"share of items whose traces are exported whatever comes of them, 0 to 1; ingest decides it, by the trace id"`
	SlowAfter     time.Duration `default:"5s" desc:"items that take longer from their source to the index have their traces exported, as dead letters have; 0 is none for slowness"`
	SlowPerSecond float64       `default:"20" desc:"bound on the traces of slow items and dead letters a second, saved up for a minute: an outage makes everything slow"`
}

// Validate reports settings that cannot be.
func (c Config) Validate() error {
	return errors.Join(
		fault.If(c.Exporter != "none" && c.Exporter != "otlp", "EXPORTER is %q: it must be none or otlp", c.Exporter),
		fault.If(c.SampleRatio < 0 || c.SampleRatio > 1, "SAMPLE_RATIO is %g: it must be 0 to 1", c.SampleRatio),
		fault.If(c.SlowAfter < 0 || c.SlowPerSecond < 0, "SLOW_AFTER %s and SLOW_PER_SECOND %g: must not be negative", c.SlowAfter, c.SlowPerSecond),
	)
}

// Telemetry makes instruments and spans. Close it to flush what is buffered.
type Telemetry struct {
	Metrics *Metrics
	Meters  metric.MeterProvider // for libraries that measure themselves

	tracers   trace.TracerProvider // of what clients see: answers over HTTP
	sampler   sdktrace.Sampler
	share     share // of items that are sampled
	slowAfter time.Duration
	outbox    *outbox // of items and batches; nil where traces go nowhere
	registry  *prometheus.Registry
	close     []func(context.Context) error // the last one first
}

// New starts the telemetry of a process. service is the value of service.name.
func New(ctx context.Context, cfg Config, service, version string) (*Telemetry, error) {
	res := resource.NewSchemaless(semconv.ServiceName(service), semconv.ServiceVersion(version))
	t := &Telemetry{registry: prometheus.NewRegistry(), slowAfter: cfg.SlowAfter}
	t.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))

	reader, err := otelprometheus.New(otelprometheus.WithRegisterer(t.registry), otelprometheus.WithoutScopeInfo())
	if err != nil {
		return nil, fmt.Errorf("making the metrics reader: %w", err)
	}
	readers := []sdkmetric.Option{sdkmetric.WithReader(reader)}
	if cfg.Metrics == "otlp" {
		exporter, err := otlpmetricgrpc.New(ctx)
		if err != nil {
			return nil, fmt.Errorf("making the metrics exporter: %w", err)
		}
		readers = append(readers, sdkmetric.WithReader(sdkmetric.NewPeriodicReader(exporter)))
	}
	meters := sdkmetric.NewMeterProvider(append(readers, sdkmetric.WithResource(res), sdkmetric.WithCardinalityLimit(mostSeries))...)
	t.close = append(t.close, meters.Shutdown)
	t.Meters = meters
	if t.Metrics, err = newMetrics(meters.Meter(scope)); err != nil {
		return nil, errors.Join(fmt.Errorf("making the instruments: %w", err), t.Close(ctx))
	}

	// Only the trace id decides: a producer's sampled flag would let it fill the back end.
	t.sampler = sdktrace.TraceIDRatioBased(cfg.SampleRatio)
	t.share = share{each: 2 * cfg.SampleRatio, left: shareSaved}
	options := []sdktrace.TracerProviderOption{sdktrace.WithResource(res), sdktrace.WithSampler(t.sampler)}
	if cfg.Exporter == "otlp" {
		client := otlptracegrpc.NewClient()
		exporter, err := otlptrace.New(ctx, client)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("making the span exporter: %w", err), t.Close(ctx))
		}
		options = append(options, sdktrace.WithBatcher(exporter))
		if t.outbox, err = newOutbox(ctx, client, version, cfg.SlowPerSecond, t.Metrics); err != nil {
			return nil, errors.Join(fmt.Errorf("making the instruments of traces: %w", err), exporter.Shutdown(ctx), t.Close(ctx))
		}
	}
	tracers := sdktrace.NewTracerProvider(options...)
	t.tracers = tracers
	t.close = append(t.close, tracers.Shutdown)
	if t.outbox != nil {
		t.close = append(t.close, t.outbox.close)
	}
	return t, nil
}

// Handler serves the metrics in the Prometheus and OpenMetrics formats.
func (t *Telemetry) Handler() http.Handler {
	return promhttp.HandlerFor(t.registry, promhttp.HandlerOpts{EnableOpenMetrics: true})
}

// Close flushes spans and stops the providers.
func (t *Telemetry) Close(ctx context.Context) error {
	var errs []error
	for _, c := range slices.Backward(t.close) {
		errs = append(errs, c(ctx))
	}
	return errors.Join(errs...)
}
