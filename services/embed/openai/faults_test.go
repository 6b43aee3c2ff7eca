package openai_test

import (
	"context"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/freshet-io/freshet/libs/fake/embeddings"
	"github.com/freshet-io/freshet/libs/fault"
)

const (
	secret = "sk-very-secret"
	text1  = "red shoe of the customer" // no error may quote it
	model  = "text-embedding-3-large"
)

// The three texts of a row: 12 tokens together.
var texts = []string{text1, "b", "boots for the winter"}

const (
	once    = 7 + 1 + 6        // tokens of the three
	unknown = 2*14 + 2*8 + 2*7 // as they are estimated from bytes, for two requests each of all, the first, and the others
)

// row is a fault, and what must become of three items that meet it. What is not said is none.
type row struct {
	name    string
	replies []embeddings.Reply
	keys    string // more than the one

	embedded int           // items with their right vector
	letters  int           // dead letters, provider-rejected
	class    fault.Class   // of the error with which the stage has to try again or stop; where embedded and letters are none
	says     string        // that error, or that of the letters
	requests int           // that the provider has read
	tokens   int64         // that it has charged
	booked   int64         // tokens in our ledger, where those are others
	least    time.Duration // of waiting, and so is most
	most     time.Duration
}

const (
	ok200     = http.StatusOK
	transient = fault.Transient
	fatal     = fault.Fatal

	// With the settings' defaults the second try comes after 100 to 200 ms, the third after twice
	// as much, the fourth after four times.
	try2, try2Most = 100 * time.Millisecond, 201 * time.Millisecond
	// Where the batch fails with all its tries, each half of it is asked for: three times four.
	tries12, tries12Most = 3 * 700 * time.Millisecond, 3 * 1401 * time.Millisecond
)

// after is a row of a 429, then right answers.
func after(name string, wait time.Duration, headers ...string) row {
	return row{
		name: "429, Retry-After " + name, replies: []embeddings.Reply{embeddings.Status(429, "", headers...), embeddings.OK()},
		embedded: 3, requests: 2, tokens: once, least: wait, most: wait,
	}
}

// passing is a row of a reply that is worth another try at once, and charged so much.
func passing(name string, reply embeddings.Reply, charged int64) row {
	return row{
		name: name, replies: []embeddings.Reply{reply, embeddings.OK()},
		embedded: 3, requests: 2, tokens: once + charged, least: try2, most: try2Most,
	}
}

// useless is a row of answers that are charged for and of no use, for ever: each request is made
// twice, then its halves are, and then the stage waits.
func useless(name string, change embeddings.Change, says string) row {
	return row{
		name: name, replies: []embeddings.Reply{embeddings.OK(change)},
		class: transient, says: says, requests: 6, tokens: 4 * once, least: 3 * try2, most: 3 * try2Most,
	}
}

// unread is a row of such answers that cannot be read, also not what they cost: that is
// estimated, in each of the six requests.
func unread(name string, change embeddings.Change) row {
	r := useless(name, change, "no list of embeddings")
	r.booked = unknown
	return r
}

// stopping is a row of a reply that no text passes until somebody acts.
func stopping(name string, says string, reply embeddings.Reply) row {
	return row{name: name, replies: []embeddings.Reply{reply}, class: fatal, says: says, requests: 1}
}

func apiError(code int, kind, name string) embeddings.Reply {
	return embeddings.Error(code, kind, name, "echo of "+text1+" and "+secret)
}

func each(change func(d map[string]any)) embeddings.Change {
	return func(_ map[string]any, data []map[string]any) {
		for _, d := range data {
			change(d)
		}
	}
}

