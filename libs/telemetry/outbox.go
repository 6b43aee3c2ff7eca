package telemetry

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/metric"
	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	resourcepb "go.opentelemetry.io/proto/otlp/resource/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"golang.org/x/time/rate"
	"google.golang.org/protobuf/proto"
)

const (
	// outboxTraces and outboxBytes bound what waits for the collector: an item's trace has about 1 kB, and a batch's, with a
	// link to each of its items, up to 50. In memory it is five times as much.
	outboxTraces = 4096
	outboxBytes  = 8 << 20
	// exportTraces and exportBytes are how much goes at once: well below the 4 MB that collectors take.
	exportTraces = 256
	exportBytes  = 2 << 20
	// exportAfter is how long the first of them waits for others: what is committed and not exported is lost with the
	// process that is killed meanwhile.
	exportAfter = 50 * time.Millisecond
	// burst is for how long the budget may be saved, so that a short incident is told whole.
	burst = time.Minute
)

// outbox exports whole traces. The SDK's own processor has a queue of spans: where that is full, or the process ends
// meanwhile, halves of traces stay behind.
type outbox struct {
	client  otlptrace.Client
	version string
	budget  *rate.Limiter
	traces  chan *Trace
	bytes   atomic.Int64 // of those
	stop    chan struct{}
	stopped chan struct{}
	told    atomic.Int64
	dropped struct {
		budget atomic.Int64 // more slow items and dead letters than the setting allows
		queue  atomic.Int64 // the collector takes less than there is
		export atomic.Int64 // the collector has not taken them
	}
}

func newOutbox(ctx context.Context, client otlptrace.Client, version string, perSecond float64, m *Metrics) (*outbox, error) {
	o := &outbox{
		client: client, version: version, budget: rate.NewLimiter(rate.Limit(perSecond), int(perSecond*burst.Seconds())),
		traces: make(chan *Trace, outboxTraces), stop: make(chan struct{}), stopped: make(chan struct{}),
	}
	if err := o.publish(m); err != nil {
		return nil, err
	}
	go o.run(context.WithoutCancel(ctx))
	return o, nil
}

func (o *outbox) publish(m *Metrics) error {
	_, told := m.meter.Int64ObservableCounter("freshet.traces.exported", metric.WithDescription("Traces of items and batches that the collector has taken."),
		metric.WithInt64Callback(func(_ context.Context, observer metric.Int64Observer) error {
			observer.Observe(o.told.Load())
			return nil
		}))
	_, dropped := m.meter.Int64ObservableCounter("freshet.traces.dropped", metric.WithDescription("Traces that were to be told and are not, by reason: budget, queue, export."),
		metric.WithInt64Callback(func(_ context.Context, observer metric.Int64Observer) error {
			observer.Observe(o.dropped.budget.Load(), m.labelled("reason", "budget"))
			observer.Observe(o.dropped.queue.Load(), m.labelled("reason", "queue"))
			observer.Observe(o.dropped.export.Load(), m.labelled("reason", "export"))
			return nil
		}))
	return errors.Join(told, dropped)
}

// Export has a trace exported, whole or not at all, soon. It never waits.
func (t *Telemetry) Export(x *Trace) {
	if x == nil || t.outbox == nil {
		return
	}
	o, size := t.outbox, x.bytes()
	if o.bytes.Add(size) <= outboxBytes {
		select {
		case o.traces <- x:
			return
		default:
		}
	}
	o.bytes.Add(-size)
	o.dropped.queue.Add(1)
}

// bytes returns how long the trace is on its way to the collector.
func (x *Trace) bytes() (n int64) {
	for _, of := range x.spans {
		for _, span := range of.spans {
			n += int64(proto.Size(span))
		}
	}
	return n
}

func (o *outbox) run(ctx context.Context) {
	defer close(o.stopped)
	for {
		select {
		case x := <-o.traces:
			o.wait()
			o.export(ctx, o.some(x))
		case <-o.stop:
			return
		}
	}
}

// wait lets some more come that go with the first.
func (o *outbox) wait() {
	select {
	case <-time.After(exportAfter):
	case <-o.stop:
	}
}

// some returns traces that wait, beside the first, nil for none.
func (o *outbox) some(first *Trace) []*Trace {
	var some []*Trace
	size := int64(0)
	take := func(x *Trace) {
		some = append(some, x)
		size += x.bytes()
	}
	if first != nil {
		take(first)
	}
	for waiting := true; waiting && len(some) < exportTraces && size < exportBytes; {
		select {
		case x := <-o.traces:
			take(x)
		default:
			waiting = false
		}
	}
	o.bytes.Add(-size)
	return some
}

func (o *outbox) export(ctx context.Context, some []*Trace) {
	if err := o.client.UploadTraces(ctx, o.byService(some)); err != nil {
		o.dropped.export.Add(int64(len(some)))
		otel.Handle(fmt.Errorf("exporting %d traces: %w", len(some), err)) // to the log, as the SDK's exporter does
	} else {
		o.told.Add(int64(len(some)))
	}
}

func (o *outbox) byService(some []*Trace) (all []*tracepb.ResourceSpans) {
	places := map[string]*tracepb.ScopeSpans{}
	for _, x := range some {
		for _, s := range x.spans {
			if places[s.service] == nil {
				places[s.service] = &tracepb.ScopeSpans{Scope: &commonpb.InstrumentationScope{Name: scope}}
				all = append(all, &tracepb.ResourceSpans{
					Resource:   &resourcepb.Resource{Attributes: []Attribute{Text("service.name", s.service), Text("service.version", o.version)}},
					ScopeSpans: []*tracepb.ScopeSpans{places[s.service]},
				})
			}
			places[s.service].Spans = append(places[s.service].Spans, s.spans...)
		}
	}
	return all
}

// close exports what waits. ctx bounds it. It is called once.
func (o *outbox) close(ctx context.Context) error {
	close(o.stop)
	select {
	case <-o.stopped:
	case <-ctx.Done():
		return ctx.Err()
	}
	for some := o.some(nil); len(some) > 0; some = o.some(nil) {
		o.export(ctx, some)
	}
	return nil
}
