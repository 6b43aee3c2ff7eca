package providers_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/freshet-io/freshet/libs/fake/embeddings"
	"github.com/freshet-io/freshet/libs/fault"
	"github.com/freshet-io/freshet/libs/pipeline"
	"github.com/freshet-io/freshet/libs/record"
	"github.com/freshet-io/freshet/libs/service"
	"github.com/freshet-io/freshet/services/embed/embedder"
	"github.com/freshet-io/freshet/services/embed/providers"
)

const key = "the-key"

// preset is a section of docs/providers.md.
type preset struct{ environ, space string }

var (
	section = regexp.MustCompile("(?s)## ([^\n]+)\n\n```sh\n(.*?)```\n\n```yaml\n(.*?)```")
	setting = regexp.MustCompile(`(FRESHET_[A-Z_]+)='?([^' \n]*)`)
	host    = regexp.MustCompile(`https?://[^/]+`)
)

func page(t *testing.T) map[string]preset {
	t.Helper()
	text, err := os.ReadFile("../../../docs/providers.md")
	if err != nil {
		t.Fatal(err)
	}
	presets := map[string]preset{}
	for _, m := range section.FindAllStringSubmatch(string(text), -1) {
		presets[m[1]] = preset{m[2], m[3]}
	}
	if n := strings.Count(string(text), "\n## "); n != len(presets) {
		t.Fatalf("%d of %d sections have settings and a space", len(presets), n)
	}
	return presets
}

// quirks is what a server is like.
type quirks struct {
	path   string // with the query
	header string // that carries the key; empty: there is none
	check  func(embeddings.Request) string
	right  []embeddings.Change // of right answers
	meets  []meeting
}

// meeting is a fault of the server's own kind: what it answers to the texts for which it is
// meant, and what must become of them.
type meeting struct {
	name     string
	when     func(embeddings.Request) bool // nil: the first request
	reply    embeddings.Reply
	texts    []string
	letters  int
	requests int
	fatal    string // what the error says
}

func says(wrong bool, format string, args ...any) string {
	if wrong {
		return fmt.Sprintf(format, args...)
	}
	return ""
}

func noEncoding(req embeddings.Request) string {
	_, asked := req.Body["encoding_format"]
	return says(asked, "unknown parameter encoding_format")
}

func asksDimensions(req embeddings.Request) string {
	return says(req.Dimensions != 3072 || req.Encoding != "base64", "dimensions %d as %s", req.Dimensions, req.Encoding)
}

func noDimensions(req embeddings.Request) string {
	return says(req.Dimensions != 0, "Model %q does not support matryoshka representation", req.Model)
}

func without(name string) embeddings.Change {
	return func(answer map[string]any, _ []map[string]any) { delete(answer, name) }
}

func longer(n int) func(embeddings.Request) bool {
	return func(req embeddings.Request) bool {
		return slices.ContainsFunc(req.Input, func(text string) bool { return len(text) > n })
	}
}

func more(n int) func(embeddings.Request) bool {
	return func(req embeddings.Request) bool { return len(req.Input) > n }
}

func list(n int) []string {
	texts := make([]string, n)
	for i := range texts {
		texts[i] = fmt.Sprint("text ", i)
	}
	return texts
}

var long = strings.Repeat("long ", 6000)

