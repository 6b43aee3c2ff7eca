package openai_test

import (
	"context"
	"errors"
	"log"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/freshet-io/freshet/libs/fake/embeddings"
	"github.com/freshet-io/freshet/libs/fault"
	"github.com/freshet-io/freshet/libs/record"
	"github.com/freshet-io/freshet/libs/service"
	"github.com/freshet-io/freshet/libs/stage"
	"github.com/freshet-io/freshet/services/embed/embedder"
	"github.com/freshet-io/freshet/services/embed/openai"
)

type dialler = func(ctx context.Context, network, address string) (net.Conn, error)

func (r row) play(t *testing.T, listen func() (net.Listener, dialler)) {
	server := embeddings.New(r.replies...)
	e := embedOver(t, listen, server, r.keys)
	began := time.Now()
	outcomes, err := e.Handle(t.Context(), items(texts...))
	waited := time.Since(began)
	r.judge(t, outcomes, err)
	if waited < r.least || waited > r.most {
		t.Errorf("waited %s, and not %s to %s", waited, r.least, r.most)
	}
	if n := len(server.Asked()); n != r.requests {
		t.Errorf("%d requests, not %d", n, r.requests)
	}
	booked := r.booked
	if booked == 0 {
		booked = r.tokens
	}
	if tokens, _ := server.Charged(); tokens != r.tokens || e.Counts().Tokens != booked {
		t.Errorf("%d tokens charged and %d booked, not %d and %d", tokens, e.Counts().Tokens, r.tokens, booked)
	}
}

// judge compares the outcomes.
func (r row) judge(t *testing.T, outcomes []stage.Outcome[*record.Vector], err error) {
	t.Helper()
	if r.embedded+r.letters == 0 {
		if err == nil || fault.ClassOf(err) != r.class {
			t.Errorf("error is %v, and not a %v one", err, r.class)
		}
		silent(t, err, r.says)
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	embedded, letters := 0, 0
	for i, o := range outcomes {
		switch {
		case o.Err != nil:
			letters++
			silent(t, o.Err, r.says)
			if fault.ReasonOf(o.Err) != fault.ProviderRejected || o.Out[0].GetVector() != nil {
				t.Errorf("text %d is a letter for %s, with %v", i, fault.ReasonOf(o.Err), o.Out)
			}
		case string(o.Out[0].GetVector()) == vector(texts[i]):
			embedded++
		default:
			t.Errorf("text %d has %v, which is not its vector", i, o.Out[0].GetVector())
		}
	}
	if embedded != r.embedded || letters != r.letters {
		t.Errorf("%d embedded and %d letters, not %d and %d", embedded, letters, r.embedded, r.letters)
	}
}

// vector is the right one of a text, as it travels.
func vector(text string) string {
	return string(record.AppendVector(nil, embeddings.Vector(text, embeddings.Length)))
}

// silent checks that an error says what it should and quotes neither key nor text.
func silent(t *testing.T, err error, says string) {
	t.Helper()
	if err == nil {
		return
	}
	said := err.Error()
	if !strings.Contains(said, says) {
		t.Errorf("error %q does not say %q", said, says)
	}
	if strings.Contains(said, secret) || strings.Contains(said, text1) || strings.Contains(said, "\n") {
		t.Errorf("error holds a key, a text or several lines: %q", said)
	}
}

// nothing is an index that has nothing.
type nothing struct{}

func (nothing) Lookup(_ context.Context, _ string, items []record.Item) ([]record.State, error) {
	return make([]record.State, len(items)), nil
}

// embed returns the stage's handler before a server in the bubble of the test, with the
// defaults of all settings but for those that are given.
func embed(t *testing.T, server http.Handler, keys string, environ ...string) *embedder.Embedder {
	t.Helper()
	return embedOver(t, embeddings.Listen, server, keys, environ...)
}

func embedOver(t *testing.T, listen func() (net.Listener, dialler), server http.Handler, keys string, environ ...string) *embedder.Embedder {
	t.Helper()
	var cfg struct {
		OpenAI openai.Config   `envconfig:"OPENAI"`
		Embed  embedder.Config `envconfig:"EMBED"`
	}
	// Here all is waited for: that documents overtake their vectors is another test's business.
	fixed := []string{"FRESHET_OPENAI_URL=http://provider.test/v1", "FRESHET_EMBED_OVERTAKE_AFTER=0"}
	if err := service.Load(append(fixed, environ...), &cfg); err != nil {
		t.Fatal(err)
	}
	if keys == "" {
		keys = secret
	}
	c, err := openai.New(cfg.OpenAI, openai.Options{Model: model, Dimensions: embeddings.Length, Keys: func() string { return keys }})
	if err != nil {
		t.Fatal(err)
	}
	listener, dial := listen()
	c.Dial(dial)
	s := &http.Server{Handler: server, ErrorLog: discard(), ReadHeaderTimeout: time.Hour}
	go func() { _ = s.Serve(listener) }()
	t.Cleanup(func() { c.Close(); _ = s.Close() })
	e, err := embedder.New(c, nothing{}, embedder.Space{Name: "openai/m/4", Model: model, Dimensions: embeddings.Length}, cfg.Embed)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// items are new ones, with a text each.
func items(texts ...string) []embedder.Input {
	inputs := make([]embedder.Input, len(texts))
	for i, text := range texts {
		inputs[i] = embedder.Input{Version: int64(i + 1), Document: &record.Document{
			Op: record.Op_OP_UPSERT, Collection: "Product", Id: []string{text}, Pipeline: "products", Text: text,
		}}
	}
	return inputs
}

// persist handles items as the stage does: again for as long as the error is transient.
func persist(t *testing.T, e *embedder.Embedder, inputs []embedder.Input) []stage.Outcome[*record.Vector] {
	t.Helper()
	for wait := 200 * time.Millisecond; ; wait = min(2*wait, 30*time.Second) {
		outcomes, err := e.Handle(t.Context(), inputs)
		if err == nil {
			return outcomes
		}
		if f, ok := errors.AsType[*fault.Error](err); ok && f.Class != transient {
			t.Fatal(err)
		}
		time.Sleep(max(wait, fault.AfterOf(err)))
	}
}

func discard() *log.Logger { return slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug) }
