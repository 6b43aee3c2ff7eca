package e2e_test

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	tracedItems = 400
	tracedEach  = tracedItems / 100 // 1 % are delayed, in each hop
	slowAfter   = 5 * time.Second   // the default
	delay       = slowAfter + time.Second
)

// TestTraces delays 1 % of items in each hop and asks a real back end why they were slow. Every item that was slower than
// the threshold must have one whole trace there, though only 0.5 % are sampled, none two, and none a half: also when
// write is killed, and when records come again.
func TestTraces(t *testing.T) {
	if testing.Short() {
		t.Skip("needs real servers: not under -short")
	}
	otlp, query := startJaeger(t)
	ports.add(otlp, query)
	p := startProvider(t)
	r := newRig(t, options{
		brokers: startKfake(t), pipeline: paidPipeline, partitions: 6, sourcePartitions: 3,
		environ: append(p.environ("embed"), "FRESHET_TRACES_EXPORTER=otlp", "OTEL_EXPORTER_OTLP_ENDPOINT=http://"+otlp,
			"FRESHET_EMBED_OVERTAKE_AFTER=0", "FRESHET_SESSION_TIMEOUT=15s", "FRESHET_REBALANCE_TIMEOUT=60s"),
	})
	r.startAll()
	w := &traced{rig: r, provider: p, back: backend{t: t, query: "http://" + query}, items: map[int64]string{}}

	w.send(tracedItems - 5*tracedEach)
	w.settle(2 * time.Minute)
	w.delayIn("ingest")
	w.delayIn("embed")
	w.delayIn("write")
	asked := w.delayAtProvider()
	w.letOvertake()
	overtaken := w.delayAtProvider()
	w.compare()
	w.exemplarsExist()
	w.explains(asked, "embeddings")
	w.explains(overtaken, "embeddings", "queue") // the vector may be there when their documents are handled once more
	for _, id := range asked {
		for _, name := range []string{"embeddings", "write"} {
			w.linkedBothWays(w.items[id], name)
		}
	}

	before := w.spans()
	w.readAgain()
	if after := w.spans(); after != before {
		t.Errorf("records that were read again have made %d spans of %d", after, before)
	}
	w.killWrite()
	w.check()
	if p.told.Load() {
		t.Error("the provider is sent something about a trace")
	}
}

// traced is the world of the test.
type traced struct {
	*rig

	provider *provider
	back     backend
	items    map[int64]string // trace id by product
	delayed  []int64
}

// send sends some new products, each with a trace of its own of which the producer says that it is sampled, or not.
func (w *traced) send(n int) (ids []int64) {
	w.t.Helper()
	var changes []*kgo.Record
	for range n {
		id := int64(len(w.items) + 1)
		trace := fmt.Sprintf("%016x%016x", rand.Uint64(), rand.Uint64())
		change := w.envelope("c", nil, &product{ID: id, Name: fmt.Sprint("boots ", id), Description: "waterproof", Price: 10.5, Stock: 1, Seq: int(id)})
		change.Headers = append(change.Headers, kgo.RecordHeader{Key: "traceparent", Value: fmt.Appendf(nil, "00-%s-b7ad6b7169203331-0%d", trace, id%2)})
		w.items[id] = trace
		ids, changes = append(ids, id), append(changes, change)
	}
	w.rig.send(changes...)
	return ids
}

// delayIn freezes a service while items come.
func (w *traced) delayIn(service string) {
	w.t.Helper()
	if err := w.running[service].pause(); err != nil {
		w.t.Fatal(err)
	}
	w.delayed = append(w.delayed, w.send(tracedEach)...)
	<-time.After(delay)
	if err := w.running[service].resume(); err != nil {
		w.t.Fatal(err)
	}
	w.settle(2 * time.Minute)
}

// delayAtProvider has the provider keep requests waiting, and returns whose they were.
func (w *traced) delayAtProvider() []int64 {
	w.t.Helper()
	over := time.Now().Add(delay)
	w.provider.watch(func(at point) {
		if at == asked {
			<-time.After(time.Until(over))
		}
	})
	ids := w.send(tracedEach)
	w.delayed = append(w.delayed, ids...)
	w.settle(2 * time.Minute)
	w.provider.watch(nil)
	return ids
}

