package intake_test

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/freshet-io/freshet/libs/fault"
	"github.com/freshet-io/freshet/services/ingest/intake"
)

const cup = `{"id":"p9","seq":17,"name":"Cup"}`

func TestRequests_areWrittenWithTheKeyOfTheirItem(t *testing.T) {
	for name, test := range map[string]struct {
		method, path, body, media string
		want                      string // topic, key and value
	}{
		"a row": {"POST", "/v1/items?source=products", cup, ndjson, `shop.items {"id":"p9"} ` + cup},
		"rows of one item, told in several ways": {
			"POST", "/v1/items?source=products", "{\"id\":9,\"seq\":1,\"name\":\"A\"}\r\n\n  {\"name\":\"B\",\"id\":\"9\",\"seq\":2}", ndjson,
			"shop.items {\"id\":\"9\"} {\"id\":9,\"seq\":1,\"name\":\"A\"}\nshop.items {\"id\":\"9\"} {\"name\":\"B\",\"id\":\"9\",\"seq\":2}",
		},
		"a row of a tenant":        {"POST", "/v1/items?source=tenants", `{"sku":1,"shop":7,"name":"A"}`, ndjson, `shop.tenants {"shop":"7","sku":"1"} {"sku":1,"shop":7,"name":"A"}`},
		"a row of a composite id":  {"POST", "/v1/items?source=pairs", `{"b":2,"a":"x","name":"A"}`, "application/ndjson", `shop.pairs {"a":"x","b":"2"} {"b":2,"a":"x","name":"A"}`},
		"a row that is a delete":   {"POST", "/v1/items?source=products", `{"id":0,"seq":3,"__deleted":true}`, ndjson, `shop.items {"id":"0"} {"id":0,"seq":3,"__deleted":true}`},
		"one item":                 {"PUT", "/v1/items/p9?source=products", ` {"seq":17,"name":"Cup"} `, "application/json", `shop.items {"id":"p9"} {"id":"p9","seq":17,"name":"Cup"}`},
		"one item that has its id": {"PUT", "/v1/items/9?source=products", `{"id":9,"seq":17,"name":"Cup"}`, "application/json; charset=utf-8", `shop.items {"id":"9"} {"id":9,"seq":17,"name":"Cup"}`},
		"one item of a path's signs": {
			"PUT", "/v1/items/a%2Fb%20%22%E4%B8%AD?source=tenants", `{"shop":"s","name":"A"}`, "application/json",
			`shop.tenants {"shop":"s","sku":"a/b \"中"} {"sku":"a/b \"中","shop":"s","name":"A"}`,
		},
		"a delete":             {"DELETE", "/v1/items/p9?source=products&seq=18", "", "", `shop.items {"id":"p9"} {"__deleted":"true","id":"p9","seq":"18"}`},
		"a delete of a tenant": {"DELETE", "/v1/items/p9?source=tenants&tenant=s", "", "", `shop.tenants {"shop":"s","sku":"p9"} {"__deleted":"true","shop":"s","sku":"p9"}`},
		"an event with its key": {
			"POST", "/v1/sources/cdc/events", `{"key":{"id":1},"value":{"op":"c","before":null,"after":{"id":1,"name":"A"}}}`, ndjson,
			`shop.cdc {"id":1} {"op":"c","before":null,"after":{"id":1,"name":"A"}}`,
		},
		"an event without key":        {"POST", "/v1/sources/cdc/events", `{"op":"c","before":null,"after":{"id":1,"name":"A","value":2}}`, ndjson, `shop.cdc  {"op":"c","before":null,"after":{"id":1,"name":"A","value":2}}`},
		"an event of text and base64": {"POST", "/v1/sources/cdc/events", `{"key":"A-1","value_base64":"eyJvcCI6ImQiLCJiZWZvcmUiOm51bGwsImFmdGVyIjpudWxsfQ=="}`, ndjson, `shop.cdc A-1 {"op":"d","before":null,"after":null}`},
		"a tombstone":                 {"POST", "/v1/sources/cdc/events", `{"key":{"id":1},"value":null}`, ndjson, `shop.cdc {"id":1} `},
		"a heartbeat":                 {"POST", "/v1/sources/cdc/events", `{"ts_ms":1}`, ndjson, `shop.cdc  {"ts_ms":1}`},
		"no line":                     {"POST", "/v1/items?source=products", "\n", ndjson, ""},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBed(t)
			status, answer, _ := b.ask(t, request(t, test.method, test.path, test.body, "Content-Type", test.media))
			if got := b.sink.all(); status != http.StatusOK || got != test.want || answer.Failed != 0 || answer.Items == nil {
				t.Errorf("%d %+v, written\n%s, want\n%s", status, answer, got, test.want)
			}
		})
	}
}

