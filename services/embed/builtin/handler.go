package builtin

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/freshet-io/freshet/libs/fault"
	"github.com/freshet-io/freshet/libs/record"
	"github.com/freshet-io/freshet/services/embed/provider"
)

const (
	maxRequest = 32 << 20 // bytes
	maxTexts   = 2048     // as OpenAI has it
	maxText    = 64 << 10 // bytes; cutting a text into pieces takes 32 times as much memory
	answerTime = time.Minute
)

// Handler serves m as OpenAI serves its models, so that any client of OpenAI's runs
// against it: POST /v1/embeddings, GET /v1/models, and GET /healthz for probes. It asks
// for no key; see WithKey.
func Handler(m *Model) http.Handler {
	e := endpoint{model: m, places: make(chan struct{}, runtime.GOMAXPROCS(0))}
	card := modelCard{ID: Name, Object: "model", OwnedBy: "freshet"}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok\n") })
	mux.HandleFunc("GET /v1/models", func(w http.ResponseWriter, _ *http.Request) {
		write(w, http.StatusOK, map[string]any{"object": "list", "data": []modelCard{card}})
	})
	mux.HandleFunc("GET /v1/models/"+Name, func(w http.ResponseWriter, _ *http.Request) { write(w, http.StatusOK, card) })
	mux.HandleFunc("GET /v1/models/{name}", func(w http.ResponseWriter, r *http.Request) { refuse(w, unknownModel(r.PathValue("name"))) })
	mux.HandleFunc("POST /v1/embeddings", e.serve)
	mux.HandleFunc("/v1/embeddings", func(w http.ResponseWriter, r *http.Request) {
		refuse(w, refusal{status: http.StatusMethodNotAllowed, message: r.Method + " is not served here: send a POST"})
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		refuse(w, refusal{status: http.StatusNotFound, code: "unknown_url", message: fmt.Sprintf("nothing is served at %s: this is a model of embeddings, at /v1/embeddings", r.URL.Path)})
	})
	return mux
}

// WithKey lets only those requests through to h that bear the key, and all where it is
// "". Probes need none. The key is asked for anew each time: it may be rotated.
func WithKey(h http.Handler, key func() string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		want := key()
		if want != "" && r.URL.Path != "/healthz" && subtle.ConstantTimeCompare([]byte(r.Header.Get("Authorization")), []byte("Bearer "+want)) != 1 {
			refuse(w, refusal{status: http.StatusUnauthorized, code: "invalid_api_key", message: "the key is missing or wrong: send it as Authorization: Bearer …"})
			return
		}
		h.ServeHTTP(w, r)
	})
}

// endpoint computes as many requests at a time as there are processors. More would not
// be faster, and each holds some megabytes; the others wait their turn.
type endpoint struct {
	model  *Model
	places chan struct{}
}

func (e endpoint) serve(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), answerTime)
	defer cancel()
	req, err := readRequest(http.MaxBytesReader(w, r.Body, maxRequest))
	if err != nil {
		refuse(w, err)
		return
	}
	got, err := e.embed(ctx, req.Input)
	if err != nil {
		refuse(w, err)
		return
	}
	write(w, http.StatusOK, answer(got, req.Format == "base64"))
}

func (e endpoint) embed(ctx context.Context, texts []string) (provider.Embeddings, error) {
	select {
	case <-ctx.Done():
		return provider.Embeddings{}, ctx.Err()
	case e.places <- struct{}{}:
		defer func() { <-e.places }()
		return e.model.Embed(ctx, texts)
	}
}

type request struct {
	Model      string `json:"model"`
	Input      texts  `json:"input"`
	Format     string `json:"encoding_format"`
	Dimensions int    `json:"dimensions"`
}

// texts are one string or a list of them.
type texts []string

func (t *texts) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	if dec.PeekKind() == '"' {
		*t = texts{""}
		return json.UnmarshalDecode(dec, &(*t)[0])
	}
	return json.UnmarshalDecode(dec, (*[]string)(t))
}

