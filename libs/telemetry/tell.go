package telemetry

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"strconv"
	"time"

	semconv "go.opentelemetry.io/otel/semconv/v1.41.0"
	"go.opentelemetry.io/otel/trace"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"

	"github.com/freshet-io/freshet/libs/fault"
	"github.com/freshet-io/freshet/libs/record"
)

// Why a trace is told.
const (
	toldSampled    = "sampled"
	toldSlow       = "slow"
	toldDeadLetter = "dead-letter"
)

// Way is how an item came to its end.
type Way struct {
	Identity
	Stamps   record.Stamps
	Ended    record.Hop // where: at the hop of the stage that its way ended in
	At       time.Time
	Arrived  bool // it reached the index
	Backfill bool // it is old on purpose, and so never slow

	Outcome string
	Err     error // of a dead letter

	// Where the record is that it ended with.
	Topic     string
	Partition int32
	Offset    int64

	Batch *Batch // that it ended in; nil for none
}

// Identity says which item, and which state of it: both stay the same on its way, so that spans can be named before they
// exist, and are named the same when the way is gone once more.
type Identity struct {
	Item    *Item
	Key     string
	Version int64
}

// Trace is the whole trace of an item, or of a batch, that is to be exported. It is nil where none is to be.
type Trace struct {
	context trace.SpanContext // of the item's root
	spans   []serviceSpans
}

type serviceSpans struct {
	service string
	spans   []*tracepb.Span
}

// Exemplar returns a context by which a measurement points at the trace, or ctx for none.
func (x *Trace) Exemplar(ctx context.Context) context.Context {
	if x == nil {
		return ctx
	}
	return trace.ContextWithSpanContext(ctx, x.context)
}

// hop is the part of an item's way that ends at a hop.
type hop struct {
	name, service string
	kind          tracepb.Span_SpanKind
}

const (
	ingest = "freshet-ingest"
	embed  = "freshet-embed"
	write  = "freshet-write"

	internal = tracepb.Span_SPAN_KIND_INTERNAL
	consumer = tracepb.Span_SPAN_KIND_CONSUMER
	client   = tracepb.Span_SPAN_KIND_CLIENT
)

var hops = [...]hop{
	record.IngestReceived: {"source lag", ingest, internal},
	record.IngestProduced: {"process", ingest, consumer},
	record.EmbedReceived:  {"queue", embed, internal},
	record.EmbedAsked:     {"batch wait", embed, internal},
	record.EmbedAnswered:  {"embeddings", embed, client},
	record.Embedded:       {"process", embed, consumer},
	record.WriteReceived:  {"queue", write, internal},
	record.Written:        {"write", write, client},
}

// noHop names the root.
const noHop = record.Hop(-1)

// span returns the id of a span of the item. It depends on nothing that differs when the item comes once more.
func (i Identity) span(of record.Hop) (id trace.SpanID) {
	h := sha256.New()
	h.Write(i.Item.trace[:])
	h.Write(binary.BigEndian.AppendUint64([]byte{byte(of)}, uint64(i.Version))) //nolint:gosec // its bits
	h.Write([]byte(i.Key))
	copy(id[:], h.Sum(nil))
	id[0] |= 1 // never zero
	return id
}

// Tells reports whether the trace of an item whose way has ended is to be told: of one that is sampled, of one that
// reached the index and took longer than Config.SlowAfter, and of a dead letter. It looks at no identity, which costs more
// to find out than nearly every item may.
func (t *Telemetry) Tells(w *Way) bool { return t.why(w) != "" }

func (t *Telemetry) why(w *Way) string {
	switch {
	case t.outbox == nil:
		return ""
	case w.Item.sampled:
		return toldSampled
	case w.Err != nil:
		return toldDeadLetter
	case w.Arrived && !w.Backfill && t.isSlow(w.At.Sub(w.Stamps.Start())):
		return toldSlow
	}
	return ""
}

// Tell returns the trace of an item whose way has ended, nil where it is not to be told, or the budget of those that are
// not sampled is used up. It is given to Export when it is certain that the item does not come again.
func (t *Telemetry) Tell(w *Way) *Trace {
	why := t.why(w)
	switch {
	case why == "":
		return nil
	case why != toldSampled && !t.outbox.budget.Allow():
		t.outbox.dropped.budget.Add(1)
		return nil
	}
	return w.trace(why)
}

