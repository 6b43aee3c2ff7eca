package redis

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/freshet-io/freshet/libs/fault"
	"github.com/freshet-io/freshet/libs/kafka"
	"github.com/freshet-io/freshet/libs/pipeline"
	"github.com/freshet-io/freshet/libs/record"
)

// entry is one entry of a stream.
type entry struct {
	id     string
	fields []string // name and value in turn; a name may stand twice
}

// field returns the value of a field, of two of one name the first.
func (e entry) field(name string) (value string, found bool) {
	for i := 0; i+1 < len(e.fields); i += 2 {
		if e.fields[i] == name {
			return e.fields[i+1], true
		}
	}
	return "", false
}

// raw returns the record of an entry. One that can be none says why in a header, and ingest makes a dead letter of it: so
// it has its place among the others, and counts where too many cannot be read.
func (e entry) raw(feed pipeline.Feed, limit int, now time.Time) kafka.Raw {
	var r kafka.Raw
	r.With(record.HeaderRedisStream, []byte(feed.Stream))
	r.With(record.HeaderRedisID, []byte(e.id))
	if at, told := e.time(now); told {
		stamps := record.NewStamps(at)
		r.With(record.HeaderStamps, stamps.Append(nil))
	}
	value, found := e.field(feed.Value)
	switch {
	case feed.Value == "":
		r.Value = e.row()
	case found:
		r.Value = []byte(value)
	default:
		r.Value = e.row()
		r.With(record.HeaderFault, fmt.Appendf(nil, "%s: the entry has no field %s, which source.redis.value names", fault.FormatMismatch, feed.Value))
	}
	if key, found := e.field(feed.Key); found && feed.Key != "" {
		r.Key = []byte(key)
	}
	if size := r.Size(); size > limit {
		r.With(record.HeaderFault, fmt.Appendf(nil, "%s: the entry makes a record of %d bytes, and topic %s takes %d: raise its max.message.bytes", fault.Oversize, size, feed.Topic, limit))
		r.Key = r.Key[:min(len(r.Key), limit/4)]
		r.Value = r.Value[:max(0, len(r.Value)-max(0, r.Size()-limit))]
	}
	return r
}

// row returns the fields as an object of JSON, in their order. A text that is not UTF-8 is not made so: ingest refuses it.
func (e entry) row() []byte {
	b := []byte{'{'}
	for i := 0; i+1 < len(e.fields); i += 2 {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(appendText(b, e.fields[i]), ':')
		b = appendText(b, e.fields[i+1])
	}
	return append(b, '}')
}

func appendText(b []byte, s string) []byte {
	if quoted, err := json.Marshal(s); err == nil && utf8.ValidString(s) {
		return append(b, quoted...)
	}
	return append(append(append(b, '"'), s...), '"')
}

// epoch is before any Redis had streams: an id below it was not made of a clock.
var epoch = time.Date(2018, 1, 1, 0, 0, 0, 0, time.UTC)

// time returns when the entry was added, where its id tells: Redis makes ids of milliseconds, unless the producer does.
func (e entry) time(now time.Time) (time.Time, bool) {
	text, _, _ := strings.Cut(e.id, "-")
	ms, err := strconv.ParseInt(text, 10, 64)
	at := time.UnixMilli(ms)
	return at, err == nil && at.After(epoch) && at.Before(now.Add(time.Minute))
}