func TestRequests_areRefusedWithNothingWritten(t *testing.T) {
	for name, test := range map[string]struct {
		method, path, body string
		headers            []string
		status             int
		code               string
	}{
		"no token":                   {"POST", "/v1/items?source=products", cup, []string{"Authorization", ""}, 401, "unauthorized"},
		"another token":              {"POST", "/v1/items?source=products", cup, []string{"Authorization", "Bearer " + token + "x"}, 401, "unauthorized"},
		"another scheme":             {"POST", "/v1/items?source=products", cup, []string{"Authorization", "Basic " + token}, 401, "unauthorized"},
		"nothing there":              {"GET", "/v2", "", nil, 404, "not-found"},
		"an empty id":                {"DELETE", "/v1/items/?source=products", "", nil, 404, "not-found"},
		"another method":             {"GET", "/v1/items", "", nil, 405, "method-not-allowed"},
		"no source where four are":   {"POST", "/v1/items", cup, nil, 400, "no-source"},
		"an unknown source":          {"POST", "/v1/items?source=x", cup, nil, 404, "unknown-source"},
		"unknown source's events":    {"POST", "/v1/sources/x/events", cup, nil, 404, "unknown-source"},
		"items of a source of CDC":   {"POST", "/v1/items?source=cdc", cup, nil, 404, "no-items"},
		"a path to half an id":       {"DELETE", "/v1/items/1?source=pairs", "", nil, 404, "composite-id"},
		"an id that is no text":      {"DELETE", "/v1/items/%FF?source=products&seq=1", "", nil, 422, "malformed"},
		"a form":                     {"POST", "/v1/items?source=products", cup, []string{"Content-Type", "application/x-www-form-urlencoded"}, 415, "unsupported-type"},
		"no type":                    {"POST", "/v1/items?source=products", cup, []string{"Content-Type", ""}, 415, "unsupported-type"},
		"another packing":            {"POST", "/v1/items?source=products", cup, []string{"Content-Encoding", "br"}, 415, "unsupported-encoding"},
		"no gzip":                    {"POST", "/v1/items?source=products", cup, []string{"Content-Encoding", "gzip"}, 400, "bad-encoding"},
		"no zstd":                    {"POST", "/v1/items?source=products", cup, []string{"Content-Encoding", "zstd"}, 400, "bad-encoding"},
		"gzip cut short":             {"POST", "/v1/items?source=products", pack(t, "gzip", cup)[:30], []string{"Content-Encoding", "gzip"}, 400, "bad-encoding"},
		"too many lines":             {"POST", "/v1/items?source=products", strings.Repeat("\n", intake.MaxLines) + "x", nil, 413, "too-many-lines"},
		"another id than the path's": {"PUT", "/v1/items/8?source=products", cup, []string{"Content-Type", "application/json"}, 422, "other-id"},
		"no object":                  {"PUT", "/v1/items/8?source=products", "[]", []string{"Content-Type", "application/json"}, 422, "malformed"},
		"a seq that is none":         {"DELETE", "/v1/items/8?source=products&seq=-1", "", nil, 422, ""},
		"a seq without an order":     {"DELETE", "/v1/items/8?source=tenants&tenant=s&seq=1", "", nil, 400, "no-seq"},
		"a row's id that is cut":     {"PUT", "/v1/items/8?source=products", `{"id":"\ud8"`, []string{"Content-Type", "application/json"}, 422, "other-id"},
		"a tenant that is no text":   {"DELETE", "/v1/items/8?source=tenants&tenant=%FF", "", nil, 422, "malformed"},
		"a tenant without tenants":   {"DELETE", "/v1/items/8?source=products&seq=1&tenant=s", "", nil, 400, "no-tenant"},
		"a failing line, all alone":  {"POST", "/v1/items?source=products", `{"seq":1}`, nil, 422, ""},
		"a nested event":             {"POST", "/v1/sources/cdc/events", strings.Repeat("[", 1<<20), nil, 422, ""},
		"an event that is not UTF-8": {"POST", "/v1/sources/cdc/events", "{\"key\":{\"id\":1},\"value\":\"{\\\"op\\\":\\\"c\\\",\\\"before\\\":null,\\\"after\\\":{\\\"id\\\":1,\\\"name\\\":\\\"\xff\\\"}}\"}", nil, 422, ""},
		"an event of half a pair":    {"POST", "/v1/sources/cdc/events", `{"key":"\ud800","value":{"op":"d","before":null,"after":null}}`, nil, 422, ""},
		"a delete without its seq":   {"DELETE", "/v1/items/8?source=products", "", nil, 400, "missing-seq"},
		"a delete without tenant":    {"DELETE", "/v1/items/8?source=tenants", "", nil, 400, "missing-tenant"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBed(t)
			status, answer, header := b.ask(t, request(t, test.method, test.path, test.body, test.headers...))
			if status != test.status || answer.Code != test.code || answer.Accepted != 0 || b.sink.all() != "" {
				t.Errorf("%d %+v, written %q", status, answer, b.sink.all())
			}
			if status == http.StatusUnauthorized && header.Get("WWW-Authenticate") != "Bearer" {
				t.Errorf("headers %v", header)
			}
			if status == http.StatusMethodNotAllowed && header.Get("Allow") != "POST" {
				t.Errorf("headers %v", header)
			}
			if got := b.gauge(t); got != "0" {
				t.Errorf("%s bytes are still held", got)
			}
		})
	}
}