// letOvertake has documents go on without their vectors from now on.
func (w *traced) letOvertake() {
	w.t.Helper()
	embed := w.running["embed"]
	embed.stop()
	embed.env = append(embed.env, "FRESHET_EMBED_OVERTAKE_AFTER=500ms")
	embed.start()
	embed.awaitReady()
}

// readAgain has write read everything once more, as after a person has set its offsets back.
func (w *traced) readAgain() {
	w.t.Helper()
	w.running["write"].stop()
	ends, err := w.ends(w.t.Context(), "write")
	if err != nil {
		w.t.Fatal(err)
	}
	starts := kadm.Offsets{}
	ends.Each(func(o kadm.ListedOffset) { starts.AddOffset(o.Topic, o.Partition, 0, -1) })
	group, _ := w.group("write")
	if err := w.adm.CommitAllOffsets(w.t.Context(), group, starts); err != nil {
		w.t.Fatal(err)
	}
	w.running["write"].start()
	w.running["write"].awaitReady()
	w.settle(2 * time.Minute)
	w.running["write"].stop() // it has told all when it ends
	w.running["write"].start()
	w.running["write"].awaitReady()
}

// killWrite kills write when it has written slow items, whether it has committed them or not.
func (w *traced) killWrite() {
	w.t.Helper()
	write := w.running["write"]
	if err := write.pause(); err != nil {
		w.t.Fatal(err)
	}
	ids := w.send(tracedEach)
	<-time.After(delay)
	if err := write.resume(); err != nil {
		w.t.Fatal(err)
	}
	await(w.t, time.Minute, "the slow items are written", func() (bool, error) { return write.outcomes(`stage="write"`) >= len(ids), write.failure() })
	write.kill()
	write.start()
	write.awaitReady()
	w.settle(2 * time.Minute)
}

var tracesMetrics = regexp.MustCompile(`(?m)^freshet_(traces|items|freshness_duration|stage_rebalances|stage_retries|stage_inputs)_.*\n`)

// compare waits until each delayed item has its trace, and compares the number of traces with what write has measured.
func (w *traced) compare() {
	w.t.Helper()
	missing := w.delayed
	w.t.Cleanup(func() {
		if len(missing) > 0 {
			w.t.Logf("delayed were products %v; without a trace are %v", w.delayed, missing)
			_, page := w.running["write"].get("/metrics")
			w.t.Logf("of traces write says:\n%s", strings.Join(tracesMetrics.FindAllString(page, -1), ""))
		}
	})
	await(w.t, time.Minute, "all slow items have their traces", func() (bool, error) {
		missing = slices.DeleteFunc(slices.Clone(missing), func(id int64) bool { return len(w.back.trace(w.items[id])) > 0 })
		return len(missing) == 0, nil
	})
	slow := 0
	for id, took := range w.check() {
		if took > slowAfter {
			slow++
		} else if slices.Contains(w.delayed, id) {
			w.t.Errorf("product %d was delayed by %s and its trace is %s long", id, delay, took)
		}
	}
	if measured := w.measuredSlow(); measured != slow || slow < len(w.delayed) {
		w.t.Errorf("%d items took longer than %s, %d of %d delayed ones have a trace", measured, slowAfter, slow, len(w.delayed))
	}
	w.t.Logf("%d items, %d of them slower than %s: each has one whole trace", len(w.items), slow, slowAfter)
}

// measuredSlow returns how many items write has measured to be slower than the threshold.
func (w *traced) measuredSlow() (slow int) {
	w.t.Helper()
	_, page := w.running["write"].get("/metrics")
	for line := range strings.Lines(page) {
		series, value, _ := strings.Cut(strings.TrimSpace(line), "} ")
		if strings.HasPrefix(series, "freshet_freshness_duration_seconds_bucket{") {
			value, _, _ = strings.Cut(value, " # ") // an exemplar
			n, err := strconv.Atoi(value)
			switch {
			case err != nil:
				w.t.Fatal(err)
			case strings.HasSuffix(series, `le="+Inf"`):
				slow += n
			case strings.HasSuffix(series, `le="5"`) || strings.HasSuffix(series, `le="5.0"`):
				slow -= n
			}
		}
	}
	return slow
}

