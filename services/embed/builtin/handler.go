package builtin

import (
	"errors"
	"io"
	"net/http"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/freshet-io/freshet/libs/fault"
	"github.com/freshet-io/freshet/libs/record"
	"github.com/freshet-io/freshet/services/embed/provider"
)

const (
	maxRequest = 8 << 20 // bytes
	maxTexts   = 2048    // as OpenAI has it
)

// Handler serves m as OpenAI serves its models, at POST /v1/embeddings, so that the
// real client runs against it. It asks for no key.
func Handler(m *Model) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/embeddings", func(w http.ResponseWriter, r *http.Request) {
		req, err := readRequest(http.MaxBytesReader(w, r.Body, maxRequest))
		if err == nil {
			var got provider.Embeddings
			if got, err = m.Embed(r.Context(), req.Input); err == nil {
				write(w, http.StatusOK, answer(got, req.Format == "base64"))
				return
			}
		}
		refuse(w, err)
	})
	return mux
}

type request struct {
	Model      string `json:"model"`
	Input      texts  `json:"input"`
	Format     string `json:"encoding_format"`
	Dimensions int    `json:"dimensions"`
}

// texts are one string or a list of them.
type texts []string

// UnmarshalJSONFrom implements json.UnmarshalerFrom.
func (t *texts) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	if dec.PeekKind() == '"' {
		*t = texts{""}
		return json.UnmarshalDecode(dec, &(*t)[0])
	}
	return json.UnmarshalDecode(dec, (*[]string)(t))
}

// unknownModel is the model that somebody asked for and that is not served.
type unknownModel string

func (u unknownModel) Error() string {
	return "the model " + string(u) + " does not exist: this is " + Name
}

func readRequest(body io.Reader) (request, error) {
	var req request
	if err := json.UnmarshalRead(body, &req); err != nil {
		return req, fault.Reject(fault.ProviderRejected, "reading the request: %w", err)
	}
	switch {
	case req.Model != Name:
		return req, unknownModel(req.Model)
	case len(req.Input) == 0 || len(req.Input) > maxTexts:
		return req, fault.Reject(fault.ProviderRejected, "%d texts: 1 to %d are served", len(req.Input), maxTexts)
	case req.Dimensions != 0 && req.Dimensions != Dimensions:
		return req, fault.Reject(fault.ProviderRejected, "%d dimensions: this model has %d", req.Dimensions, Dimensions)
	case req.Format != "" && req.Format != "float" && req.Format != "base64":
		return req, fault.Reject(fault.ProviderRejected, "encoding_format is float or base64")
	}
	return req, nil
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

// refuse answers an error in the words of OpenAI's interface.
func refuse(w http.ResponseWriter, err error) {
	status, kind, code := http.StatusServiceUnavailable, "server_error", ""
	if fault.ClassOf(err) == fault.Permanent {
		status, kind = http.StatusBadRequest, "invalid_request_error"
	}
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		status = http.StatusRequestEntityTooLarge
	}
	if _, ok := errors.AsType[unknownModel](err); ok {
		status, kind, code = http.StatusNotFound, "invalid_request_error", "model_not_found"
	}
	write(w, status, map[string]any{"error": map[string]any{"message": err.Error(), "type": kind, "code": code}})
}

func write(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	// The only error left is that of a caller who has gone.
	_ = json.MarshalWrite(w, body)
}