func limits() []row {
	eight := []embeddings.Reply{}
	for range 8 {
		eight = append(eight, embeddings.Status(429, "", "Retry-After", "1"))
	}
	return []row{
		after("in seconds", 20*time.Second, "Retry-After", "20"),
		after("in fractions of a second", 300*time.Millisecond, "Retry-After", "0.3"),
		after("in milliseconds", 150*time.Millisecond, "Retry-After-Ms", "150"),
		after("as a date", 30*time.Second, "Retry-After", "Sat, 01 Jan 2000 00:00:30 GMT"),
		after("missing", 500*time.Millisecond),
		after("zero", 50*time.Millisecond, "Retry-After", "0"),
		after("nonsense", 500*time.Millisecond, "Retry-After", "soon"),
		after("negative", 500*time.Millisecond, "Retry-After", "-5"),
		after("of an hour is clamped", time.Minute, "Retry-After", "3600"),
		{
			name: "429 eight times costs no try", replies: append(eight, embeddings.OK()),
			embedded: 3, requests: 9, tokens: once, least: 8 * time.Second, most: 8 * time.Second,
		},
		{
			name: "429 twice without a time doubles", replies: []embeddings.Reply{embeddings.Status(429, ""), embeddings.Status(429, ""), embeddings.OK()},
			embedded: 3, requests: 3, tokens: once, least: 1500 * time.Millisecond, most: 1500 * time.Millisecond,
		},
		{
			name: "429 with 200", replies: []embeddings.Reply{embeddings.Status(ok200, `{"error":{"message":"slow down","code":429}}`, "Retry-After", "7"), embeddings.OK()},
			embedded: 3, requests: 2, tokens: once, least: 7 * time.Second, most: 7 * time.Second,
		},
		stopping("quota spent", "quota", apiError(429, "insufficient_quota", "insufficient_quota")),
		stopping("quota spent, as 402", "quota", embeddings.Status(402, "")),
		{
			name: "quota of one of two keys spent", keys: secret + ",other",
			replies:  []embeddings.Reply{apiError(429, "insufficient_quota", "insufficient_quota"), embeddings.OK()},
			embedded: 3, requests: 2, tokens: once,
		},
	}
}

func unwell() []row {
	return []row{
		passing("an error with 200", embeddings.Status(ok200, `{"error":{"message":"no","code":503}}`), 0),
		passing("an error with 200 and no code", embeddings.Status(ok200, `{"error":"upstream is away"}`), 0),
		passing("500 once", embeddings.Status(500, "boom "+text1), 0),
		passing("502 in HTML", embeddings.Status(502, "<html>"), 0),
		passing("408", embeddings.Status(408, ""), 0),
		passing("424 of a busy TEI", embeddings.Status(424, `{"error":"x","error_type":"Backend"}`), 0),
		passing("a status that is not known", embeddings.Status(418, ""), 0),
		{
			name: "503 that asks for five seconds", replies: []embeddings.Reply{embeddings.Status(503, "", "Retry-After", "5"), embeddings.OK()},
			embedded: 3, requests: 2, tokens: once, least: 5 * time.Second, most: 5 * time.Second,
		},
		{
			name: "503 that asks for half a minute goes back to the stage", replies: []embeddings.Reply{embeddings.Status(503, "", "Retry-After", "30")},
			class: transient, says: "503", requests: 1,
		},
		{
			name: "500 for good", replies: []embeddings.Reply{embeddings.Status(500, "boom")},
			class: transient, says: "500", requests: 12, least: tries12, most: tries12Most,
		},
		passing("connection reset", embeddings.Reset, 0),
		{
			name: "connection reset for good", replies: []embeddings.Reply{embeddings.Reset},
			class: transient, requests: 12, least: tries12, most: tries12Most,
		},
		{ // Nobody says whether it was charged, so our ledger has it not.
			name: "connection reset when it was charged", replies: []embeddings.Reply{embeddings.ChargedReset, embeddings.OK()},
			embedded: 3, requests: 2, tokens: 2 * once, booked: once, least: try2, most: try2Most,
		},
		slow("no answer", embeddings.Hang),
		slow("slow-loris", embeddings.Drip),
		passing("endless body", embeddings.Endless, 0),
		passing("gzip bomb", embeddings.Bomb, 0),
		{ // The status says that it was charged; how much, only what is lost of it.
			name: "body that breaks off", replies: []embeddings.Reply{embeddings.BrokenOff, embeddings.OK()},
			embedded: 3, requests: 2, tokens: 2 * once, booked: once + 14, least: try2, most: try2Most,
		},
		passing("huge headers", embeddings.Status(ok200, "{}", "X-Huge", strings.Repeat("x", 11<<20)), 0),
		passing("header with a bare carriage return", embeddings.Raw("HTTP/1.1 200 OK\r\nX-A: a\rInjected: b\r\n\x00: c\r\n\r\n"), 0),
	}
}

