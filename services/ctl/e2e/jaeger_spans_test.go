package e2e_test

import (
	"context"
	"encoding/json"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/freshet-io/freshet/libs/fake/local"
)

// backend asks Jaeger.
type backend struct {
	t     *testing.T
	query string
}

type link struct {
	TraceID string `json:"traceId"`
	SpanID  string `json:"spanId"`
}

type jaegerSpan struct {
	SpanID       string `json:"spanId"`
	ParentSpanID string `json:"parentSpanId"`
	Name         string `json:"name"`
	Begins       string `json:"startTimeUnixNano"`
	Ends         string `json:"endTimeUnixNano"`
	Links        []link `json:"links"`
}

func (s jaegerSpan) begins() time.Time { return nano(s.Begins) }
func (s jaegerSpan) ends() time.Time   { return nano(s.Ends) }

func nano(text string) time.Time {
	n, _ := strconv.ParseInt(text, 10, 64)
	return time.Unix(0, n)
}

func (b backend) ask(path string, out any) error {
	ctx, cancel := context.WithTimeout(b.t.Context(), 20*time.Second)
	defer cancel()
	return local.Ask(ctx, "jaeger", b.query+path, "", out)
}

// trace returns the spans of a trace, the root first and the others in the order of time; none where there is no trace.
func (b backend) trace(id string) (spans []jaegerSpan) {
	b.t.Helper()
	var answer struct {
		Result struct {
			ResourceSpans []struct {
				ScopeSpans []struct {
					Spans []jaegerSpan `json:"spans"`
				} `json:"scopeSpans"`
			} `json:"resourceSpans"`
		} `json:"result"`
	}
	if err := b.ask("/api/v3/traces/"+id, &answer); err != nil && !strings.Contains(err.Error(), "404") {
		b.t.Fatal(err)
	}
	for _, resource := range answer.Result.ResourceSpans {
		for _, scope := range resource.ScopeSpans {
			spans = append(spans, scope.Spans...)
		}
	}
	slices.SortStableFunc(spans, func(a, b jaegerSpan) int {
		if order := a.begins().Compare(b.begins()); order != 0 {
			return order
		}
		return b.ends().Compare(a.ends())
	})
	return spans
}

// find returns the ids of a service's traces with the tags.
func (b backend) find(service string, tags map[string]string) (ids []string) {
	b.t.Helper()
	text, err := json.Marshal(tags)
	if err != nil {
		b.t.Fatal(err)
	}
	var answer struct {
		Data []struct {
			TraceID string `json:"traceID"`
		} `json:"data"`
	}
	if err := b.ask("/api/traces?limit=100&lookback=1h&service="+service+"&tags="+url.QueryEscape(string(text)), &answer); err != nil {
		b.t.Fatal(err)
	}
	for _, trace := range answer.Data {
		ids = append(ids, trace.TraceID)
	}
	return ids
}