func (t *Telemetry) isSlow(age time.Duration) bool { return t.slowAfter > 0 && age > t.slowAfter }

// trace returns a root and one child for each part of the way that took time.
func (w *Way) trace(why string) *Trace {
	w.Stamps.Pass(w.Ended, w.At)
	root := w.span(noHop)
	x := &Trace{context: trace.NewSpanContext(trace.SpanContextConfig{TraceID: w.Item.trace, SpanID: root, TraceFlags: trace.FlagsSampled})}
	x.add(ingest, w.root(root, why))
	from := w.Stamps.Start()
	for at := record.IngestReceived; ; at++ {
		to, ok := w.Stamps.At(at)
		if !ok {
			return x
		}
		if to.After(from) {
			span := newSpan(w.Item.trace, w.span(at), root, hops[at].name, hops[at].kind, from, to)
			span.Links = w.links(at)
			x.add(hops[at].service, span)
		}
		from = to
	}
}

func (x *Trace) add(service string, span *tracepb.Span) {
	if n := len(x.spans); n > 0 && x.spans[n-1].service == service {
		x.spans[n-1].spans = append(x.spans[n-1].spans, span)
		return
	}
	x.spans = append(x.spans, serviceSpans{service, []*tracepb.Span{span}})
}

func (w *Way) root(id trace.SpanID, why string) *tracepb.Span {
	parent := w.Item.parent
	if parent == root(w.Item.trace) {
		parent = trace.SpanID{}
	}
	span := newSpan(w.Item.trace, id, parent, "freshet item", consumer, w.Stamps.Start(), w.Stamps.Last())
	span.TraceState = told(w.Item.state)
	span.Attributes = []Attribute{
		Text("freshet.told", why), Text("freshet.outcome", w.Outcome),
		Text(string(semconv.MessagingDestinationNameKey), w.Topic), Int(string(semconv.MessagingKafkaOffsetKey), w.Offset),
		Text(string(semconv.MessagingDestinationPartitionIDKey), strconv.Itoa(int(w.Partition))),
	}
	if item, err := record.ParseKey([]byte(w.Key)); err == nil {
		span.Attributes = append(span.Attributes, Text("freshet.item.uuid", item.UUID().String()), Text("freshet.collection", item.Collection))
	}
	if w.Version > 0 {
		span.Attributes = append(span.Attributes, Int("freshet.version", w.Version))
	}
	if w.Err != nil {
		span.Status = failed(w.Err)
		span.Attributes = append(span.Attributes, Text(string(semconv.ErrorTypeKey), string(fault.ReasonOf(w.Err))))
	}
	return span
}

// links returns the batch that the item was part of there.
func (w *Way) links(at record.Hop) []*tracepb.Span_Link {
	b, ok := parse(w.Item.batch)
	switch {
	case at == record.EmbedAnswered && ok:
		return []*tracepb.Span_Link{linkTo(b.trace, b.parent)}
	case w.Batch != nil && (at == record.EmbedAnswered && w.Ended == record.Embedded || at == record.Written):
		return []*tracepb.Span_Link{linkTo(w.Batch.trace, w.Batch.span)}
	}
	return nil
}

func newSpan(id trace.TraceID, own, parent trace.SpanID, name string, kind tracepb.Span_SpanKind, from, to time.Time) *tracepb.Span {
	span := &tracepb.Span{
		TraceId: id[:], SpanId: own[:], Name: name, Kind: kind, Flags: uint32(trace.FlagsSampled),
		StartTimeUnixNano: uint64(from.UnixNano()), EndTimeUnixNano: uint64(to.UnixNano()), //nolint:gosec // after 1970
	}
	if parent.IsValid() {
		span.ParentSpanId = parent[:]
	}
	return span
}

func linkTo(id trace.TraceID, span trace.SpanID) *tracepb.Span_Link {
	return &tracepb.Span_Link{TraceId: id[:], SpanId: span[:], Flags: uint32(trace.FlagsSampled)}
}

func failed(err error) *tracepb.Status {
	return &tracepb.Status{Code: tracepb.Status_STATUS_CODE_ERROR, Message: told(err.Error())}
}