func readRequest(body io.Reader) (request, error) {
	var req request
	if err := json.UnmarshalRead(body, &req); err != nil {
		if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
			return req, refusal{status: http.StatusRequestEntityTooLarge, message: fmt.Sprintf("the request is longer than %d bytes", maxRequest)}
		}
		return req, wrong("", "the body is no request in JSON whose input is a text or a list of texts (token ids are of another model): %v", err)
	}
	switch {
	case req.Model != Name:
		return req, unknownModel(req.Model)
	case len(req.Input) == 0 || len(req.Input) > maxTexts:
		return req, wrong("input", "%d texts: 1 to %d are served", len(req.Input), maxTexts)
	case req.Dimensions != 0 && req.Dimensions != Dimensions:
		return req, wrong("dimensions", "%d dimensions: this model has %d", req.Dimensions, Dimensions)
	case req.Format != "" && req.Format != "float" && req.Format != "base64":
		return req, wrong("encoding_format", "encoding_format is float or base64")
	}
	for i, text := range req.Input {
		if len(text) > maxText {
			return req, wrong("input", "text %d of %d has %d bytes: at most %d are taken, and the model reads the first %d tokens", i+1, len(req.Input), len(text), maxText, MaxTokens)
		}
	}
	return req, nil
}

type modelCard struct {
	ID      string `json:"id"`
	Object  string `json:"object"`
	Created int64  `json:"created"`
	OwnedBy string `json:"owned_by"`
}

type response struct {
	Object string  `json:"object"`
	Data   []entry `json:"data"`
	Model  string  `json:"model"`
	Usage  usage   `json:"usage"`
}

type entry struct {
	Object    string `json:"object"`
	Index     int    `json:"index"`
	Embedding any    `json:"embedding"` // []float32, or its bytes in base64
}

type usage struct {
	Prompt int64 `json:"prompt_tokens"`
	Total  int64 `json:"total_tokens"`
}

func answer(got provider.Embeddings, packed bool) response {
	res := response{Object: "list", Model: got.Model, Usage: usage{Prompt: got.Tokens, Total: got.Tokens}}
	for i, v := range got.Vectors {
		e := entry{Object: "embedding", Index: i, Embedding: v}
		if packed {
			e.Embedding = record.AppendVector(nil, v)
		}
		res.Data = append(res.Data, e)
	}
	return res
}

// refusal is an error as OpenAI words it. param is the field of the request that is
// wrong: clients tell by it a request that never passes from a text that does not.
type refusal struct {
	status               int
	param, code, message string
}

func (r refusal) Error() string { return r.message }

func wrong(param, format string, args ...any) refusal {
	return refusal{status: http.StatusBadRequest, param: param, message: fmt.Sprintf(format, args...)}
}

func unknownModel(name string) refusal {
	return refusal{
		status: http.StatusNotFound, param: "model", code: "model_not_found",
		message: fmt.Sprintf("the model %q does not exist: this is %s", name, Name),
	}
}

// refuse answers an error in the words of OpenAI's interface.
func refuse(w http.ResponseWriter, err error) {
	r, ok := errors.AsType[refusal](err)
	if rejected, is := errors.AsType[*fault.Error](err); is && rejected.Class == fault.Permanent {
		r, ok = wrong("input", "%v", rejected.Err), true
	}
	kind := "invalid_request_error"
	if !ok {
		// What is left is an ended context: more was asked for than is done in time.
		r, kind = refusal{status: http.StatusServiceUnavailable, message: fmt.Sprintf("not answered within %s: ask less at once", answerTime)}, "server_error"
		w.Header().Set("Retry-After", "1")
	}
	write(w, r.status, map[string]any{"error": map[string]any{
		"message": r.message, "type": kind, "param": orNull(r.param), "code": orNull(r.code),
	}})
}

func orNull(s string) any {
	if s == "" {
		return nil
	}
	return s
}

func write(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	// The only error left is that of a caller who has gone.
	_ = json.MarshalWrite(w, body)
}
