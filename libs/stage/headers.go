package stage

import (
	"slices"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/freshet-io/freshet/libs/record"
	"github.com/freshet-io/freshet/libs/telemetry"
)

// headers makes the headers of a batch's outputs in two arrays: made one by one, they
// were half of all that the runtime allocates.
type headers struct {
	list  []kgo.RecordHeader
	bytes []byte
}

const (
	headersEach = 4  // and 5 where the request for the vector is told
	bytesEach   = 96 // stamps of all hops and a traceparent
)

// All records share them: the client only reads headers.
var schema, contentType = []byte(record.Schema), []byte(record.ContentType)

// newHeaders has room for those of so many outputs.
func newHeaders(outputs int) *headers {
	return &headers{list: make([]kgo.RecordHeader, 0, outputs*headersEach), bytes: make([]byte, 0, outputs*bytesEach)}
}

// of returns the headers of an output. batch is that of the request for its vector, nil for none.
func (h *headers) of(stamps *record.Stamps, trace *telemetry.Item, batch []byte) []kgo.RecordHeader {
	first := len(h.list)
	h.list = append(h.list,
		kgo.RecordHeader{Key: record.HeaderSchema, Value: schema},
		kgo.RecordHeader{Key: record.HeaderContentType, Value: contentType},
		kgo.RecordHeader{Key: record.HeaderStamps, Value: h.value(stamps.Append)},
		kgo.RecordHeader{Key: telemetry.HeaderTraceparent, Value: h.value(trace.AppendParent)},
	)
	if state := trace.State(); state != "" {
		h.list = append(h.list, kgo.RecordHeader{Key: telemetry.HeaderTracestate, Value: []byte(state)})
	}
	if batch != nil {
		h.list = append(h.list, kgo.RecordHeader{Key: telemetry.HeaderBatch, Value: batch})
	}
	return slices.Clip(h.list[first:])
}

// value returns what is appended, and nothing that follows it.
func (h *headers) value(appended func([]byte) []byte) []byte {
	first := len(h.bytes)
	h.bytes = appended(h.bytes)
	return slices.Clip(h.bytes[first:])
}