// slow is a row of a try that takes all the time that it may.
func slow(name string, reply embeddings.Reply) row {
	r := passing(name, reply, 0)
	r.least, r.most = r.least+30*time.Second, r.most+30*time.Second
	return r
}

func refusals() []row {
	unknown := apiError(404, "invalid_request_error", "model_not_found")
	return []row{
		stopping("key revoked", "refuses the key", apiError(401, "invalid_request_error", "invalid_api_key")),
		stopping("key without permission", "refuses the key", embeddings.Status(403, "")),
		{
			name: "one of two keys revoked", keys: secret + ",other", replies: []embeddings.Reply{embeddings.Status(401, ""), embeddings.OK()},
			embedded: 3, requests: 2, tokens: once,
		},
		stopping("unknown model", model, unknown),
		stopping("unknown model, as 400", model, apiError(400, "invalid_request_error", "model_not_found")),
		stopping("unknown path", "check the URL", embeddings.Status(404, "404 page not found")),
		stopping("a setting is refused", "dimensions", embeddings.Status(400, `{"error":{"message":"no","param":"dimensions"}}`)),
		stopping("redirect to another host", "redirects", embeddings.Status(307, "", "Location", "http://192.0.2.1/v1/embeddings")),
		stopping("redirect that drops the body", "redirects", embeddings.Status(301, "", "Location", "/elsewhere")),
		{
			name: "redirect within the host", replies: []embeddings.Reply{embeddings.Status(308, "", "Location", "/v1/embeddings/"), embeddings.OK()},
			embedded: 3, requests: 2, tokens: once,
		},
		bad("one bad text, 400", apiError(400, "invalid_request_error", "")),
		bad("one bad text, 413", embeddings.Status(413, `{"error":"inputs must have less than 512 tokens","error_type":"Validation"}`)),
		bad("one bad text, 422", embeddings.Status(422, `{"detail":[]}`)),
		{ // The batch, its halves, the half's halves, and a text of ours that must pass.
			name: "every text is refused", replies: []embeddings.Reply{embeddings.Status(400, "{}")},
			class: fatal, says: "refuses every text", requests: 6,
		},
	}
}

// bad is a row of a text that is refused. What it asks for: all three, the first half, which is
// the text, and the other half.
func bad(name string, refusal embeddings.Reply) row {
	return row{
		name: name, replies: []embeddings.Reply{embeddings.Unless(embeddings.Has(text1), refusal)},
		embedded: 2, letters: 1, says: "the provider answered 4", requests: 3, tokens: once - 7,
	}
}

