package telemetry

import (
	"encoding/binary"
	"encoding/hex"
	"math/rand/v2"
	"sync"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// The headers that carry the trace of an item.
const (
	HeaderTraceparent = "traceparent"
	HeaderTracestate  = "tracestate"
	HeaderBatch       = "freshet-batch" // of the request that made the vector, as a traceparent; only where it is told
)

const parentLength = len("00-0123456789abcdef0123456789abcdef-0123456789abcdef-00")

// mostState bounds what is carried on of a producer's tracestate, in bytes; W3C has everybody carry 512.
const mostState = 512

// Item is the trace of one item while a stage works on it. No span of it exists before the item's way ends (Tell): each
// hop only hands on what this is. The zero Item has no trace.
type Item struct {
	trace   trace.TraceID
	parent  trace.SpanID // the producer's span where that was sampled, else root
	sampled bool         // it is told whatever comes
	state   string       // tracestate; "" for none
	batch   []byte       // header of the request that made the vector; nil for none
}

// Begin continues the trace of an input from its headers, or starts one: a missing or invalid traceparent starts a new
// trace. A producer's word, foreign, is not taken for whether the item is sampled: the trace id alone decides that, or a
// producer could fill the back end. What a stage before has said is.
func (t *Telemetry) Begin(traceparent, tracestate, batch []byte, foreign bool) Item {
	parent, ok := parse(traceparent)
	if !ok {
		parent, foreign = Item{}, true
		random(parent.trace[:])
	}
	parent.state = string(tracestate[:min(len(tracestate), mostState)])
	if !foreign {
		parent.batch = batch
		return parent
	}
	if !parent.sampled { // the producer's span is nowhere to be found
		parent.parent = root(parent.trace)
	}
	if parent.state != "" {
		state, _ := trace.ParseTraceState(parent.state) // the trace goes on without it
		parent.state = state.String()
	}
	sampled := t.sampler.ShouldSample(sdktrace.SamplingParameters{TraceID: parent.trace}).Decision == sdktrace.RecordAndSample
	parent.sampled = t.share.allows(sampled)
	return parent
}

// share bounds how many items are sampled: at most twice the ratio of them, and shareSaved more. A producer may pick ids
// that are all sampled. The id decides otherwise, and no secret of ours, so that items of a trace which the producer samples
// by the same rule are sampled with it.
type share struct {
	each float64 // that an item adds

	mu   sync.Mutex
	left float64
}

// shareSaved is how many may be sampled in a row: even random ids come in clusters.
const shareSaved = 100

// allows takes one item into account, and reports whether it is sampled.
func (s *share) allows(sampled bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.left = min(s.left+s.each, shareSaved)
	if sampled = sampled && s.left >= 1; sampled {
		s.left--
	}
	return sampled
}

// root stands for the parent of an item that is the child of no span. It is no span's id but by a chance of 2^-64.
func root(id trace.TraceID) (none trace.SpanID) {
	binary.NativeEndian.PutUint64(none[:], ^binary.NativeEndian.Uint64(id[8:]))
	return none
}

// parse reads a traceparent: https://www.w3.org/TR/trace-context/. OpenTelemetry's own reader answers with a
// context, which was most of the objects that a record cost.
func parse(p []byte) (item Item, ok bool) {
	if len(p) < parentLength || p[2] != '-' || p[35] != '-' || p[52] != '-' {
		return item, false
	}
	var version, flags [1]byte
	for _, part := range [...]struct{ to, from []byte }{{version[:], p[:2]}, {item.trace[:], p[3:35]}, {item.parent[:], p[36:52]}, {flags[:], p[53:55]}} {
		if _, err := hex.Decode(part.to, part.from); err != nil {
			return Item{}, false
		}
	}
	if version[0] == 0xff || version[0] == 0 && len(p) > parentLength { // later versions may have more
		return Item{}, false
	}
	item.sampled = trace.TraceFlags(flags[0]).IsSampled()
	return item, item.trace.IsValid() && item.parent.IsValid()
}

// random fills an id. Ids need to differ, not to be secret: the SDK's own come from there, too.
func random(id []byte) {
	for ; len(id) > 0; id = id[8:] {
		binary.NativeEndian.PutUint64(id, rand.Uint64()) //nolint:gosec // see above
	}
}

// AppendParent appends the traceparent that the next topic's record carries, of version 00:
// https://www.w3.org/TR/trace-context/#traceparent-header
func (i *Item) AppendParent(b []byte) []byte { return appendParent(b, i.trace, i.parent, i.sampled) }

func appendParent(b []byte, id trace.TraceID, parent trace.SpanID, sampled bool) []byte {
	b = append(b, "00-"...)
	b = append(hex.AppendEncode(b, id[:]), '-')
	b = append(hex.AppendEncode(b, parent[:]), '-')
	if sampled {
		return append(b, "01"...)
	}
	return append(b, "00"...)
}

// State returns the tracestate that the next topic's record carries; "" for none.
func (i *Item) State() string { return i.state }

// Batch returns the header of the request that made the vector; nil where there is none. It is the record's that it came
// with.
func (i *Item) Batch() []byte { return i.batch }