// bad lines, and what is told of each.
var bad = []struct {
	line, id, code string
	status         int
}{
	{`x`, "", "malformed", 422},
	{`[]`, "", "malformed", 422},
	{`null`, "", "malformed", 422},
	{`"text"`, "", "malformed", 422},
	{`{`, "", "malformed", 422},
	{`{"id":1,"seq":1,"name":"a"`, "1", "malformed", 422},
	{`{"id":1,"seq":1,"name":"a"} {}`, "1", "malformed", 422},
	{"{\"id\":1,\"seq\":1,\"name\":\"\xff\"}", "1", "malformed", 422},
	{strings.Repeat(`{"a":`, 100) + "1" + strings.Repeat("}", 100), "", "malformed", 422},
	{`{"seq":1,"name":"a"}`, "", "missing-id", 422},
	{`{"id":null,"seq":1,"name":"a"}`, "", "missing-id", 422},
	{`{"id":"","seq":1,"name":"a"}`, "", "missing-id", 422},
	{`{"id":[1],"seq":1,"name":"a"}`, "", "missing-id", 422},
	{`{"id":1,"name":"a"}`, "1", "missing-id", 422},
	{`{"id":2,"seq":"later","name":"a"}`, "2", "missing-id", 422},
	{`{"id":3,"seq":-1,"name":"a"}`, "3", "missing-id", 422},
	{`{"id":4,"seq":1.5,"name":"a"}`, "4", "missing-id", 422},
	{`{"id":5,"seq":1}`, "5", "missing-text", 422},
	{`{"id":6,"seq":1,"name":""}`, "6", "missing-text", 422},
	{`{"id":7,"seq":1,"name":"a","price":"cheap"}`, "7", "field-type", 422},
	{`{"id":8,"seq":1,"name":"a","price":1e999999999}`, "8", "field-type", 422},
	{`{"op":"c","before":null,"after":{"id":1}}`, "", "format-mismatch", 422},
	{`{"payload":null}`, "", "format-mismatch", 422},
	{`{"ts_ms":1}`, "", "format-mismatch", 422},
	{`{"id":9,"seq":1,"name":"` + strings.Repeat("a", intake.MaxLineBytes) + `"}`, "", "oversize", 413},
	{`{"id":10,"seq":1,"name":"huge"}`, "10", "oversize", 413}, // for its topic, as the sink says
}

func TestBadLines_failAlone(t *testing.T) {
	b := newBed(t)
	b.sink.reject = fault.Reject(fault.Oversize, "the change is larger than its topic takes")
	var lines []string
	for i, l := range bad {
		lines = append(lines, l.line, fmt.Sprintf(`{"id":"good-%d","seq":%d,"name":"Cup"}`, i, i))
	}
	status, answer, _ := b.ask(t, request(t, "POST", "/v1/items?source=products", strings.Join(lines, "\n")))
	if status != http.StatusOK || answer.Accepted != len(bad) || answer.Failed != len(bad) || len(answer.Items) != len(bad) {
		t.Fatalf("%d, %d accepted, %d failed: %+v", status, answer.Accepted, answer.Failed, answer.Items)
	}
	for i, l := range bad {
		f := answer.Items[i]
		if f.Line != 2*i+1 || f.ID != l.id || f.Code != l.code || f.Status != l.status || f.Message == "" || len(f.Message) > 600 {
			t.Errorf("%.60s: %+v", l.line, f)
		}
	}
	if got := strings.Count(b.sink.all(), "good-"); got != 2*len(bad) || strings.Count(b.sink.all(), "\n") != len(bad)-1 {
		t.Errorf("written\n%s", b.sink.all())
	}
}