func nonsense() []row {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	all := func(v any) embeddings.Change { return each(func(d map[string]any) { d["embedding"] = v }) }
	other := func(name, says string, change embeddings.Change) []row {
		return []row{
			passing(name+" once", embeddings.OK(change), once),
			{
				name: name + " twice", replies: []embeddings.Reply{embeddings.OK(change)},
				class: fatal, says: says, requests: 2, tokens: 2 * once, least: try2, most: try2Most,
			},
		}
	}
	rows := []row{
		{name: "right answer", replies: []embeddings.Reply{embeddings.OK()}, embedded: 3, requests: 1, tokens: once},
		{
			name: "shuffled index", replies: []embeddings.Reply{embeddings.OK(func(a map[string]any, d []map[string]any) { a["data"] = []any{d[2], d[0], d[1]} })},
			embedded: 3, requests: 1, tokens: once,
		},
		{
			name: "no model and no usage", replies: []embeddings.Reply{embeddings.OK(func(a map[string]any, _ []map[string]any) { delete(a, "model"); delete(a, "usage") })},
			embedded: 3, requests: 1, tokens: once,
		},
		{
			name: "model with a vendor and a version", replies: []embeddings.Reply{embeddings.OK(embeddings.SetModel("openai/" + model + "-v2"))},
			embedded: 3, requests: 1, tokens: once,
		},
		{name: "escaped characters in base64", replies: []embeddings.Reply{escaped}, embedded: 3, requests: 1, tokens: once},
		passing("HTML with 200", embeddings.Status(ok200, "<html>maintenance"), 0),
		passing("empty body with 200", embeddings.Status(ok200, ""), 0),
		{
			name: "truncated JSON once", replies: []embeddings.Reply{embeddings.Truncated, embeddings.OK()},
			embedded: 3, requests: 2, tokens: 2 * once, booked: once + 14, least: try2, most: try2Most,
		},
		{
			name: "truncated JSON for good", replies: []embeddings.Reply{embeddings.Truncated},
			class: transient, requests: 6, tokens: 4 * once, booked: unknown, least: 3 * try2, most: 3 * try2Most,
		},
		{
			name: "deep JSON", replies: []embeddings.Reply{embeddings.Deep, embeddings.OK()},
			embedded: 3, requests: 2, tokens: once, booked: once + 14, least: try2, most: try2Most,
		},
		passing("huge JSON", embeddings.Status(ok200, `{"data":"`+strings.Repeat("x", 64<<20)+`"}`), 0),
		useless("fewer vectors", func(a map[string]any, d []map[string]any) { a["data"] = d[1:] }, "vectors for"),
		{ // Each text alone is answered rightly.
			name: "repeated index", replies: []embeddings.Reply{embeddings.OK(each(func(d map[string]any) { d["index"] = 0 }))},
			embedded: 3, requests: 7, tokens: 4 * once, least: 2 * try2, most: 2 * try2Most,
		},
		useless("index out of range", each(func(d map[string]any) { d["index"] = 3 }), "index"),
		useless("no index", each(func(d map[string]any) { delete(d, "index") }), "index"),
		useless("NaN", all(embeddings.Packed([]float32{1, nan, 0, 0})), "finite"),
		useless("infinity", all(embeddings.Packed([]float32{1, inf, 0, 0})), "finite"),
		unread("number beyond float32", all([]float64{1e300, 0, 0, 0})),
		useless("zeros", all([]float32{0, 0, 0, 0}), "no length"),
		unread("null for a vector", all(nil)),
		unread("words for numbers", all([]any{"a", 1, 2, 3})),
		unread("broken base64", all("!!!")),
	}
	rows = append(rows, other("other dimensions", "3 dimensions, not 4", all([]float32{1, 2, 3}))...)
	return append(rows, other("another model", "text-embedding-3-large-zh", embeddings.SetModel("text-embedding-3-large-zh"))...)
}

// escaped answers rightly, in JSON as some servers write it.
func escaped(w http.ResponseWriter, r *http.Request, req embeddings.Request) {
	right := httptest.NewRecorder()
	embeddings.OK()(right, r, req)
	_, _ = strings.NewReplacer("/", `\/`, "=", `\u003d`).WriteString(w, right.Body.String())
}

// usages are those that a server states in a way of its own, or that cannot be: the vectors are
// good, and the estimate counts, which is the truth here.
func usages() []row {
	var rows []row
	for name, usage := range map[string]any{
		"beyond all bounds": map[string]any{"total_tokens": 1 << 50}, "beyond all numbers": map[string]any{"total_tokens": 1e300},
		"negative": map[string]any{"total_tokens": -7}, "null": nil, "a list": []int{1}, "a word": "none",
		"a string": map[string]any{"total_tokens": "14"}, "a fraction": map[string]any{"prompt_tokens": float64(once) + 0.5},
	} {
		rows = append(rows, row{
			name: "usage is " + name, replies: []embeddings.Reply{embeddings.OK(embeddings.SetUsage(usage))},
			embedded: 3, requests: 1, tokens: once,
		})
	}
	return rows
}