// exemplarsExist looks for the traces that the freshness of items points at.
func (w *traced) exemplarsExist() {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), http.MethodGet, "http://"+w.running["write"].log.adminAddress()+"/metrics", http.NoBody)
	if err != nil {
		w.t.Fatal(err)
	}
	req.Header.Set("Accept", "application/openmetrics-text; version=1.0.0")
	resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	page, err := io.ReadAll(resp.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	exemplars := regexp.MustCompile(`freshness_duration_seconds_bucket.* # {.*trace_id="([0-9a-f]+)"`).FindAllSubmatch(page, -1)
	for _, exemplar := range exemplars {
		if spans := w.back.trace(string(exemplar[1])); len(spans) == 0 {
			w.t.Errorf("an exemplar points at %s, which is no trace", exemplar[1])
		}
	}
	if len(exemplars) == 0 {
		w.t.Errorf("no exemplar in\n%s", page)
	}
}

// check returns how long the items took that have a trace, and fails where one has a half, or two.
func (w *traced) check() map[int64]time.Duration {
	w.t.Helper()
	took := map[int64]time.Duration{}
	for id, trace := range w.items {
		spans := w.back.trace(trace)
		if len(spans) == 0 {
			continue
		}
		root, children := spans[0], spans[1:]
		parent := ""
		if id%2 == 1 {
			parent = "b7ad6b7169203331" // the producer's, which was sampled
		}
		if root.Name != "freshet item" || root.ParentSpanID != parent {
			w.t.Errorf("product %d: the root is %s below %q", id, root.Name, root.ParentSpanID)
		}
		at := root.begins()
		for _, child := range children {
			if child.ParentSpanID != root.SpanID || !child.begins().Equal(at) {
				w.t.Errorf("product %d: %s begins %s late below %s: %v", id, child.Name, child.begins().Sub(at), child.ParentSpanID, spans)
			}
			at = child.ends()
		}
		if !root.ends().Equal(at) {
			w.t.Errorf("product %d: its spans leave out %s: %v", id, root.ends().Sub(at), spans)
		}
		took[id] = root.ends().Sub(root.begins())
	}
	return took
}

// spans counts all spans of the items.
func (w *traced) spans() (n int) {
	for _, trace := range w.items {
		n += len(w.back.trace(trace))
	}
	return n
}

// explains looks for items as an engineer does, by their ids, and at what took longest.
func (w *traced) explains(ids []int64, longest ...string) {
	w.t.Helper()
	for _, id := range ids {
		tags := map[string]string{"freshet.item.uuid": itemOf(id).UUID().String(), "freshet.outcome": "written"}
		if found := w.back.find("freshet-ingest", tags); len(found) != 1 || found[0] != w.items[id] {
			w.t.Fatalf("product %d has the trace %s: %v finds %v", id, w.items[id], tags, found)
		}
		spans := w.back.trace(w.items[id])
		got := slices.MaxFunc(spans[1:], func(a, b jaegerSpan) int { return int(a.ends().Sub(a.begins()) - b.ends().Sub(b.begins())) })
		if !slices.Contains(longest, got.Name) {
			w.t.Errorf("product %d waited for the provider: its longest span is %s, want one of %v", id, got.Name, longest)
		}
	}
}

// linkedBothWays follows a span's link to the batch that it was in and back.
func (w *traced) linkedBothWays(trace, name string) {
	w.t.Helper()
	spans := w.back.trace(trace)
	at := slices.IndexFunc(spans, func(s jaegerSpan) bool { return s.Name == name })
	if at < 0 || len(spans[at].Links) != 1 {
		w.t.Errorf("no span %s with one link: %v", name, spans)
		return
	}
	batch := w.back.trace(spans[at].Links[0].TraceID)
	if len(batch) < 2 || batch[0].SpanID != spans[at].Links[0].SpanID {
		w.t.Errorf("%s is linked to %v, which is %v", name, spans[at].Links[0], batch)
		return
	}
	if !slices.Contains(batch[0].Links, link{trace, spans[at].SpanID}) {
		w.t.Errorf("%s is linked to %s, and that to %v", name, batch[0].Name, batch[0].Links)
	}
	for _, call := range batch[1:] {
		if call.ParentSpanID != batch[0].SpanID {
			w.t.Errorf("%s is no child of %s", call.Name, batch[0].Name)
		}
	}
}