func servers() map[string]quirks {
	json := func(code int, body string, headers ...string) embeddings.Reply {
		return embeddings.Status(code, body, headers...)
	}
	busy := json(429, `{"error":{"message":"Rate limit reached","type":"tokens","param":null,"code":"rate_limit_exceeded"}}`, "Retry-After-Ms", "1", "X-Ratelimit-Limit-Requests", "6000")
	return map[string]quirks{
		"OpenAI": {path: "/v1/embeddings", header: "Authorization", check: asksDimensions, meets: []meeting{
			{name: "rate limit", reply: busy, texts: list(3), requests: 2},
			{name: "no quota", reply: json(429, `{"error":{"message":"x","type":"insufficient_quota","param":null,"code":"insufficient_quota"}}`), texts: list(1), requests: 1, fatal: "quota"},
		}},
		"Azure OpenAI": {path: "/openai/deployments/DEPLOYMENT/embeddings?api-version=2024-10-21", header: "Api-Key", check: asksDimensions, meets: []meeting{
			{name: "rate limit", reply: json(429, `{"error":{"code":"429","message":"Requests have exceeded call rate limit"}}`, "Retry-After-Ms", "1", "X-Ratelimit-Limit-Requests", "-1"), texts: list(3), requests: 2},
			{name: "no such deployment", reply: json(404, `{"error":{"code":"DeploymentNotFound","message":"x"}}`), texts: list(1), requests: 1, fatal: "does not know the model"},
		}},
		"HolySheep": {path: "/v1/embeddings", header: "Authorization", right: []embeddings.Change{embeddings.Numbers}, meets: []meeting{
			{name: "its proxy is unwell", reply: json(502, "<html>502 Bad Gateway</html>"), texts: list(3), requests: 2},
			{name: "no balance", reply: json(402, `{"error":"insufficient balance"}`), texts: list(1), requests: 1, fatal: "quota"},
		}},
		"A gateway": {path: "/v1/embeddings", header: "Authorization", check: noEncoding, right: []embeddings.Change{embeddings.SetModel("my-alias"), without("usage")}, meets: []meeting{
			{name: "a cap of its own", when: more(10), reply: json(400, `{"error":{"code":"InvalidParameter","param":null,"message":"batch size is invalid"}}`), texts: list(20), requests: 3},
		}},
		"text-embeddings-inference": {path: "/v1/embeddings", check: noDimensions, meets: []meeting{
			{name: "more than it was set to take", when: more(32), reply: json(413, `{"error":"batch size 33 > maximum allowed batch size 32","error_type":"Validation"}`), texts: list(33), requests: 2},
			{name: "started to take less", when: more(8), reply: json(413, `{"error":"batch size 16 > maximum allowed batch size 8","error_type":"Validation"}`), texts: list(16), requests: 3},
			{name: "full", reply: json(429, `{"error":"Model is overloaded","error_type":"Overloaded"}`), texts: list(3), requests: 2},
			{name: "a long text is cut before", when: longer(24_000), reply: json(413, `{"error":"inputs must have less than 8192 tokens","error_type":"Validation"}`), texts: []string{long, "b"}, requests: 1},
			{name: "a text of many tokens", when: embeddings.Has("dense"), reply: json(413, `{"error":"inputs must have less than 8192 tokens","error_type":"Validation"}`), texts: []string{"dense", "b"}, letters: 1, requests: 3},
		}},
		"Ollama": {path: "/v1/embeddings", check: noDimensions, right: []embeddings.Change{embeddings.Numbers, without("usage")}, meets: []meeting{
			{name: "not pulled", reply: json(404, `{"error":{"message":"model not found, try pulling it first","type":"api_error","param":null,"code":null}}`), texts: list(1), requests: 1, fatal: "no embeddings of the model"},
		}},
		"vLLM": {path: "/v1/embeddings", check: noDimensions, meets: []meeting{
			{name: "a text of many tokens", when: embeddings.Has("dense"), reply: json(400, `{"object":"error","message":"This model's maximum context length is 8192 tokens","type":"BadRequestError","param":null,"code":400}`), texts: []string{"dense", "b"}, letters: 1, requests: 3},
			{name: "another model", reply: json(404, `{"error":{"message":"The model does not exist","type":"NotFoundError","param":null,"code":404}}`), texts: list(1), requests: 1, fatal: "no embeddings of the model"},
			{name: "its engine has died", reply: json(500, "Internal Server Error"), texts: list(3), requests: 2},
		}},
	}
}

// TestProvidersPage runs the settings of each section of docs/providers.md against a server that
// is like the one that it is for.
func TestProvidersPage(t *testing.T) {
	presets, all := page(t), servers()
	for name := range presets {
		if _, ok := all[name]; !ok {
			t.Errorf("nothing plays %s", name)
		}
	}
	for name, q := range all {
		t.Run(name, func(t *testing.T) {
			p, ok := presets[name]
			if !ok {
				t.Fatal("the page has no section of it")
			}
			for _, m := range append(q.meets, meeting{name: "all is well", texts: list(3), requests: 1}) {
				t.Run(m.name, func(t *testing.T) { p.meet(t, q, m) })
			}
		})
	}
}