// TestProviderFaults plays each fault of a provider over HTTP, in virtual time, to the stage's
// handler with the settings' defaults: what becomes of the items, what is paid and booked, how
// often is asked, how long is waited.
func TestProviderFaults(t *testing.T) {
	for _, rows := range [][]row{limits(), unwell(), refusals(), nonsense(), usages()} {
		for _, r := range rows {
			t.Run(r.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { r.play(t, embeddings.Listen) })
			})
		}
	}
}

// TestProviderFaultsOverTCP plays those that are about connections, and short, over sockets too.
func TestProviderFaultsOverTCP(t *testing.T) {
	for _, r := range unwell() {
		if r.most > time.Second {
			continue
		}
		t.Run(r.name, func(t *testing.T) {
			r.most = time.Hour // it is the machine's
			r.play(t, func() (net.Listener, dialler) {
				listener, err := net.Listen("tcp", "127.0.0.1:0")
				if err != nil {
					t.Fatal(err)
				}
				return listener, func(ctx context.Context, network, _ string) (net.Conn, error) {
					return (&net.Dialer{}).DialContext(ctx, network, listener.Addr().String())
				}
			})
		})
	}
}

// TestPaidNonsenseIsStoppedByTheBudget: answers of no use are booked, so that a budget ends what
// would be paid for and asked for again without end.
func TestPaidNonsenseIsStoppedByTheBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := embeddings.New(embeddings.Truncated)
		e := embed(t, server, "", "FRESHET_EMBED_PRICE_PER_MILLION=1000000", "FRESHET_EMBED_BUDGET_PER_DAY=200")
		ctx, cancel := context.WithTimeout(t.Context(), 23*time.Hour)
		defer cancel()
		for ctx.Err() == nil {
			if _, err := e.Handle(ctx, items(texts...)); err == nil {
				t.Fatal("it passes")
			}
			time.Sleep(time.Second)
		}
		if tokens, _ := server.Charged(); tokens < 150 || tokens > 240 {
			t.Errorf("%d tokens were charged, and the budget is 200", tokens)
		}
	})
}

// TestUsageThatCannotBeHoldsNobodyUp: 2^50 tokens would be a debt of ages.
func TestUsageThatCannotBeHoldsNobodyUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := embeddings.New(embeddings.OK(embeddings.SetUsage(map[string]any{"total_tokens": 1 << 50})), embeddings.OK())
		e := embed(t, server, "", "FRESHET_OPENAI_TOKENS_PER_MINUTE=6000")
		began := time.Now()
		pass(t, e, items(texts...))
		pass(t, e, numbered(0, 3, 20))
		if waited := time.Since(began); waited > time.Minute {
			t.Errorf("waited %s", waited)
		}
	})
}

func TestProviderAwayForAnHourIsAskedSeldomAndPaidOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		server := embeddings.New(embeddings.Unless(func(embeddings.Request) bool { return time.Since(began) < time.Hour }, embeddings.Status(503, "")))
		e := embed(t, server, "")
		outcomes := persist(t, e, items(texts...))
		row{embedded: 3}.judge(t, outcomes, nil)
		tokens, times := server.Charged()
		asked := len(server.Asked())
		t.Logf("asked %d times in %s", asked, time.Since(began))
		if tokens != once || e.Counts().Tokens != once || len(times) != 3 {
			t.Errorf("%d tokens charged, %d booked, %v", tokens, e.Counts().Tokens, times)
		}
		// Twelve tries each 30 s, and those of the first minute.
		if asked > 1600 || time.Since(began) > time.Hour+time.Minute {
			t.Errorf("asked %d times in %s", asked, time.Since(began))
		}
	})
}