func TestLimits_areThoseOfTheUnpackedBody(t *testing.T) {
	if n, _ := blanks(t, intake.MaxBytes); n != 200 {
		t.Errorf("the longest body: %d", n)
	}
	if n, code := blanks(t, intake.MaxBytes+1); n != 413 || code != "too-large" {
		t.Errorf("a byte more: %d %s", n, code)
	}
	for _, encoding := range []string{"gzip", "zstd"} {
		for size, want := range map[int]int{intake.MaxBytes - 1: 200, intake.MaxBytes + 1: 413, 64 << 20: 413} {
			b := newBed(t)
			packed := pack(t, encoding, cup+strings.Repeat(" ", size-len(cup)))
			status, answer, _ := b.ask(t, request(t, "POST", "/v1/items?source=products", packed, "Content-Encoding", encoding))
			if status != want || (want == 200) != (answer.Accepted == 1) {
				t.Errorf("%d bytes in %s: %d %+v", size, encoding, status, answer)
			}
			if got := b.gauge(t); got != "0" {
				t.Errorf("%s bytes are still held", got)
			}
		}
	}
}

// blanks posts a body of so many bytes, of no length that is told.
func blanks(t *testing.T, n int64) (status int, code string) {
	t.Helper()
	r := request(t, "POST", "/v1/items?source=products", "x")
	r.Body, r.ContentLength = closer{body(n)}, -1
	status, answer, _ := newBed(t).ask(t, r)
	return status, answer.Code
}

// pack packs a body.
func pack(t testing.TB, encoding, body string) string {
	t.Helper()
	var b bytes.Buffer
	if encoding == "gzip" {
		w := gzip.NewWriter(&b)
		if _, err := w.Write([]byte(body)); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		return b.String()
	}
	w, err := zstd.NewWriter(&b)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte(body)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestKafka_thatIsSlowOrAwayRefusesAndNothingPilesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, "FRESHET_HTTP_MAX_IN_FLIGHT_BYTES=25174016", "FRESHET_HTTP_WAIT=10s")
		post := func(size int) (int, string, string) {
			row := cup + strings.Repeat(" ", size-len(cup))
			status, answer, header := b.ask(t, request(t, "POST", "/v1/items?source=products", row))
			return status, answer.Code, header.Get("Retry-After")
		}
		held := make(chan struct{})
		b.sink.set(held, nil)
		begun := time.Now()
		if status, code, again := post(5 << 20); status != 503 || code != "kafka-away" || again != "5" || time.Since(begun) != 10*time.Second {
			t.Errorf("Kafka stands still: %d %s %s after %s", status, code, again, time.Since(begun))
		}
		// What it was given stays with the sink, and so does its room: 8 MiB of 24, since a body's room doubles.
		for range 2 {
			if status, code, again := post(5 << 20); status != 503 || code != "kafka-away" || again != "5" {
				t.Errorf("once more: %d %s %s", status, code, again)
			}
		}
		if status, code, again := post(1 << 10); status != 429 || code != "busy" || again != "1" {
			t.Errorf("without room: %d %s %s", status, code, again)
		}
		close(held)
		synctest.Wait()
		if got := b.gauge(t); got != "0" {
			t.Errorf("%s bytes are still held", got)
		}
		b.sink.set(nil, errAway)
		if status, _, again := post(1 << 10); status != 503 || again != "5" {
			t.Errorf("Kafka refuses: %d %s", status, again)
		}
		b.sink.set(nil, nil)
		if status, code, _ := post(1 << 10); status != 200 {
			t.Errorf("Kafka is back: %d %s", status, code)
		}
	})
}

// away is a mapper without its schema registry.
type away struct{}

func (away) Try(context.Context, string, []byte, []byte) (intake.Trial, error) {
	return intake.Trial{}, errAway
}

func (away) TryRow(context.Context, string, string, []byte) (intake.Trial, error) {
	return intake.Trial{}, errAway
}