func (p preset) meet(t *testing.T, q quirks, m meeting) {
	space := p.read(t)
	var met atomic.Bool
	meets := m.when
	if meets == nil {
		meets = func(embeddings.Request) bool { return met.CompareAndSwap(false, true) }
	}
	right := embeddings.OK(q.right...)
	stand := embeddings.New(func(w http.ResponseWriter, r *http.Request, req embeddings.Request) {
		switch complaint := q.complains(r, req, space.Model); {
		case complaint != "":
			t.Error(complaint)
			w.WriteHeader(http.StatusBadRequest)
		case m.reply != nil && meets(req):
			m.reply(w, r, req)
		default:
			right(w, r, req)
		}
	})
	stand.Length = space.Dimensions
	server := httptest.NewServer(stand)
	t.Cleanup(server.Close)
	outcomes, err := p.open(t, space, server.URL).Handle(t.Context(), inputs(m.texts))
	if n := len(stand.Asked()); n != m.requests {
		t.Errorf("%d requests, not %d", n, m.requests)
	}
	if m.fatal != "" {
		if err == nil || fault.ClassOf(err) != fault.Fatal || !strings.Contains(err.Error(), m.fatal) || strings.Contains(err.Error(), key) {
			t.Errorf("error is %v", err)
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	letters := 0
	for i, o := range outcomes {
		sent := space.Prefix + m.texts[i]
		if len(sent) > 24_000 {
			sent = sent[:24_000]
		}
		want := record.AppendVector(nil, embeddings.Vector(sent, space.Dimensions))
		switch {
		case o.Err != nil:
			letters++
		case string(o.Out[0].GetVector()) != string(want):
			t.Errorf("text %d has another vector", i)
		}
	}
	if letters != m.letters {
		t.Errorf("%d letters, not %d", letters, m.letters)
	}
}

// complains returns what the server has against a request.
func (q quirks) complains(r *http.Request, req embeddings.Request, model string) string {
	secret := key
	if q.header == "Authorization" {
		secret = "Bearer " + key
	}
	switch {
	case r.RequestURI != q.path:
		return "404 for " + r.RequestURI
	case q.header != "" && r.Header.Get(q.header) != secret:
		return "401 for the key " + r.Header.Get(q.header)
	case q.header == "" && r.Header.Get("Authorization") != "":
		return "a key where none is asked for"
	case req.Model != model:
		return "no model " + req.Model
	case q.check != nil:
		return q.check(req)
	}
	return ""
}

// read returns the space of a section.
func (p preset) read(t *testing.T) pipeline.Space {
	t.Helper()
	file, err := pipeline.Parse([]byte("apiVersion: freshet/v1\n" + p.space + `pipelines:
- {name: p, source: {topics: [t], format: rows}, collection: C, id: {from: [id]}, text: {template: "{{name}}"}}
`))
	if err != nil {
		t.Fatal(err)
	}
	return file.Space
}

// open returns the stage's handler with the settings of a section, of which only the host and the
// folder of the keys are others.
func (p preset) open(t *testing.T, space pipeline.Space, url string) *embedder.Embedder {
	t.Helper()
	dir := t.TempDir()
	environ := []string{}
	for _, m := range setting.FindAllStringSubmatch(p.environ, -1) {
		value := m[2]
		switch {
		case m[1] == "FRESHET_OPENAI_URL":
			value = host.ReplaceAllString(value, url)
		case strings.HasSuffix(m[1], "_FILE"):
			value = filepath.Join(dir, filepath.Base(value))
			if err := os.WriteFile(value, []byte(key+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		environ = append(environ, m[1]+"="+value)
	}
	if !strings.Contains(p.environ, "FRESHET_OPENAI_URL") {
		environ = append(environ, "FRESHET_OPENAI_URL="+url+"/v1")
	}
	var cfg struct {
		OpenAI providers.OpenAI `envconfig:"OPENAI"`
		Embed  embedder.Config  `envconfig:"EMBED"`
	}
	if err := service.Load(append([]string{"FRESHET_EMBED_OVERTAKE_AFTER=0"}, environ...), &cfg); err != nil {
		t.Fatal(err)
	}
	for name, meant := range service.Mistyped(environ, &cfg) {
		t.Errorf("%s is no setting: %s is", name, meant)
	}
	known := service.Settings(&cfg)
	for _, kv := range environ {
		name, _, _ := strings.Cut(kv, "=")
		if !slices.ContainsFunc(known, func(s service.Setting) bool { return s.Name == strings.TrimSuffix(name, "_FILE") }) {
			t.Errorf("%s is no setting", name)
		}
	}
	client, err := providers.Open(space, cfg.OpenAI, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.(interface{ Close() }).Close)
	e, err := embedder.New(client, nothing{}, embedder.Space{Name: space.String(), Model: space.Model, Dimensions: space.Dimensions, Prefix: space.Prefix}, cfg.Embed)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// nothing is an index that has nothing.
type nothing struct{}

func (nothing) Lookup(_ context.Context, _ string, items []record.Item) ([]record.State, error) {
	return make([]record.State, len(items)), nil
}

func inputs(texts []string) []embedder.Input {
	inputs := make([]embedder.Input, len(texts))
	for i, text := range texts {
		inputs[i] = embedder.Input{Version: int64(i + 1), Document: &record.Document{
			Op: record.Op_OP_UPSERT, Collection: "C", Id: []string{strconv.Itoa(i)}, Pipeline: "p", Text: text,
		}}
	}
	return inputs
}
