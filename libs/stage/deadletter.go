package stage

import (
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/freshet-io/freshet/libs/fault"
)

// Headers of a dead letter. The first group are the names that Kafka Connect uses,
// so that tools for its dead letters read ours. FORMAT.md in libs/record has them all.
const (
	HeaderErrorTopic     = "__connect.errors.topic"
	HeaderErrorPartition = "__connect.errors.partition"
	HeaderErrorOffset    = "__connect.errors.offset"
	HeaderErrorText      = "__connect.errors.exception.message"
	headerErrorStage     = "__connect.errors.stage"
	headerErrorClass     = "__connect.errors.class.name"

	HeaderReason         = "freshet-dlq-reason"
	HeaderLetterStage    = "freshet-dlq-stage"
	HeaderLetterVersion  = "freshet-dlq-version"
	HeaderItemKey        = "freshet-dlq-item-key"
	headerAttempts       = "freshet-dlq-attempts"
	headerFirstFailedAt  = "freshet-dlq-first-failed-at"
	headerHTTPStatus     = "freshet-dlq-http-status"
	headerServiceVersion = "freshet-dlq-service-version"
	headerSourceOrder    = "freshet-dlq-source-order"
	HeaderTruncated      = "freshet-dlq-truncated"
)

const (
	maxErrorText = 1000
	// leastLetter is the smallest size, in bytes, to which a letter is cut.
	leastLetter = 8 << 10
	// headerFrame is what a header takes beside its name and value, at most.
	headerFrame = 10
)

// deadLetter is what is known of an input that failed.
type deadLetter struct {
	stage          string
	topic          string
	partitions     int32
	limit          int // bytes that the topic takes
	serviceVersion string
	facts          Facts
	tries          int
	failedAt       time.Time // zero: now
	err            error
}

// of returns the letter: the input's key, value and headers unchanged, and why.
func (d deadLetter) of(r *kgo.Record) *kgo.Record {
	// An eighth each, at most, for the key, its copy among the headers and the producer's
	// headers; a quarter for our own and the batch's frame. The value has the rest.
	part := d.limit / 8
	key, value, cut := r.Key, r.Value, 0
	if len(key) > part {
		key = key[:part]
	}
	if len(d.facts.ItemKey) > part {
		d.facts.ItemKey = nil
	}
	room := d.limit - len(key) - len(d.facts.ItemKey) - min(part, maxHeaderBytes) - min(2*part, maxOwnBytes)
	if len(value) > room {
		value, cut = value[:room], len(value)
	}
	letter := &kgo.Record{
		Topic: d.topic, Partition: r.Partition % d.partitions, Key: key, Value: value,
		Headers: boundHeaders(r.Headers, min(part, maxHeaderBytes)),
	}
	reason := string(fault.ReasonOf(d.err))
	add := func(key, value string) {
		if value != "" {
			letter.Headers = append(letter.Headers, kgo.RecordHeader{Key: key, Value: []byte(value)})
		}
	}
	add(HeaderErrorTopic, r.Topic)
	add(HeaderErrorPartition, strconv.Itoa(int(r.Partition)))
	add(HeaderErrorOffset, strconv.FormatInt(r.Offset, 10))
	add(headerErrorStage, d.stage)
	add(headerErrorClass, "freshet."+reason)
	add(HeaderErrorText, bound(d.err.Error(), maxErrorText))
	add(HeaderReason, reason)
	add(HeaderLetterStage, d.stage)
	add(headerAttempts, strconv.Itoa(d.tries))
	add(headerFirstFailedAt, d.firstFailed().UTC().Format(time.RFC3339Nano))
	add(headerHTTPStatus, nonZero(int64(fault.StatusOf(d.err))))
	add(HeaderLetterVersion, nonZero(d.facts.Version))
	add(headerServiceVersion, d.serviceVersion)
	add(HeaderItemKey, string(d.facts.ItemKey))
	add(headerSourceOrder, d.facts.SourceOrder)
	add(HeaderTruncated, nonZero(int64(cut)))
	return letter
}

func (d deadLetter) firstFailed() time.Time {
	if d.failedAt.IsZero() {
		return time.Now()
	}
	return d.failedAt
}

func nonZero(n int64) string {
	if n == 0 {
		return ""
	}
	return strconv.FormatInt(n, 10)
}

func bound(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return s[:n]
}

const (
	maxHeaderBytes = 32 << 10 // of a producer's headers in a letter
	maxOwnBytes    = 16 << 10 // of ours, far more than they are
)

// boundHeaders keeps a producer's headers as far as they fit: the first ones.
func boundHeaders(headers []kgo.RecordHeader, limit int) []kgo.RecordHeader {
	size := 0
	for i, h := range headers {
		if size += len(h.Key) + len(h.Value) + headerFrame; size > limit {
			return append([]kgo.RecordHeader(nil), headers[:i]...)
		}
	}
	return append([]kgo.RecordHeader(nil), headers...)
}