func TestRegistry_thatIsAwayRefusesTheWholeRequestForNow(t *testing.T) {
	b := newBedOf(t, away{})
	for method, path := range map[string]string{"POST": "/v1/sources/cdc/events", "DELETE": "/v1/items/1?source=products&seq=1"} {
		status, answer, header := b.ask(t, request(t, method, path, "x\ny", "Content-Type", ndjson))
		if status != 503 || answer.Code != "schemas-away" || header.Get("Retry-After") != "5" || b.gauge(t) != "0" {
			t.Errorf("%s: %d %+v %v", path, status, answer, header)
		}
	}
}

func TestTrace_goesOnFromTheClientToTheRecord(t *testing.T) {
	const trace = "0af7651916cd43dd8448eb211c80319c"
	b := newBed(t)
	b.ask(t, request(t, "POST", "/v1/items?source=products", cup, "Traceparent", "00-"+trace+"-b7ad6b7169203331-01"))
	if !strings.HasPrefix(b.sink.trace, "00-"+trace+"-") || strings.Contains(b.sink.trace, "b7ad6b7169203331") {
		t.Errorf("the record has the trace %q", b.sink.trace)
	}
	b.ask(t, request(t, "POST", "/v1/items?source=products", cup))
	if len(b.sink.trace) != 55 || strings.Contains(b.sink.trace, trace) {
		t.Errorf("the next record has the trace %q", b.sink.trace)
	}
}

func TestMetrics_countLinesAndRequestsByWhatBecameOfThem(t *testing.T) {
	b := newBed(t)
	b.ask(t, request(t, "POST", "/v1/items?source=products", cup+"\nx\nx"))
	b.ask(t, request(t, "DELETE", "/v1/items/1", "", "Authorization", ""))
	page := b.metrics(t)
	for _, line := range []string{
		`freshet_items_total{outcome="accepted",stage="http"} 1`,
		`freshet_items_total{outcome="malformed",stage="http"} 2`,
		`freshet_http_duration_seconds_count{route="POST /v1/items",status="200"} 1`,
		`freshet_http_duration_seconds_count{route="DELETE /v1/items/{id}",status="401"} 1`,
	} {
		if !strings.Contains(page, line) {
			t.Errorf("no line %s in\n%s", line, page)
		}
	}
}

func TestDocument_tellsTheLimits(t *testing.T) {
	for _, limit := range []int{intake.MaxBytes, intake.MaxLineBytes, intake.MaxLines} {
		if !strings.Contains(string(intake.Document), strconv.Itoa(limit)) {
			t.Errorf("openapi.yaml does not tell %d", limit)
		}
	}
}

// Whatever is sent, each line is accepted or told of, and nothing is held.
func FuzzPost(f *testing.F) {
	for _, l := range bad {
		f.Add([]byte(l.line+"\n"+cup), "")
		f.Add([]byte(`{"key":`+l.line+`,"value":{}}`), "")
	}
	f.Add([]byte(pack(f, "gzip", cup)), "gzip")
	f.Add([]byte(pack(f, "zstd", cup)), "zstd")
	b := newBed(f)
	f.Fuzz(func(t *testing.T, body []byte, encoding string) {
		b.sink.sent = nil
		for _, path := range []string{"/v1/items?source=products", "/v1/sources/cdc/events"} {
			status, answer, _ := b.ask(t, request(t, "POST", path, string(body), "Content-Type", ndjson, "Content-Encoding", encoding))
			told := answer.Code != "" && status >= 400 && status < 500
			if !told && (status != 200 && status != 422 || answer.Failed != len(answer.Items) || (status == 422) != (answer.Accepted == 0 && answer.Failed > 0)) {
				t.Errorf("%d %+v", status, answer)
			}
		}
		if got := b.gauge(t); got != "0" {
			t.Errorf("%s bytes are still held", got)
		}
	})
}

func BenchmarkPost(bench *testing.B) {
	b := newBed(bench)
	row := `{"id":%d,"seq":1,"name":"Tent","price":35,"description":"` + strings.Repeat("of a fabric that lasts ", 40) + `"}`
	var body strings.Builder
	for i := range 500 {
		fmt.Fprintf(&body, row+"\n", i)
	}
	bench.ReportAllocs()
	for bench.Loop() {
		if status, answer, _ := b.ask(bench, request(bench, "POST", "/v1/items?source=products", body.String())); status != 200 || answer.Accepted != 500 {
			bench.Fatalf("%d %+v", status, answer)
		}
		b.sink.sent = nil
	}
	bench.ReportMetric(float64(500*bench.N)/bench.Elapsed().Seconds(), "items/s")
}
