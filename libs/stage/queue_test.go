package stage

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/freshet-io/freshet/libs/record"
)

func TestRecord_isToBeEmbeddedAgainWhereItsLastHeaderSaysTrue(t *testing.T) {
	for _, tt := range []struct {
		values []string
		want   bool
	}{{nil, false}, {[]string{"true"}, true}, {[]string{"false"}, false}, {[]string{"true", ""}, false}, {[]string{"", "true"}, true}} {
		r := &kgo.Record{}
		for _, v := range tt.values {
			r.Headers = append(r.Headers, kgo.RecordHeader{Key: record.HeaderForce, Value: []byte(v)})
		}
		if got := toRecord(arrival{Record: r}).Force; got != tt.want {
			t.Errorf("%q: %v", tt.values, got)
		}
	}
}
